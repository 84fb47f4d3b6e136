"""Judge one reply: does it say what the contract expects of its case? Where it does not, say how it deviates."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..api_error import ApiError, render
from ..cases.boundaries import FIRST_OF_TWO
from ..evidence import ANSWER, INFERRED, LIMIT, TEXT, UNKNOWN
from .answer_schema import REQUIREMENT as SCHEMA
from .answer_schema import field_in
from .blame import blame, is_wrapped, wrapped
from .deviation import Deviation, shown
from .reading import describe, envelope_of, inner_of, is_page, task_id_of
from .rule_texts import field_of, named_rules, wrongly_told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..cases.case import Boundary, Case
    from ..evidence import Evidence
    from ..rule import Rule
    from ..spec import Contract
    from ..targets.target import Reply
    from .answer_schema import AnswerSchemas

LIST = "list_tasks"
UNREADABLE_KINDS = {"accepted", "refused", "envelope"}
"""Deviations after which the schema of the answer says nothing more: it is another answer altogether."""
TOLD_OF = {"code": "code", "status": "status"}
"""Deviations, and the field of which the schema then says the same once more."""


def judge(contract: Contract, schemas: AnswerSchemas | None, case: Case, reply: Reply) -> list[Deviation]:
    """Return how a reply deviates from what its case expects, and from its schema if `schemas` are given.

    What is unknown is expected of nobody, so nothing deviates from it; but a field that no page mentions is among what is returned.
    """
    differing = list(
        _judge_acceptance(contract, case, reply) if case.accepted else _judge_refusal(contract, case, reply)
    )
    found = [deviation for deviation in differing if deviation.is_judged]
    if schemas and not any(deviation.kind in UNREADABLE_KINDS for deviation in differing):
        by_schema = schemas.judge(case.operation, case.request.path, reply)
        found += [deviation for deviation in by_schema if not is_told(deviation, differing)]
    return found


def is_told(deviation: Deviation, found: Iterable[Deviation]) -> bool:
    """Tell whether a deviation from the schema says once more what others have said."""
    field = field_in(deviation) if deviation.requirement == SCHEMA else ""
    return any(field == TOLD_OF.get(other.kind) for other in found)


def _judge_acceptance(contract: Contract, case: Case, reply: Reply) -> Iterator[Deviation]:
    body = reply.body
    listed = isinstance(body, dict) and case.operation == LIST and isinstance(body.get("data"), list)
    if isinstance(body, dict) and (listed or task_id_of(reply)):
        success = contract.errors["0"]
        if reply.http != success.http:
            yield Deviation(SCHEMA, "status", str(success.http), str(reply.http), success.aspects[ANSWER])
        if body.get("code") != 0 or isinstance(body.get("code"), bool):
            yield Deviation(SCHEMA, "code", "0", shown(body.get("code")), success.aspects[ANSWER])
        return
    tried = [boundary.requirement for boundary in _likeliest_first(contract, case, reply)]
    named = named_rules(contract, reply)
    likely = [rule for rule in named if rule in tried or field_of(rule) == field_of(case.requirement)]
    requirement = next(iter(filter(None, (case.promise, *likely, *named, case.requirement, *tried))), "")
    if "refusal.nothing" in tried and requirement == "external_task_id.unique":
        requirement = "refusal.nothing"  # the id is new; only a create that was refused has carried it
    if FIRST_OF_TWO in describe(reply):  # which no boundary has sent but that of the key which is there twice
        requirement = "body.json"
    labels = [boundary.label for boundary in case.covers if boundary.requirement == requirement]
    if case.rule and case.rule.aspects[LIMIT].grade == INFERRED:  # that its task fails instead is not sure
        requirement, labels = case.requirement, [case.rule.kind]
    yield refused(contract, requirement, labels[0] if len(labels) == 1 else "", "accepted", describe(reply))


def _likeliest_first(contract: Contract, case: Case, reply: Reply) -> list[Boundary]:
    """Return what a case tries: what the text speaks of before all else, and what is only inferred before what is known."""
    text = describe(reply)

    def unlikely(boundary: Boundary) -> tuple[bool, bool]:
        told = boundary.about and re.search(rf"\b{re.escape(boundary.about)}\b", text)
        return not told, not is_inferred(contract, boundary)

    return sorted(case.covers, key=unlikely)


def refused(contract: Contract, requirement: str, label: str, expected: str, got: str) -> Deviation:
    """Return the deviation of a right request that was refused, for one boundary of a rule or promise if it is known which."""
    kind, requirement = label.rpartition("/")[2], requirement or SCHEMA
    settled = contract.questions.settled(requirement, kind, LIMIT)
    return Deviation(requirement, "refused", expected, got, evidence_of(contract, requirement, kind), settled)


def evidence_of(contract: Contract, requirement: str, kind: str = "") -> Evidence:
    """Return how well it is known that a rule, for inputs of a kind, or a promise holds at all."""
    if requirement in contract.rules:
        return contract.questions.known(contract.rules[requirement], kind).aspects[LIMIT]
    return contract.promises[requirement].evidence


def is_inferred(contract: Contract, boundary: Boundary) -> bool:
    """Tell whether it is only inferred that a boundary is accepted."""
    return evidence_of(contract, boundary.requirement, boundary.label.rpartition("/")[2]).grade == INFERRED


def _judge_refusal(contract: Contract, case: Case, reply: Reply) -> Iterator[Deviation]:
    rule = case.rule
    if rule is None or rule.error is None:
        return

    def deviation(kind: str, expected: str, got: str, aspect: str, requirement: str = case.requirement) -> Deviation:
        settled = contract.questions.settled(rule.id, rule.kind, aspect)
        return Deviation(requirement, kind, expected, got, rule.aspects[aspect], settled)

    blamed = blame(contract, case, reply)

    error = ApiError(rule, **case.details)
    page = error.error.envelope == "html"  # documented is only: a redirect or a page
    known = rule.aspects[TEXT].grade != UNKNOWN
    wanted = f"{error.error.http}/{error.error.code}{f' {error.message!r}' if known else ''}"
    wanted = "a redirect or an HTML page" if page else wanted
    if _succeeded(case, reply):
        yield deviation("accepted", f"refused, {wanted}", describe(reply), LIMIT)
        return
    if page:
        if isinstance(reply.body, dict) or not ((is_page(reply) and reply.http < 500) or 300 <= reply.http < 400):
            yield deviation("envelope", wanted, describe(reply), ANSWER)
        return
    expected = render(error, contract.gateway, request_id="", gateway_request_id="*").body
    if blamed:
        requirement, kind = blamed
        yield refused(contract, requirement, kind, f"{wanted}, or accepted but for that", describe(reply))
        return
    if not isinstance(expected, dict) or envelope_of(reply.body) != envelope_of(expected):
        found = deviation("envelope", wanted, describe(reply), ANSWER)
        yield wrapped(contract, found) if is_wrapped(error, reply) else found
        return
    if reply.http != error.error.http:
        yield deviation("status", str(error.error.http), str(reply.http), ANSWER)
    answered, asked = inner_of(reply.body), inner_of(expected)
    if answered.get("code") != asked["code"]:
        codes = shown(asked["code"]), shown(answered.get("code"))
        if str(answered.get("code")) == str(
            asked["code"]
        ):  # then only its type is another, which is no matter of the rule
            yield Deviation(SCHEMA, "code", *codes, evidence_of(contract, SCHEMA))
        else:
            yield deviation("code", *codes, ANSWER)
    elif not _is_text(rule, str(answered.get("message")), str(asked["message"])):
        wrong = wrongly_told(contract, rule, str(answered.get("message")))
        found = deviation("text", shown(error.message), shown(answered.get("message")), TEXT, wrong or case.requirement)
        limit = contract.questions.settled(wrong, "", LIMIT) if wrong else ""
        yield replace(found, assumption=limit or found.assumption)


def _succeeded(case: Case, reply: Reply) -> bool:
    if not 200 <= reply.http < 300:
        return False
    return bool(task_id_of(reply)) or (envelope_of(reply.body) == "success") or (reply.body is None and case.creates)


def _is_text(rule: Rule, answered: str, expected: str) -> bool:
    """Tell whether a text is that of a rule, in any form in which it is known; `*` stands for a request id."""
    start, star, end = expected.partition("*")
    if star:
        return answered.startswith(start) and answered.endswith(end) and len(answered) > len(expected) - 1
    return answered == expected or any(answered.startswith(expected + more) for more in rule.continued)
