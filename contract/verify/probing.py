"""Look whether a target speaks this API and takes the key, before a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cases.case import UNKNOWN_TASK
from ..judge.reading import describe
from ..targets.target import NoAnswerError, Request, without

if TYPE_CHECKING:
    from ..spec import Contract
    from ..targets.target import Reply, Target
    from .selection import Options


class UnusableTargetError(Exception):
    """Nothing can be tested there; the message says why, in one line."""


def probe(target: Target, contract: Contract, options: Options) -> None:
    """Query a task that nobody has, which costs nothing. Raises UnusableTargetError if the answer is no answer of this API."""
    operation = contract.operations["get_task"]
    request = Request(operation.method, operation.path.replace("{task_id}", UNKNOWN_TASK))
    for name, key in (("key", options.key), ("other key", options.other_key)):
        if key is not None:
            _probe(target, request, name, key)


def _probe(target: Target, request: Request, name: str, key: str) -> None:
    try:
        reply = without([key], target.send(request, key))
    except NoAnswerError as error:
        raise UnusableTargetError(f"{target.name}: {error}") from None
    if problem := _problem(reply, name):
        raise UnusableTargetError(f"{target.name} {problem}")


def _problem(reply: Reply, name: str) -> str:
    """Say why a target cannot be tested that has answered so; empty if it can."""
    if 300 <= reply.http < 400:
        return "redirects; give the address that it redirects to"
    if reply.http >= 500:
        return f"is out of order: a query was answered with {describe(reply)}"
    body = reply.body if isinstance(reply.body, dict) else {}
    if not (isinstance(body.get("error"), dict) or ("code" in body and "message" in body)):
        return f"is some other service, or a wrong address: a query was answered with {describe(reply)}"
    return f"does not accept the {name}: {describe(reply)}" if reply.http == 401 else ""
