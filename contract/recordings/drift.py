"""Drift: in what two services, or a service and a recording of it, answer the same cases differently."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..api_error import ApiError, render
from ..evidence import ANSWER, LIMIT, TEXT, UNKNOWN
from ..judge.answer_schema import documented_fields
from ..judge.deviation import shown
from ..judge.reading import inner_of, results_of
from ..nearest import nearest
from ..verify.selection import Options, select_cases
from .recording import ACCEPTED, key_of, section_of
from .values import ABSENT, apart, both, is_kept, shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..cases.case import Case
    from ..spec import Contract
    from .recording import RecordedAnswer, Recording

DRIFT_KINDS = {
    "stricter": "B is stricter",
    "looser": "B is looser",
    "status": "other status",
    "code": "other code",
    "text": "other text",
    "shape": "other shape",
    "undocumented_field": "undocumented field",
    "missing_field": "missing field",
    "task": "other life of the task",
}
"""The classes of a difference."""
ASPECT_KINDS = {LIMIT: ("stricter", "looser"), ANSWER: ("status", "code", "shape"), TEXT: ("text",)}
"""What of these an aspect of a rule is about; the shape of a text is none of them."""
RUN = "<run>"
SCHEMA = "answer.schema"
"""The promise under which differences of shape stand, as in a report of `verify`."""
FIELDS = {"missing_field": "has it", "undocumented_field": "has no such field"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which two answers to a case differ."""

    kind: str
    """One of DRIFT_KINDS."""
    a: str
    b: str
    requirement: str = ""
    """The rule or promise that it is about; empty for that of the case."""


@dataclass(frozen=True, slots=True)
class DriftRow:
    """A difference, and the cases that show it."""

    requirement: str
    kind: str
    documented: str
    """What the contract expects, and how well it knows that."""
    a: str
    b: str
    cases: list[str]


@dataclass(slots=True)
class Drift:
    """What came of a comparison."""

    a: Recording
    b: Recording
    rows: list[DriftRow] = field(default_factory=list)
    agree: int = 0
    missing: dict[str, list[str]] = field(default_factory=dict)
    """The cases that were not compared, by the reason."""
    orphans: list[str] = field(default_factory=list)
    """Recorded answers that no case uses any more."""

    @property
    def compared(self) -> int:
        """How many cases both sides have answered."""
        return self.agree + len({case for row in self.rows for case in row.cases})


def compare(a: Recording, b: Recording, contract: Contract, only: str | None = None) -> Drift:
    """Compare the answers of two services, case by case; `only` names one rule. Raises ValueError if it is unknown."""
    drift = Drift(a, b)
    found: dict[tuple[str, str, str, str, str], list[str]] = defaultdict(list)
    cases = select_cases(contract, Options("", only=only, run=RUN))
    keys = {case.id: (section_of(case), key_of(case, RUN)) for case in cases}
    for case in cases:
        first, second = a.find(*keys[case.id]), b.find(*keys[case.id])
        if first is None or second is None:
            who = "neither" if not first and not second else "not A" if not first else "not B"
            drift.missing.setdefault(who, []).append(case.id)
            continue
        unknown = _unknown_kinds(case)
        differences = [each for each in _compare(contract, case, first, second) if each.kind not in unknown]
        drift.agree += not differences
        for difference in differences:
            requirement = difference.requirement or case.requirement or first.blamed or second.blamed or ACCEPTED
            documented = FIELDS.get(difference.kind, "") if requirement == SCHEMA else _expected(contract, case)
            found[requirement, difference.kind, documented, *apart(difference.a, difference.b)].append(case.id)
    drift.rows = [DriftRow(*what, names) for what, names in found.items()]
    drift.rows.sort(key=lambda row: (row.requirement == SCHEMA, row.requirement, list(DRIFT_KINDS).index(row.kind)))
    if only is None:
        drift.orphans = [line for side in (a, b) for line in _orphans(side, set(keys.values()))]
    return drift


