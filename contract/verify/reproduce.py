"""Show a deviation again: the command lines and the program that send what a case has sent; the key comes from the environment."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from ..choice import Choice
from ..printable import printable
from ..targets.target import Request
from .selection import DRAWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..cases.case import Case
    from .results import Report, Result

INLINE = 1_000
"""Bytes of a body that stand in a line; a larger one comes from `klingkit cases`, with another external id and no callback."""


def curl(report: Report, result: Result, requirement: str) -> str:
    """Return command lines that show how a requirement is not kept."""
    if requirement.startswith("callback."):
        words = [
            "klingkit",
            "verify",
            report.url,
            *_contract_words(report),
            "--only",
            requirement,
            "--budget",
            str(report.options.budget),
        ]
        return shlex.join(words if report.local else [*words, "--real"])
    return "\n".join(_curl(report, case) + _price(report, case) for case in _cases(report, result, requirement))


def python(report: Report, result: Result, requirement: str) -> str:
    """Return a program that shows the same; empty for callbacks, which a few lines cannot receive."""
    if requirement.startswith("callback."):
        return ""
    lines = ["import os, requests, subprocess"]
    for case in _cases(report, result, requirement):
        lines += [_python(report, case) + _price(report, case), "print(answer.status_code, answer.text)"]
    return "\n".join(lines)


def _cases(report: Report, result: Result, requirement: str) -> Iterator[Case]:
    """Return what is to be sent: a query of the task that was made, if it is about that, else the request itself."""
    case = result.case
    if requirement.startswith("task.") and result.task_id:
        query = report.contract.operations["get_task"]
        request = Request(query.method, query.path.replace("{task_id}", result.task_id))
        yield replace(case, request=request, operation=query.operation_id, after="")
        return
    if case.after:
        yield next(before for before in report.cases if before.id == case.after)
    yield case


def _price(report: Report, case: Case) -> str:
    if report.local or not case.creates:
        return ""
    amount = report.contract.price_per_picture * case.pictures
    return f"  # {amount} {report.contract.currency} each time, if it is accepted"


def _curl(report: Report, case: Case) -> str:
    request = case.request
    words = ["curl", "-si", "-X", request.method, shlex.quote(_url(report, case))]
    if request.authorization is not None:
        variable = _key_variable(report, case)
        key = f"${{{variable}:-any}}" if _takes_any_key(report) else f"${{{variable}:?}}"
        words += ["-H", f'"Authorization: {request.authorization.replace("{key}", key)}"']
    if request.content_type or request.data or request.method == "POST":
        kind = f"Content-Type: {request.content_type}" if request.content_type else "Content-Type:"
        words += ["-H", shlex.quote(kind)]
    if not _inline(case):
        return f"{shlex.join(_printing(report, case))} | {' '.join(words)} --data-binary @-"
    if request.data:
        words += ["--data-raw", _quoted(request.data)]
    elif request.method == "POST":
        words += ["--data-raw", "''"]
    return " ".join(words)


def _quoted(data: bytes) -> str:
    """Return bytes as one word of a line for bash or zsh, which shows nothing but what can be printed."""
    text = data.decode()
    if printable(text) == text:
        return shlex.quote(text)
    escaped = "".join(chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}" for byte in data)
    return f"$'{escaped}'"


def _python(report: Report, case: Case) -> str:
    request = case.request
    headers = [f'"Content-Type": {request.content_type!r}'] if request.content_type else []
    if request.authorization is not None:
        variable = _key_variable(report, case)
        key = f'os.environ.get("{variable}", "any")' if _takes_any_key(report) else f'os.environ["{variable}"]'
        start, _, end = request.authorization.partition("{key}")
        header = f"{start!r} + {key}" if "{key}" in request.authorization else repr(start)
        headers.append(f'"Authorization": {header}' + (f" + {end!r}" if end else ""))
    printed = f"subprocess.check_output({json.dumps(_printing(report, case))})"
    data = repr(request.data) if _inline(case) else printed
    url = _url(report, case)
    return f"answer = requests.request({request.method!r}, {url!r}, data={data}, headers={{{', '.join(headers)}}})"


def _printing(report: Report, case: Case) -> list[str]:
    """Return the command that prints the body of a case."""
    return ["klingkit", "cases", case.id, *_contract_words(report)]


def _contract_words(report: Report) -> list[str]:
    """Return the option that says which contract is meant, where it is not the default."""
    choice = report.contract.choice
    return [] if choice == Choice() else ["--contract", str(choice)]


def _url(report: Report, case: Case) -> str:
    before = next((result.task_id for result in report.results if result.case.id == case.after), "")
    return report.url + case.request.path.replace("{task_id}", before or "TASK_ID")


def _key_variable(report: Report, case: Case) -> str:
    if case.other_key:
        return "KLINGKIT_OTHER_KEY"
    return "KLING_API_KEY" if report.contract.jwt else "COMETAPI_KEY"


def _takes_any_key(report: Report) -> bool:
    """Tell whether no key was given to the run, so that none is needed to repeat it."""
    return report.local and report.options.key.startswith(report.options.run)


def _inline(case: Case) -> bool:
    """Tell whether a body is to stand in a line: if it is short, or drawn, so that `klingkit cases` has it not."""
    data = case.request.data
    try:
        return case.id.startswith(DRAWN) or (len(data) <= INLINE and "\0" not in data.decode())
    except UnicodeDecodeError:
        return False
