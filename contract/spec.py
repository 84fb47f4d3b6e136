"""Read `openapi.yaml` and the overlays on it, and compile them: operations, rules, errors, lifecycle, assumptions.

`load_contract(choice)` gives the contract that a choice means. What differs between contracts is read here, and asked for by what it
is, never by the name of a contract:

- `contract.operations`: `create_task` and `get_task` in each, `list_tasks` and `create_plain_task` where there are such.
- `contract.operation_for(operation, body)`: of two operations at one method and path the one that a body is for, which the document
  says in `x-when` (plain generation: a body without `subject_image_list`).
- `contract.requests[operation_id]`: the rules of its body, or of its query (`read_query`, then `judge`); `contract.request` are those
  of `create_task`. Rules of plain generation are named `plain.<field>.<keyword>`.
- `contract.found_by`: the ids that `get_task` takes; `contract.jwt`: how tokens are signed, None where there are only keys.
- `contract.request_id_header`: empty where the service has none; `contract.answer_extras`: what `data` of a query carries beside.
- `contract.bad_request`: the error that answers what cannot be read.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from .assumption import Assumptions
from .choice import CONTRACTS, Choice
from .evidence import ERROR_ASPECTS, Evidence, Sources
from .leniency import taken
from .resolving import resolve, shortest
from .rule import ErrorSpec, Rule, make_rule
from .rules import RequestRules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True, slots=True)
class Operation:
    """An OpenAPI operation."""

    operation_id: str
    summary: str
    method: str
    path: str
    """OpenAPI path template, such as `/things/{id}`."""
    media_type: str | None
    """Of the request body; None for an operation without one."""
    example: dict[str, Any] | None
    """First example of the request body."""
    when: dict[str, Any] | None = None
    """JSON Schema of the bodies that are for this operation, where another one has the same method and path (`x-when`)."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """`x-lifecycle`: the four statuses by their role, and when they are reached.

    `timings` are ranges in ms after submission, by role; results expire `result_ms` ms after the end of their task.
    """

    submitted: str
    processing: str
    succeeded: str
    failed: str
    transitions: dict[str, list[str]]
    timings: dict[str, tuple[int, int]]
    result_ms: int

    roles: dict[str, str]
    """Role of each status on the wire."""


@dataclass(frozen=True, slots=True)
class CallbackPolicy:
    """`x-callbacks`: how a callback is sent; times in ms."""

    content_type: str
    timeout_ms: int
    retry_after_ms: dict[str, tuple[int, ...]]
    """Pauses before each further attempt, by the name of the schedule."""


@dataclass(frozen=True, slots=True)
class Promise:
    """Something that the service owes in return (`x-promises`)."""

    id: str
    text: str
    evidence: Evidence


class Contract:
    """One version of the API's description, compiled."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.name: str = document["x-contract"]
        self.choice = Choice.parse(document.get("x-choice", self.name))
        self.text = str(self.choice)
        """Of the choice; for each request it would cost to make it anew."""
        self.server_url: str = document["servers"][0]["url"]
        self.request_id_header: str = document.get("x-request-id-header", "")
        self.gateway: dict[str, str] = document.get("x-gateway", {})
        self.jwt: dict[str, str] | None = document.get("x-jwt")
        self.answer_extras: tuple[str, ...] = tuple(document.get("x-answer-extras", ()))
        self.task_id_epoch_ms: int = document["x-task-id"]["epochMs"]
        self.task_id_shift: int = document["x-task-id"]["shift"]
        self.sources = Sources(document["x-sources"])
        self.errors = dict(_errors(document, self.sources))
        self.operations = dict(_operations(document))
        self.price_per_picture = Decimal(document["x-price"]["perPicture"])
        self.currency: str = document["x-price"]["currency"]
        self.lifecycle = _lifecycle(document["x-lifecycle"])
        self.callbacks = _callbacks(document["x-callbacks"])
        self.questions = Assumptions(document)
        self.assumptions = self.questions.all
        self.promises = dict(_promises(document, self.sources))
        self.request = RequestRules(document, {"$ref": "#/components/schemas/CreateRequest"}, self.errors)
        self.requests = {"create_task": self.request, **self._other_requests()}
        self.rules = {rule.id: rule for rule in self._global_rules()}
        self.rules |= {rule.id: rule for request in self.requests.values() for rule in request.rules.values()}

    @property
    def routes(self) -> dict[str, Operation]:
        """The operations that have a method and path of their own, by id; what else is served there is told apart by the body."""
        return {name: operation for name, operation in self.operations.items() if operation.when is None}

    @property
    def bad_request(self) -> ErrorSpec:
        """The error that answers a request that cannot be read."""
        return self.rules["body.json"].require_error()

    @property
    def found_by(self) -> tuple[str, ...]:
        """The ids by which a task can be queried: `task_id`, and `external_task_id` where it can be used so."""
        get = self.operations["get_task"]
        return tuple(self.document["paths"][get.path]["get"]["x-found-by"])

    def takes(self, assumption: str) -> str:
        """Return the alternative of an assumption that is taken; empty if the question is none in this contract."""
        return taken(self.document, assumption)

    def at(self, pointer: str) -> Any:
        """Return what a JSON pointer into the document leads to."""
        place: Any = self.document
        for step in pointer.split("/")[1:]:
            place = place[int(step) if isinstance(place, list) else step.replace("~1", "/").replace("~0", "~")]
        return place

    def operation_for(self, operation: Operation, body: Mapping[str, Any]) -> Operation:
        """Return the operation that a body is for, of those with the method and path of this one."""
        return next((other for other, fits in self._siblings.get(operation.operation_id, ()) if fits(body)), operation)

    @cached_property
    def _siblings(self) -> dict[str, list[tuple[Operation, Callable[[Any], bool]]]]:
        """What else is served at method and path of each operation, with what tells whether a body is for it."""
        found: dict[str, list[tuple[Operation, Callable[[Any], bool]]]] = {}
        places = {(each.method, each.path): each.operation_id for each in self.operations.values() if each.when is None}
        for each in self.operations.values():
            if each.when is not None:
                validator = jsonschema_rs.Draft202012Validator(each.when)
                found.setdefault(places[each.method, each.path], []).append((each, validator.is_valid))
        return found

    def _other_requests(self) -> dict[str, RequestRules]:
        """Compile the rules of bodies beside the create's, and of queries (`x-query`: the parameters as one object)."""
        found = {}
        for _, _, operation_id, spec in operation_specs(self.document):
            if "x-when" in spec:
                content = next(iter(spec["requestBody"]["content"].values()))
                found[operation_id] = RequestRules(
                    self.document, content["schema"], self.errors, (spec["x-rule-prefix"],)
                )
            elif "x-query" in spec:
                found[operation_id] = RequestRules(self.document, spec["x-query"], self.errors)
        return found

    @cached_property
    def callback_validator(self) -> jsonschema_rs.Draft202012Validator:
        """The schema of a callback's body, compiled."""
        schema = {"$ref": "#/components/schemas/CallbackTask", "components": self.document["components"]}
        return jsonschema_rs.Draft202012Validator(schema)

    def with_rules(self, rules: Mapping[str, Rule], sources: Mapping[str, Mapping[str, Any]] | None = None) -> Contract:
        """Return a copy in which some rules are replaced, by their id, with the sources that their evidence rests on besides."""
        changed = copy(self)  # shallow: only texts and codes are others, and what is compiled is shared
        changed.sources = Sources({**self.sources.entries, **(sources or {})})
        changed.requests = {name: copy(request) for name, request in self.requests.items()}
        changed.request = changed.requests["create_task"]
        for request in changed.requests.values():
            request.rules = {place: rules.get(rule.id, rule) for place, rule in request.rules.items()}
        changed.rules = {name: rules.get(name, rule) for name, rule in self.rules.items()}
        return changed

    def _global_rules(self) -> list[Rule]:
        """Compile the rules that belong to no field: those of the root and of single operations."""
        places = {"/x-rules": self.document["x-rules"]}
        for path, item in self.document["paths"].items():
            for method in item.keys() & METHODS:
                pointer = f"/paths/{path.replace('/', '~1')}/{method}/x-rules"
                places[pointer] = item[method].get("x-rules", {})
        return [
            make_rule(rule_id, f"{pointer}/{rule_id}", entry, self.errors, self.sources, params=entry)
            for pointer, entries in places.items()
            for rule_id, entry in entries.items()
        ]


