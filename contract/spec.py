"""Read `openapi.yaml` and compile it: operations, rules, errors, lifecycle, assumptions."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import yaml

from .rule import ErrorSpec, Rule, make_rule
from .rules import RequestRules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OPENAPI = Path(__file__).resolve().parents[1] / "openapi.yaml"
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

    @property
    def roles(self) -> dict[str, str]:
        """Role of each status on the wire."""
        names = ("submitted", "processing", "succeeded", "failed")
        return {getattr(self, name): name for name in names}


@dataclass(frozen=True, slots=True)
class CallbackPolicy:
    """`x-callbacks`: how a callback is sent; times in ms."""

    content_type: str
    timeout_ms: int
    retry_after_ms: dict[str, tuple[int, ...]]
    """Pauses before each further attempt, by the name of the schedule."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """An open question about the real service (`x-assumptions`)."""

    id: str
    question: str
    default: str
    """What the simulator does meanwhile."""
    evidence: str
    probe: str
    """What would settle it against a real account."""


@dataclass(frozen=True, slots=True)
class Promise:
    """Something that the service owes in return (`x-promises`)."""

    id: str
    text: str
    evidence: str
    source: str = ""


class Contract:
    """One version of the API's description, compiled."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.name: str = document["x-contract"]
        self.server_url: str = document["servers"][0]["url"]
        self.request_id_header: str = document["x-request-id-header"]
        self.gateway: dict[str, str] = document["x-gateway"]
        self.task_id_epoch_ms: int = document["x-task-id"]["epochMs"]
        self.task_id_shift: int = document["x-task-id"]["shift"]
        self.errors = dict(_errors(document))
        self.operations = dict(_operations(document))
        self.price_per_picture = Decimal(document["x-price"]["perPicture"])
        self.currency: str = document["x-price"]["currency"]
        self.lifecycle = _lifecycle(document["x-lifecycle"])
        self.callbacks = _callbacks(document["x-callbacks"])
        self.assumptions = tuple(Assumption(**entry) for entry in document["x-assumptions"])
        self.promises = {name: Promise(name, **entry) for name, entry in document["x-promises"].items()}
        self.request = RequestRules(document, {"$ref": "#/components/schemas/CreateRequest"}, self.errors)
        self.rules = {rule.id: rule for rule in (*self._global_rules(), *self.request.rules.values())}

    @cached_property
    def callback_validator(self) -> jsonschema_rs.Draft202012Validator:
        """The schema of a callback's body, compiled."""
        schema = {"$ref": "#/components/schemas/CallbackTask", "components": self.document["components"]}
        return jsonschema_rs.Draft202012Validator(schema)

    def with_rules(self, rules: Mapping[str, Rule]) -> Contract:
        """Return a copy in which some rules are replaced, by their id."""
        changed = copy(self)  # shallow: only texts and codes are others, and what is compiled is shared
        changed.request = copy(self.request)
        changed.request.rules = {place: rules.get(rule.id, rule) for place, rule in self.request.rules.items()}
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
            make_rule(rule_id, f"{pointer}/{rule_id}", entry, self.errors, params=entry)
            for pointer, entries in places.items()
            for rule_id, entry in entries.items()
        ]


@cache
def load_contract(path: Path = OPENAPI) -> Contract:
    """Read and compile a contract, once per process.

    Raises ContractError if the file describes something that klingkit does not know.
    """
    return Contract(read_yaml(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the document in a file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is six times as fast; some builds lack it
    document: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), loader)  # noqa: S506 - both loaders are safe
    return document


def _errors(document: dict[str, Any]) -> Iterator[tuple[str, ErrorSpec]]:
    for row in document["x-errors"]:
        key = str(row["code"])
        yield key, ErrorSpec(key, row["http"], "kling", row["code"], row["message"], row["evidence"])
    for key, row in document["x-gateway-errors"].items():
        yield key, ErrorSpec(key, row["http"], row["envelope"], row["code"], row["message"], row["evidence"])


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, Operation]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                spec = item[method]
                content = spec.get("requestBody", {}).get("content", {})
                media_type: str | None = next(iter(content), None)
                examples = content[media_type].get("examples", {}) if media_type else {}
                example = next((entry["value"] for entry in examples.values()), None)
                operation_id = spec["operationId"]
                yield operation_id, Operation(operation_id, spec["summary"], method.upper(), path, media_type, example)


def _lifecycle(spec: dict[str, Any]) -> Lifecycle:
    return Lifecycle(
        submitted=spec["submitted"],
        processing=spec["processing"],
        succeeded=spec["succeeded"],
        failed=spec["failed"],
        transitions=spec["transitions"],
        timings={role: (times["min"], times["max"]) for role, times in spec["timings"].items()},
        result_ms=spec["resultDays"] * 24 * 60 * 60 * 1000,
    )


def _callbacks(spec: dict[str, Any]) -> CallbackPolicy:
    retries = {name: tuple(pauses) for name, pauses in spec["retryAfterMs"].items()}
    return CallbackPolicy(spec["contentType"], spec["timeoutMs"], retries)
