"""Which cases hold under what is assumed: the contract itself says so of a body, and the rest is named here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .builder import put

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..spec import Contract
    from .builder import Builder
    from .case import Boundary, Case

OTHERWISE = {
    ("bare-key", "accepted"): ("authorization.bearer/bare",),
    ("missing-key", "kling"): ("authorization.bearer/missing", "authorization.bearer/query"),
    ("external-id-query", "yes"): ("task_id.exists/known-external-id", "task_id.exists/external-id"),
    ("external-id-after-failure", "freed"): ("external_task_id.unique/after-failure",),
}
"""Cases that do not hold when an alternative is taken, since something else is right then."""


def is_right(builder: Builder, boundary: Boundary) -> bool:
    """Tell whether the contract of a builder accepts a boundary, with what is assumed of it."""
    contract = builder.contract
    if not _assumes(contract):  # then it is made so that it is right
        return True
    if boundary.requirement and boundary.requirement not in contract.rules | contract.promises:
        return False
    return not boundary.place or not _broken(contract, put(builder.body, boundary.place, boundary.value))


def holds(contract: Contract, case: Case) -> bool:
    """Tell whether what a case expects is what its contract says, with what is assumed of it."""
    if any(case.id in OTHERWISE.get(assumed, ()) for assumed in contract.choice.assume):
        return False
    body, rules = case.request.body, {rule.id for rule in contract.request.rules.values()}
    judged = case.rule and case.rule.id in rules and not case.after and not case.request.raw
    if not _assumes(contract) or body is None or case.rule is None or not judged:
        return True
    return _broken(contract, body)[:1] == ([] if case.accepted else [case.rule.id])


def _assumes(contract: Contract) -> bool:
    return bool(contract.choice.assume or contract.choice.plain_generation)


def _broken(contract: Contract, body: Mapping[str, Any]) -> list[str]:
    operation = contract.operation_for(contract.operations["create_task"], body)
    return [violation.rule.id for violation in contract.requests[operation.operation_id].judge(body)[0]]
