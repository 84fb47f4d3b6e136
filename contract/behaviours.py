"""Every behaviour that the contract knows, aspect by aspect, from its document alone: what it says, and how well that is known."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .evidence import ANSWER, GRADES, LIMIT, TEXT
from .spec import operation_specs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .assumption import Assumption
    from .evidence import Evidence
    from .rule import ErrorSpec, Rule
    from .spec import Contract

RULE, ERROR, PROMISE, QUESTION, SENT, SHOWN, LIFECYCLE, CALLBACKS, PRICE, TASK_ID = KINDS = (
    "rule",
    "error",
    "promise",
    "question",
    "sent",
    "shown",
    "lifecycle",
    "callbacks",
    "price",
    "task_id",
)
"""Kinds of behaviour; `question` is what is done while an assumption is open, `sent` is a field of a request, `shown` one of an answer or callback."""
PICTURE_LIMITS = {
    "base64": ("schemes",),
    "fetch": ("schemes",),
    "maxBytes": ("maxMegabytes", "megabyte"),
    "pixels": ("formats", "minPixels", "maxRatio"),
}
"""What of `x-image` is the limit of a rule that JSON Schema has no keyword for."""
ENTRY = ("stage", "phase", "error", "message", "evidence")
"""What an entry of `x-rules` has besides limits."""


@dataclass(frozen=True, slots=True)
class Aspect:
    """One aspect of one behaviour."""

    kind: str
    """One of KINDS."""
    name: str
    aspect: str
    """`limit`, `answer` or `text`; empty for a behaviour of one aspect."""
    says: str
    """What the contract says of it."""
    evidence: Evidence
    assumptions: tuple[str, ...] = ()
    """Open questions that would settle it; in brackets the inputs for which one overrules it, where that is not all."""

    @property
    def behaviour(self) -> str:
        """Kind and name of the behaviour."""
        return f"{self.kind} {self.name}"

    @property
    def id(self) -> str:
        """What stands for it in a file: behaviour and aspect."""
        return f"{self.behaviour}, {self.aspect}" if self.aspect else self.behaviour

    def has(self, words: Iterable[str]) -> bool:
        """Tell whether each word is in its name, grade, source or open questions, in capitals or not."""
        text = " ".join([self.id, self.evidence.grade, self.evidence.source, *self.assumptions]).lower()
        return all(word.lower() in text for word in words)


@lru_cache(maxsize=8)
def aspects_of(contract: Contract) -> tuple[Aspect, ...]:
    """Return every aspect of every behaviour, in the order of the contract.

    Raises ContractError for one whose evidence is not said.
    """
    return (
        *(aspect for rule in contract.rules.values() for aspect in _of_rule(contract, rule)),
        *(aspect for error in contract.errors.values() for aspect in _of_error(error)),
        *_promises(contract),
        *_defaults(contract),
        *_sent(contract),
        *_shown(contract),
        *_lifecycle(contract),
        *_of_others(contract),
    )


def count_grades(aspects: Iterable[Aspect]) -> dict[str, int]:
    """Return how many aspects have each grade, the strongest first."""
    counted = Counter(aspect.evidence.grade for aspect in aspects)
    return {grade: counted[grade] for grade in GRADES}


def evidence_body(contract: Contract, evidence: Evidence) -> dict[str, str]:
    """Return how well something is known as JSON, with its source in full."""
    return {
        "grade": evidence.grade,
        "source": evidence.source,
        "title": contract.sources.entries[evidence.source]["title"],
        "date": evidence.date,
        "note": evidence.note,
    }


def as_json(contract: Contract, aspects: Iterable[Aspect]) -> dict[str, Any]:
    """Return aspects as JSON, with their sources in full."""
    rows = list(aspects)
    return {
        "contract": str(contract.choice),
        "totals": count_grades(rows),
        "aspects": [
            {
                "kind": row.kind,
                "name": row.name,
                **aspect_body(contract, row, row.evidence),
                "assumptions": list(row.assumptions),
            }
            for row in rows
        ],
    }


def aspect_body(contract: Contract, aspect: Aspect, evidence: Evidence) -> dict[str, Any]:
    """Return what an aspect says and how well it is known, by an evidence, as JSON."""
    return {
        "aspect": aspect.aspect,
        "says": aspect.says,
        **evidence_body(contract, evidence),
    }


def fields_in(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each field of a JSON object, as the aspects name them: `get_task.data.task_id`."""
    if isinstance(value, dict):
        for field, inner in value.items():
            yield f"{name}.{field}", inner
            yield from fields_in(f"{name}.{field}", inner)
    elif isinstance(value, list):
        for item in value:
            yield from fields_in(f"{name}[]", item)


