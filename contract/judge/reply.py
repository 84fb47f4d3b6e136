"""Judge one reply: does it say what the contract expects of its case? Where it does not, say how it deviates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import ApiError, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..cases.case import Case
    from ..rules import Rule
    from ..spec import Contract
    from ..targets.target import Reply
    from .answer_schema import AnswerSchemas

KINDS = {
    "accepted": "a request that breaks a rule is accepted",
    "refused": "a right request is refused",
    "envelope": "the error comes in another form of JSON (its envelope), or not as JSON",
    "status": "the HTTP status is another",
    "code": "the code is another",
    "text": "the text is another",
    "missing_field": "a field of the answer is missing",
    "undocumented_field": "a field of the answer is not documented",
    "schema": "a field of the answer has another type or form",
    "promise": "the service does not keep a promise",
    "no_answer": "there was no whole answer",
}
LONGEST = 160
"""Characters of a foreign text that a report shows."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """One way in which a target differs from the contract."""

    subject: str
    """Id of the rule or promise."""
    kind: str
    """One of KINDS."""
    expected: str
    got: str
    evidence: str
    """How well the contract itself knows what it expects."""


def task_id_of(reply: Reply) -> str:
    """Return the id of the task that a reply speaks of, however oddly; empty if there is none."""
    body = reply.body if isinstance(reply.body, dict) else {}
    found = reply.data.get("task_id", body.get("task_id"))
    return printable(str(found)) if isinstance(found, (str, int)) and 200 <= reply.http < 300 else ""


def may_cost(contract: Contract, reply: Reply) -> bool:
    """Tell whether a create may have been carried out, by its answer: always, but for what is clearly a refusal."""
    if 300 <= reply.http < 500:
        return False
    code = inner_of(reply.body).get("code")
    refusals = {error.code for error in contract.errors.values() if error.code not in {0, ""}}
    return not (isinstance(code, (int, str)) and not isinstance(code, bool) and code in refusals)


def judge(contract: Contract, schemas: AnswerSchemas | None, case: Case, reply: Reply) -> list[Deviation]:
    """Return how a reply deviates from what its case expects, and from its schema if `schemas` are given."""
    found = list(_judge_acceptance(contract, case, reply) if case.accepted else _judge_refusal(contract, case, reply))
    if schemas and not any(each.kind in {"accepted", "refused", "envelope", "no_answer"} for each in found):
        found += schemas.judge(case.operation, case.request.path, reply)
    return found


def _judge_acceptance(contract: Contract, case: Case, reply: Reply) -> Iterator[Deviation]:
    body = reply.body
    if isinstance(body, dict) and task_id_of(reply):
        if reply.http != (http := contract.errors["0"].http):
            yield Deviation("answer.schema", "status", str(http), str(reply.http), _evidence(contract, "answer.schema"))
        if body.get("code") != 0 or isinstance(body.get("code"), bool):
            yield Deviation("answer.schema", "code", "0", shown(body.get("code")), _evidence(contract, "answer.schema"))
        return
    tried = [each.rule for each in case.covers]
    named = named_rules(contract, reply)
    likely = [rule for rule in named if rule in tried or _field(rule) == _field(case.subject)]
    subject = next(iter(filter(None, (case.promise, *likely, *named, case.subject, *tried))), "")
    if any(each.label == "unique/new" for each in case.covers) and subject == "external_task_id.unique":
        subject = "refusal.nothing"  # the id is new; only a create that was refused has carried it
    yield Deviation(subject or "answer.schema", "refused", "accepted", describe(reply), limit_of(contract, subject))


def _judge_refusal(contract: Contract, case: Case, reply: Reply) -> Iterator[Deviation]:
    rule = case.rule
    if rule is None or rule.error is None:
        return
    error = ApiError(rule, **case.details)
    subject = case.subject
    wanted = f"{error.error.http}/{error.error.code} {error.message!r}"
    if _succeeded(case, reply):
        wanted = "a redirect or an HTML page" if error.error.envelope == "html" else wanted
        yield Deviation(subject, "accepted", f"refused, {wanted}", describe(reply), limit_of(contract, subject))
        return
    if error.error.envelope == "html":  # documented is only: a redirect or a page
        page = b"<" in reply.content[:200] and reply.http < 500
        if isinstance(reply.body, dict) or not (page or 300 <= reply.http < 400):
            yield Deviation(subject, "envelope", "a redirect or an HTML page", describe(reply), rule.evidence)
        return
    expected = render(error, contract.gateway, request_id="", gateway_request_id="*").body
    if not isinstance(expected, dict) or envelope_of(reply.body) != envelope_of(expected):
        yield Deviation(subject, "envelope", wanted, describe(reply), rule.evidence)
        return
    if reply.http != error.error.http:
        yield Deviation(subject, "status", str(error.error.http), str(reply.http), rule.evidence)
    answered, asked = inner_of(reply.body), inner_of(expected)
    if answered.get("code") != asked["code"]:
        yield Deviation(subject, "code", shown(asked["code"]), shown(answered.get("code")), rule.evidence)
    elif not _same_text(str(answered.get("message")), str(asked["message"])):
        subject = _limit_told(contract, rule, str(answered.get("message"))) or subject
        yield Deviation(subject, "text", shown(error.message), shown(answered.get("message")), rule.evidence)


def envelope_of(body: Any) -> str:
    """Name the envelope that an answer comes in, as the error catalogue does; `success`, or `none` for no JSON object."""
    if not isinstance(body, dict):
        return "none"
    if "error" in body:
        return "gateway"
    code = body.get("code")
    if isinstance(code, str) and "request_id" not in body:
        return "task"
    return "success" if code == 0 else "kling"


def named_rules(contract: Contract, reply: Reply) -> list[str]:
    """Return the ids of the rules that a refusal can mean by its text."""
    message = inner_of(reply.body).get("message") if isinstance(reply.body, dict) else None
    if not isinstance(message, str):
        return []
    return [rule.id for rule in contract.rules.values() if rule.error and _pattern(rule).match(message)]


def describe(reply: Reply) -> str:
    """Say in a few words what a reply is."""
    if isinstance(reply.body, dict):
        inner = inner_of(reply.body)
        if task_id := task_id_of(reply):
            return f"{reply.http}, task {task_id}"
        if "code" not in inner and "message" not in inner:
            return f"{reply.http}, JSON without code and message"
        return f"{reply.http}/{shown(inner.get('code'))} {shown(inner.get('message'))}"
    if 300 <= reply.http < 400:
        return f"{reply.http}, a redirect"
    kind = "a page" if b"<" in reply.content[:200] else "no JSON object"
    return f"{reply.http}, {kind}"


def shown(value: object) -> str:
    """Return a value from outside as it can stand in a report: short, and without control characters."""
    return clipped(repr(value) if isinstance(value, str) else str(value))


def clipped(text: str) -> str:
    """Return a text with something of a service in it as it can stand in a report: short, and printable."""
    text = printable(text)
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def printable(text: str) -> str:
    """Return a text in which control characters and lone surrogates are escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def limit_of(contract: Contract, subject: str) -> str:
    """Return how well it is known that a rule or promise holds at all."""
    if subject in contract.rules:
        return contract.rules[subject].limit_evidence
    return _evidence(contract, subject) if subject in contract.promises else "inferred"