def _expected(contract: Contract, case: Case) -> str:
    """Return what the contract expects of a case, with its evidence."""
    rule = case.rule
    if rule is None:
        return "accepted"
    if rule.error is None:
        return f"accepted, then {contract.lifecycle.failed}, {shown(rule.text())} ({rule.aspects[TEXT].grade})"
    if rule.error.envelope == "html":
        return f"a redirect or an HTML page ({rule.aspects[ANSWER].grade})"
    error = ApiError(rule, **case.details)
    body = render(error, contract.gateway, request_id="", gateway_request_id="<gateway request id>").body
    inner = inner_of(body)
    text = "" if rule.aspects[TEXT].grade == UNKNOWN else f" {shown(inner['message'])}"
    return f"{error.error.http}/{shown(inner['code'])}{text} ({rule.aspects[ANSWER].grade})"


def _unknown_kinds(case: Case) -> set[str]:
    """Return the classes of difference that are about what nobody knows of the answer to a case."""
    aspects = case.rule.aspects if case.rule else {}
    return {kind for aspect, known in aspects.items() if known.grade == UNKNOWN for kind in ASPECT_KINDS[aspect]}


def _compare(contract: Contract, case: Case, a: RecordedAnswer, b: RecordedAnswer) -> Iterator[Difference]:
    if a.accepted != b.accepted:
        yield Difference("stricter" if a.accepted else "looser", a.summary, b.summary)
        return
    if _are_other_things(a, b):
        yield Difference("shape", _form(a), _form(b))
        return
    if a.http != b.http:
        yield Difference("status", f"status {a.http}", f"status {b.http}")
    yield from _compare_told(a, b)
    known = documented_fields(contract, case.operation, a.envelope)
    for name in sorted({*a.headers, *b.headers} - {"location"}):
        yield from _compare_fields({f"header {name}": ""}, f"header {name}", a.headers.get(name), b.headers.get(name))
    if a.body is not None and b.body is not None:
        yield from _compare_objects(known, "", a.body, b.body)
    if a.task and b.task:
        yield from _compare_tasks(contract, a.task, b.task)


def _are_other_things(a: RecordedAnswer, b: RecordedAnswer) -> bool:
    """Tell whether two answers have too little in common to be compared field by field."""
    if a.body is None or b.body is None:
        return a.body is not b.body or a.other != b.other
    alike = a.accepted or str(a.inner.get("code")) == str(b.inner.get("code"))
    return a.envelope != b.envelope and ("gateway" in {a.envelope, b.envelope} or not alike)


def _form(answer: RecordedAnswer) -> str:
    """Say in what form an answer tells its code and message, and what they are."""
    if answer.body is None:
        return answer.summary
    return f"{'error.code and error.message' if answer.envelope == 'gateway' else 'code and message'}: {answer.summary}"


def _compare_told(a: RecordedAnswer, b: RecordedAnswer) -> Iterator[Difference]:
    """Compare code and message; where they have another type, that is told as their shape."""
    codes, texts = ([answer.inner.get(name) for answer in (a, b)] for name in ("code", "message"))
    if codes[0] != codes[1] and shape(codes[0]) == shape(codes[1]):
        code, other = (f"{cell} {shown(text)}" for cell, text in zip(both("code", *codes), texts, strict=True))
        yield Difference("code", code, other)
    elif texts[0] != texts[1] and shape(texts[0]) == shape(texts[1]):
        yield Difference("text", *both("message", *texts))


