"""What an answer is about, if it is not about the rule that its request has broken: the answer itself says so."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..evidence import ANSWER, weakest
from .reading import envelope_of, inner_of
from .rule_texts import field_of, named_rules, wrongly_told

if TYPE_CHECKING:
    from typing import Any

    from ..api_error import ApiError
    from ..cases.case import Case
    from ..spec import Contract
    from ..targets.target import Reply
    from .deviation import Deviation

PASSTHROUGH = "error-passthrough"
"""The question whether a gateway passes on an error as it is."""
FIRST_WORD = re.compile(r"[^\s:']+")


def blame(contract: Contract, case: Case, reply: Reply) -> tuple[str, str] | None:
    """Return the rule or promise, and the kind of input, for which a request is refused by its text, though nothing is wrong there.

    None if the text names no field of the request, the field of the rule that the request breaks, or one that it breaks too;
    and if the request was sent as bytes, since these say something else than its fields.
    """
    body, rule = case.request.body if case.request.raw is None else None, case.rule
    word = FIRST_WORD.match(str(inner_of(reply.body).get("message", "")))
    name = word[0] if word else ""
    if not isinstance(body, dict) or rule is None or name not in body or name in rule.id.split("."):
        return None
    request = contract.requests.get(case.operation)
    if request is None or any(name in violation.rule.id.split(".") for violation in request.judge(body)[0]):
        return None
    if name not in request.known_fields[()]:
        promise = "request.unknown_fields"
        return (promise, "") if promise in contract.promises else None
    named = [each for each in named_rules(contract, reply) if field_of(each) == name]
    if any(wrongly_told(contract, contract.rules[each], str(inner_of(reply.body)["message"])) for each in named):
        return None  # with other limits it has judged something else than this request
    requirement = next(iter(named), f"{name}.type")
    return requirement, next((kind for kind in odd_kinds(body[name]) if _is_asked(contract, requirement, kind)), "")


def is_wrapped(error: ApiError, reply: Reply) -> bool:
    """Tell whether an answer is the error that was expected, only in another envelope."""
    answered = inner_of(reply.body)
    same_code = str(answered.get("code")) == str(error.error.code)
    same_text = bool(error.message) and error.message in str(answered.get("message"))
    return error.error.envelope == "kling" and envelope_of(reply.body) != "none" and (same_code or same_text)


def wrapped(contract: Contract, found: Deviation) -> Deviation:
    """Return the deviation of an error in another envelope: how well that is known is a question of its own, if it is one there."""
    question = contract.questions.named(PASSTHROUGH)
    if question is None:
        return found
    return replace(found, evidence=weakest([found.evidence, question.aspects[ANSWER]]), assumption=question.id)


def odd_kinds(value: Any) -> list[str]:
    """Name what can be odd about a value that is right."""
    if not isinstance(value, str):
        return ["null-as-absent"] if value is None else []
    told = {"empty": not value, "longest-of-4-bytes": not value.isascii(), "nul": "\0" in value, "any-text": True}
    return [kind for kind, is_so in told.items() if is_so]


def _is_asked(contract: Contract, requirement: str, kind: str) -> bool:
    return bool(contract.questions.about_kind(requirement, kind))