def load_contract(choice: Choice | str = CONTRACTS[0]) -> Contract:
    """Read and compile the contract of a choice, or of its text form; once per process, as long as few others are asked for.

    Raises UnknownChoiceError for one that there is not, ContractError if a file describes something that klingkit does not know.
    """
    choice = Choice.parse(choice) if isinstance(choice, str) else choice
    return _load(shortest(choice) if choice.assume else choice)


@lru_cache(maxsize=64)
def _load(choice: Choice) -> Contract:
    return Contract(resolve(choice))


def _errors(document: dict[str, Any], sources: Sources) -> Iterator[tuple[str, ErrorSpec]]:
    rows = {str(row["code"]): {"envelope": "kling", **row} for row in document["x-errors"]}
    for key, row in (rows | document["x-gateway-errors"]).items():
        aspects = sources.aspects(row.get("evidence"), ERROR_ASPECTS, f"the error {key}")
        code = str(row["code"]) if row["envelope"] == "gateway" else row["code"]  # where the gateway wraps Kling's too
        yield key, ErrorSpec(key, row["http"], row["envelope"], code, row["message"], aspects)


def _promises(document: dict[str, Any], sources: Sources) -> Iterator[tuple[str, Promise]]:
    for name, entry in document["x-promises"].items():
        yield name, Promise(name, entry["text"], sources.evidence(entry.get("evidence"), f"the promise {name}"))


def operation_specs(document: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield method, path, id and description of each operation, and of each that shares method and path with it (`x-siblings`)."""
    for path, item in document["paths"].items():
        for method in (method for method in METHODS if method in item):
            spec = item[method]
            yield method, path, spec["operationId"], spec
            yield from ((method, path, name, sibling) for name, sibling in spec.get("x-siblings", {}).items())


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, Operation]]:
    for method, path, name, spec in operation_specs(document):
        content = spec.get("requestBody", {}).get("content", {})
        media_type: str | None = next(iter(content), None)
        examples = content[media_type].get("examples", {}) if media_type else {}
        example = next((entry["value"] for entry in examples.values()), None)
        when = spec.get("x-when")
        yield name, Operation(name, spec["summary"], method.upper(), path, media_type, example, when)


def _lifecycle(spec: dict[str, Any]) -> Lifecycle:
    return Lifecycle(
        submitted=spec["submitted"],
        processing=spec["processing"],
        succeeded=spec["succeeded"],
        failed=spec["failed"],
        transitions=spec["transitions"],
        timings={role: (times["min"], times["max"]) for role, times in spec["timings"].items()},
        result_ms=spec["resultDays"] * 24 * 60 * 60 * 1000,
        roles={spec[role]: role for role in ("submitted", "processing", "succeeded", "failed")},
    )


def _callbacks(spec: dict[str, Any]) -> CallbackPolicy:
    retries = {name: tuple(pauses) for name, pauses in spec["retryAfterMs"].items()}
    return CallbackPolicy(spec["contentType"], spec["timeoutMs"], retries)
