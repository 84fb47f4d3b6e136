"""Judge one reply: does it say what the contract expects of its case? Where it does not, say how it deviates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..api_error import ApiError, render
from .answer_schema import REQUIREMENT as SCHEMA
from .answer_schema import field_in
from .deviation import Deviation, shown
from .reading import describe, envelope_of, inner_of, task_id_of
from .rule_texts import field_of, named_rules, wrongly_told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..cases.case import Case
    from ..spec import Contract
    from ..targets.target import Reply
    from .answer_schema import AnswerSchemas

LIST = "list_tasks"
UNREADABLE_KINDS = {"accepted", "refused", "envelope"}
"""Deviations after which the schema of the answer says nothing more: it is another answer altogether."""
TOLD_OF = {"code": "code", "status": "status"}
"""Deviations, and the field of which the schema then says the same once more."""


def judge(contract: Contract, schemas: AnswerSchemas | None, case: Case, reply: Reply) -> list[Deviation]:
    """Return how a reply deviates from what its case expects, and from its schema if `schemas` are given."""
    found = list(_judge_acceptance(contract, case, reply) if case.accepted else _judge_refusal(contract, case, reply))
    if schemas and not any(deviation.kind in UNREADABLE_KINDS for deviation in found):
        by_schema = schemas.judge(case.operation, case.request.path, reply)
        found += [deviation for deviation in by_schema if not is_told(deviation, found)]
    return found


def is_told(deviation: Deviation, found: Iterable[Deviation]) -> bool:
    """Tell whether a deviation from the schema says once more what others have said."""
    field = field_in(deviation) if deviation.requirement == SCHEMA else ""
    return any(field == TOLD_OF.get(other.kind) for other in found)


def _judge_acceptance(contract: Contract, case: Case, reply: Reply) -> Iterator[Deviation]:
    body = reply.body
    listed = isinstance(body, dict) and case.operation == LIST and isinstance(body.get("data"), list)
    if isinstance(body, dict) and (listed or task_id_of(reply)):
        if reply.http != (http := contract.errors["0"].http):
            yield Deviation("answer.schema", "status", str(http), str(reply.http), _evidence(contract, "answer.schema"))
        if body.get("code") != 0 or isinstance(body.get("code"), bool):
            yield Deviation("answer.schema", "code", "0", shown(body.get("code")), _evidence(contract, "answer.schema"))
        return
    tried = [boundary.requirement for boundary in case.covers]
    named = named_rules(contract, reply)
    likely = [rule for rule in named if rule in tried or field_of(rule) == field_of(case.requirement)]
    requirement = next(iter(filter(None, (case.promise, *likely, *named, case.requirement, *tried))), "")
    if any(boundary.label == "unique/new" for boundary in case.covers) and requirement == "external_task_id.unique":
        requirement = "refusal.nothing"  # the id is new; only a create that was refused has carried it
    yield Deviation(
        requirement or "answer.schema", "refused", "accepted", describe(reply), limit_of(contract, requirement)
    )


def _judge_refusal(contract: Contract, case: Case, reply: Reply) -> Iterator[Deviation]:
    rule = case.rule
    if rule is None or rule.error is None:
        return
    error = ApiError(rule, **case.details)
    requirement = case.requirement
    wanted = f"{error.error.http}/{error.error.code} {error.message!r}"
    if _succeeded(case, reply):
        wanted = "a redirect or an HTML page" if error.error.envelope == "html" else wanted
        yield Deviation(requirement, "accepted", f"refused, {wanted}", describe(reply), limit_of(contract, requirement))
        return
    if error.error.envelope == "html":  # documented is only: a redirect or a page
        page = b"<" in reply.content[:200] and reply.http < 500
        if isinstance(reply.body, dict) or not (page or 300 <= reply.http < 400):
            yield Deviation(requirement, "envelope", "a redirect or an HTML page", describe(reply), rule.evidence)
        return
    expected = render(error, contract.gateway, request_id="", gateway_request_id="*").body
    if not isinstance(expected, dict) or envelope_of(reply.body) != envelope_of(expected):
        yield Deviation(requirement, "envelope", wanted, describe(reply), rule.evidence)
        return
    if reply.http != error.error.http:
        yield Deviation(requirement, "status", str(error.error.http), str(reply.http), rule.evidence)
    answered, asked = inner_of(reply.body), inner_of(expected)
    if answered.get("code") != asked["code"]:
        same = str(answered.get("code")) == str(
            asked["code"]
        )  # then its type is another, which is no matter of the rule
        about = SCHEMA if same else requirement
        yield Deviation(about, "code", shown(asked["code"]), shown(answered.get("code")), rule.evidence)
    elif not _same_text(str(answered.get("message")), str(asked["message"])):
        requirement = wrongly_told(contract, rule, str(answered.get("message"))) or requirement
        yield Deviation(requirement, "text", shown(error.message), shown(answered.get("message")), rule.evidence)


def limit_of(contract: Contract, requirement: str) -> str:
    """Return how well it is known that a rule or promise holds at all."""
    if requirement in contract.rules:
        return contract.rules[requirement].limit_evidence
    return _evidence(contract, requirement) if requirement in contract.promises else "inferred"


def _evidence(contract: Contract, promise: str) -> str:
    return contract.promises[promise].evidence.grade


def _succeeded(case: Case, reply: Reply) -> bool:
    if not 200 <= reply.http < 300:
        return False
    return bool(task_id_of(reply)) or (envelope_of(reply.body) == "success") or (reply.body is None and case.creates)


def _same_text(answered: str, expected: str) -> bool:
    """Compare texts; `*` stands for a request id."""
    start, star, end = expected.partition("*")
    if not star:
        return answered == expected
    return answered.startswith(start) and answered.endswith(end) and len(answered) > len(expected) - 1
