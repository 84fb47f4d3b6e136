"""Send one case to a target and judge the answer: for contract tests of your own, and the state machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .cases.case import create_case
from .evidence import GRADES, RECORDED
from .judge.answer_schema import schemas_of
from .judge.reply import judge
from .spec import load_contract
from .targets.target import without

if TYPE_CHECKING:
    from .cases.case import Case
    from .spec import Contract
    from .targets.target import Reply, Target


def check_create(
    target: Target, body: Any, *, key: str | None = None, contract: Contract | None = None, fail_on: str = RECORDED
) -> Reply:
    """Submit any JSON, and return the answer if it is what the rules say of that body; `fail_on` is how well that must be known.

    Else raises AssertionError, which names the rules or promises; NoAnswerError if no whole answer comes; ValueError for a
    body that is no JSON.
    """
    __tracebackhide__ = True
    contract = contract or load_contract()
    reply, found = send_case(target, contract, create_case(contract, "check", body), key, fail_on)
    if found:
        raise AssertionError("\n".join(found))
    return reply


def send_case(
    target: Target, contract: Contract, case: Case, key: str | None, fail_on: str = RECORDED
) -> tuple[Reply, list[str]]:
    """Return the answer to a case, and a line for each deviation from what is known at least so well. Raises NoAnswerError."""
    __tracebackhide__ = True
    reply = without([key or target.key], target.send(case.request, key))
    differing = judge(contract, schemas_of(contract), case, reply)
    found = [deviation for deviation in differing if deviation.evidence.grade in at_least(fail_on)]
    return reply, [f"{wrong.requirement}: expected {wrong.expected}, got {wrong.got}" for wrong in found]


def at_least(grade: str) -> tuple[str, ...]:
    """Return the grades of what is known so well, or better."""
    return GRADES[: GRADES.index(grade) + 1]