def _evidence(contract: Contract, promise: str) -> str:
    return contract.promises[promise].evidence


def _succeeded(case: Case, reply: Reply) -> bool:
    if not 200 <= reply.http < 300:
        return False
    return bool(task_id_of(reply)) or (envelope_of(reply.body) == "success") or (reply.body is None and case.creates)


def inner_of(body: Any) -> dict[str, Any]:
    """Return what holds code and message."""
    if not isinstance(body, dict):
        return {}
    inner = body.get("error", body)
    return inner if isinstance(inner, dict) else {}


def _same_text(answered: str, expected: str) -> bool:
    """Compare texts; `*` stands for a request id."""
    start, star, end = expected.partition("*")
    if not star:
        return answered == expected
    return answered.startswith(start) and answered.endswith(end) and len(answered) > len(expected) - 1


def _limit_told(contract: Contract, rule: Rule, text: str) -> str:
    """Return the rule whose limit a text tells wrongly, such as `maxItems` in a text about `minItems`; empty if there is none."""
    match = _pattern(rule).fullmatch(text)
    told = match.groupdict().items() if match else ()
    wrong = (
        f"{_field(rule.id)}.{name}" for name, value in told if name in rule.params and value != str(rule.params[name])
    )
    return next((each for each in wrong if each in contract.rules), "")


def _field(rule_id: str) -> str:
    return rule_id.rpartition(".")[0]


def _pattern(rule: Rule) -> re.Pattern[str]:
    """Return what every text of a rule looks like, whatever its limits and values, which are its groups."""
    return _compiled(rule.message.replace("{field}", str(rule.params.get("field", ""))))


@cache
def _compiled(template: str) -> re.Pattern[str]:
    seen: set[str] = set()

    def group(match: re.Match[str]) -> str:
        again = match[1] in seen
        seen.add(match[1])
        return f"(?P={match[1]})" if again else f"(?P<{match[1]}>.*)"

    return re.compile(re.sub(r"\\\{(\w+)\\\}", group, re.escape(template)), re.DOTALL)