# Rules, errors, promises


def _of_rule(contract: Contract, rule: Rule) -> Iterator[Aspect]:
    answer = _answer(rule.error) if rule.error else f"accepted, then {contract.lifecycle.failed}"
    questions = _questions(contract, rule.id)
    for aspect, says in ((LIMIT, _limit(contract, rule)), (ANSWER, answer), (TEXT, rule.template)):
        about = tuple(text for question, text in questions if aspect in question.aspects)
        yield Aspect(RULE, rule.id, aspect, says, rule.aspects[aspect], about)


def _limit(contract: Contract, rule: Rule) -> str:
    """Say what a rule demands: the value of its keyword, or what else the contract says of it."""
    *_, keyword = rule.pointer.split("/")
    if "/x-rules/" not in rule.pointer and not rule.pointer.startswith("/x-rules/"):
        return "must be there" if keyword == "required" else _text(contract.at(rule.pointer))
    names = PICTURE_LIMITS.get(keyword)
    limits = {name: rule.params[name] for name in names} if names else _without(rule.params, rule)
    return ", ".join(f"{name} {_text(value)}" for name, value in limits.items())


def _without(params: Mapping[str, Any], rule: Rule) -> dict[str, Any]:
    """Return what the entry of a rule that belongs to no field says besides what every entry does."""
    return {} if "field" in params or rule.phase == "async" else {k: v for k, v in params.items() if k not in ENTRY}


def _answer(error: ErrorSpec) -> str:
    code = "" if error.code == "" else f", code {_text(error.code)}"
    return f"{error.http}{code}, envelope {error.envelope}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _of_error(error: ErrorSpec) -> Iterator[Aspect]:
    for aspect, says in ((ANSWER, _answer(error)), (TEXT, error.message)):
        yield Aspect(ERROR, error.key, aspect, says, error.aspects[aspect])


def _promises(contract: Contract) -> Iterator[Aspect]:
    for promise in contract.promises.values():
        about = tuple(text for _, text in _questions(contract, promise.id))
        yield Aspect(PROMISE, promise.id, "", promise.text, promise.evidence, about)


def _defaults(contract: Contract) -> Iterator[Aspect]:
    """Yield what is done while a question is open, once if all that it is about is known alike."""
    for question in contract.assumptions:
        alike = len(set(question.aspects.values())) == 1
        for aspect in list(question.aspects)[: 1 if alike else None]:
            does = question.alternatives[question.default]
            yield Aspect(QUESTION, question.id, "" if alike else aspect, does, question.aspects[aspect])


def _questions(contract: Contract, requirement: str) -> list[tuple[Assumption, str]]:
    """Return the open questions about a rule or promise, each after its id with the inputs that it is about, if not all."""
    found = []
    for assumption in contract.assumptions:
        kinds = [
            kind
            for name, _, kind in (text.partition("/") for text in assumption.about)
            if name == requirement or ("*" in name and fnmatchcase(requirement, name))
        ]
        if kinds:
            found.append((assumption, assumption.id if "" in kinds else f"{assumption.id} ({', '.join(kinds)})"))
    return found


# Fields


def _sent(contract: Contract) -> Iterator[Aspect]:
    for operation_id, request in contract.requests.items():
        for path, fields in request.known_fields.items():
            place = ".".join((operation_id, *path)).replace(".items", "[]")
            yield from (
                _field(contract, SENT, f"{place}.{field}", request.nodes[*path, field], request.nodes[path])
                for field in fields
            )


def _shown(contract: Contract) -> Iterator[Aspect]:
    for name, schema in _schemas(contract).items():
        yield from _fields(contract, SHOWN, name, schema)
    for header in contract.document["components"].get("headers", {}).values():
        evidence = contract.sources.evidence(header.get("x-evidence"), "a header")
        yield Aspect(SHOWN, f"header {contract.request_id_header}", "", header["schema"]["pattern"], evidence)