def _compare_tasks(contract: Contract, a: list[dict[str, Any]], b: list[dict[str, Any]]) -> Iterator[Difference]:
    lifecycle = contract.lifecycle
    end, other = (task[-1].get("task_status") for task in (a, b))
    if end != other:
        if end == lifecycle.succeeded and other == lifecycle.failed:
            kind = "stricter"
        else:
            kind = "looser" if (end, other) == (lifecycle.failed, lifecycle.succeeded) else "task"
        yield Difference(kind, _path(a), _path(b))
        return
    if not (_follows(a, b) or _follows(b, a)):
        yield Difference("task", _path(a), _path(b), "task.status")
    text, another = (task[-1].get("task_status_msg") for task in (a, b))
    if text is not None and another is not None and text != another and shape(text) == shape(another):
        yield Difference("text", *both("task_status_msg", text, another))
    pictures, others = (len(results_of(task[-1])) for task in (a, b))
    if pictures != others:
        yield Difference("task", f"{pictures} pictures", f"{others} pictures", "task.result")
        return
    known = documented_fields(contract, "get_task", "success")
    yield from _compare_objects(known, "data", a[-1], b[-1], "task.")


def _path(task: list[dict[str, Any]]) -> str:
    statuses = "task_status: " + " > ".join(_statuses(task))
    reason = task[-1].get("task_status_msg")
    return f"{statuses}, {shown(reason)}" if reason else statuses


def _statuses(task: list[dict[str, Any]]) -> list[str]:
    statuses = [_status(view.get("task_status")) for view in task]
    return [status for number, status in enumerate(statuses) if number == 0 or status != statuses[number - 1]]


def _status(status: Any) -> str:
    return status if isinstance(status, str) else f"{shape(status)} {json.dumps(status)}"


def _follows(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> bool:
    """Tell whether all that was seen of one task was seen of the other: a query can come too late for a status."""
    left = iter(_statuses(b))  # `in` uses it up to what it finds, so the statuses must come in the same order
    return all(status in left for status in _statuses(a))


def _compare_objects(
    known: dict[str, str], path: str, a: dict[str, Any], b: dict[str, Any], prefix: str = ""
) -> Iterator[Difference]:
    for name in sorted({*a, *b}):
        inner = f"{path}.{name}" if path else name
        shown_as = prefix + inner
        if name in a and name in b:
            yield from _compare_values(known, inner, a[name], b[name], prefix)
        else:
            yield from _compare_fields(
                {shown_as: ""} if inner in known else {}, shown_as, *(shape(side.get(name, ABSENT)) for side in (a, b))
            )


def _compare_fields(known: dict[str, str], name: str, a: str | None, b: str | None) -> Iterator[Difference]:
    """Compare what is there once, or twice, of a header or field."""
    if a == b:
        return
    if a is None or b is None:
        kind = "missing_field" if name in known else "undocumented_field"
        first, second = (f"{name}, {form}" if form else f"no {name}" for form in (a, b))
        yield Difference(kind, first, second, SCHEMA)
    else:
        yield Difference("shape", *both(name, a, b), SCHEMA)


def _compare_values(known: dict[str, str], path: str, a: Any, b: Any, prefix: str) -> Iterator[Difference]:
    name = prefix + path
    if shape(a) != shape(b):
        yield Difference("shape", *both(name, a, b), SCHEMA)
    elif not (is_kept(a) and is_kept(b)):
        return
    elif isinstance(a, dict):
        yield from _compare_objects(known, path, a, b, prefix)
    elif isinstance(a, list):
        if len(a) != len(b):
            yield Difference("shape", f"{name}: {len(a)} items", f"{name}: {len(b)} items", SCHEMA)
        for first, second in zip(a, b, strict=False):
            yield from _compare_values(known, f"{path}[]", first, second, prefix)
    elif a != b and path.rpartition(".")[2] not in {"code", "message", "task_status_msg"}:
        yield Difference("shape", *both(name, a, b), SCHEMA)


def _orphans(recording: Recording, used: set[tuple[str, str]]) -> list[str]:
    """Return the answers that no case uses, each with the nearest rule there is if its own is not one."""
    sections = {section for section, _ in used}
    lines = []
    for section, answers in recording.answers.items():
        if section not in sections:
            hint = nearest(section, sorted(sections))
            lines.append(f"{section}.json of {recording.target}: no case is about a rule {section}{hint}")
            continue
        for key, answer in answers.items():
            if (section, key) not in used:
                lines.append(f"{section}.json of {recording.target}: no case sends what {answer.case} sent")
    return lines