def _schemas(contract: Contract) -> dict[str, dict[str, Any]]:
    """Return the schema of each answer: a success and a callback by their operation, a refusal by its envelope."""
    found: dict[str, dict[str, Any]] = {}
    for _, _, operation_id, spec in operation_specs(contract.document):
        for status, response in spec["responses"].items():
            content = _resolved(contract, response).get("content", {})
            for schema in (media["schema"] for media in content.values()):
                if status == "200":
                    found[operation_id] = schema
                else:
                    found |= {_last(one["$ref"]): one for one in schema.get("anyOf", [schema])}
        for callback in spec.get("callbacks", {}).values():
            for item in callback.values():
                called = item["post"]
                found[called["operationId"]] = called["requestBody"]["content"]["application/json"]["schema"]
    return found


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


def _fields(contract: Contract, kind: str, name: str, schema: Mapping[str, Any]) -> Iterator[Aspect]:
    schema = _resolved(contract, schema)
    for field, inner in schema.get("properties", {}).items():
        yield _field(contract, kind, f"{name}.{field}", _resolved(contract, inner), schema)
        yield from _fields(contract, kind, f"{name}.{field}", inner)
    if "items" in schema:
        yield from _fields(contract, kind, f"{name}[]", schema["items"])
    for condition in schema.get("allOf", ()):
        yield from _absent(contract, kind, name, _resolved(contract, condition))


def _absent(contract: Contract, kind: str, name: str, condition: Mapping[str, Any]) -> Iterator[Aspect]:
    """Yield the fields of which it is known by itself that they are not there, always or else than in a case."""
    for branch in (condition, condition.get("else", {})):
        if "x-evidence" in branch:
            absent = ", ".join(branch["not"]["required"])
            case = "" if branch is condition else f" unless {_text(condition['if']['properties'])}"
            place = f"{name} without {absent}"
            yield Aspect(kind, place, "", f"no {absent}{case}", contract.sources.evidence(branch["x-evidence"], place))


def _field(contract: Contract, kind: str, place: str, schema: Mapping[str, Any], parent: Mapping[str, Any]) -> Aspect:
    evidence = contract.sources.evidence(schema.get("x-evidence"), place)
    optional = place.rpartition(".")[2] not in parent.get("required", ())
    return Aspect(kind, place, "", _form(schema) + (", optional" if optional else ""), evidence)


def _resolved(contract: Contract, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema or response with what its `$ref` names merged in; where both say something, the outer one wins."""
    return {**contract.at(schema["$ref"][1:]), **schema} if "$ref" in schema else schema


def _form(schema: Mapping[str, Any]) -> str:
    """Say of what form a field is, and what stands for it where it is left out; its limits are rules."""
    form = schema.get("type") or ("any" if not {"const", "enum"} & schema.keys() else "")
    parts = [form, f"is {_text(schema['const'])}" if "const" in schema else ""]
    parts += [f"default {_text(schema['default'])}" if "default" in schema else ""]
    return ", ".join(part for part in parts if part) or "one of a list"


# What else there is


def _lifecycle(contract: Contract) -> Iterator[Aspect]:
    spec, evidence = contract.document["x-lifecycle"], contract.sources.evidence
    for role, times in spec["timings"].items():
        says = f"{times['min']} to {times['max']} ms after submission"
        yield Aspect(LIFECYCLE, role, "", says, evidence(times.get("evidence"), f"the timing {role}"))
    for name in ("transitions", "resultDays"):
        yield Aspect(LIFECYCLE, name, "", _text(spec[name]), evidence(spec["evidence"].get(name), name))


def _of_others(contract: Contract) -> Iterator[Aspect]:
    document, evidence = contract.document, contract.sources.evidence
    callbacks, price, ids = (document[name] for name in ("x-callbacks", "x-price", "x-task-id"))
    for name in ("contentType", "timeoutMs", "retryAfterMs"):
        known = evidence(callbacks["evidence"].get(name), f"x-callbacks {name}")
        yield Aspect(CALLBACKS, name, "", _text(callbacks[name]), known)
    says = f"{price['perPicture']} {price['currency']}"
    yield Aspect(PRICE, "picture", "", says, evidence(price.get("evidence"), "x-price"))
    says = f"id >> {ids['shift']} = ms since {ids['epochMs']}"
    yield Aspect(TASK_ID, "time", "", says, evidence(ids.get("evidence"), "x-task-id"))
