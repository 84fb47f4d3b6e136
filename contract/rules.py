"""The rule table, compiled from the contract, and the judgement of a request body by it.

A rule of a request schema is named `<field>.<keyword>` (`subject_image_list.maxItems`); the contract names the others.
What a rule says, answers and rests on stands in `openapi.yaml` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from .errors import ApiError, ErrorSpec
from .pictures import ImageLimits, Picture, decode_base64

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Path = tuple[str, ...]
"""Place of a schema in the request: property names, and `items` for the items of an array."""

OWN_RULE = "x-rules/"
ANNOTATIONS = frozenset({"$ref", "description", "default", "properties", "items", "required"})


class ContractError(Exception):
    """`openapi.yaml` itself is wrong; the message says where and what."""


class _Known(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a request must satisfy."""

    id: str
    pointer: str
    """JSON pointer into `openapi.yaml`."""
    phase: str
    """`sync` (refused at once) or `async` (accepted, then the task fails)."""
    stage: str
    """One of `x-stages` for a sync rule, else empty."""
    error: ErrorSpec | None
    """None for an async rule."""
    message: str
    """Template of the text; filled from `params` and the details of the violation."""
    evidence: str
    """How well the answer to a violation is known: `documented`, `recorded` or `inferred`."""
    limit_evidence: str
    """How well it is known that the rule is there, with this limit."""
    source: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    rank: tuple[int, ...] = ()
    """Place in the documented order of checks."""

    def text(self, **details: object) -> str:
        """Return the message of a violation."""
        return self.message.format_map({**self.params, **details})

    @property
    def template(self) -> str:
        """The message with what is known before a violation; the rest stays in braces."""
        return self.message.format_map(_Known(self.params))

    def require_error(self) -> ErrorSpec:
        """Return the error of a sync rule."""
        if self.error is None:
            raise ContractError(f"rule {self.id} ends a task; it refuses no request")
        return self.error

    @property
    def explanation(self) -> str:
        """Id, place in the contract and evidence, in one line."""
        return f'{self.id}; spec="#{self.pointer}"; evidence={self.evidence}'


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule broken by a given request, and the value that breaks it."""

    rule: Rule
    value: object = None

    @property
    def error(self) -> ApiError:
        """The refusal that the service answers."""
        return ApiError(self.rule, value=self.value)


def make_rule(
    rule_id: str, pointer: str, entry: Mapping[str, Any], errors: Mapping[str, ErrorSpec], **more: Any
) -> Rule:
    """Build a rule from its entry in the contract; the message is that of the error where the entry has none."""
    phase = entry.get("phase", "sync")
    error = None if phase == "async" else errors[entry["error"]]
    return Rule(
        id=rule_id,
        pointer=pointer,
        phase=phase,
        stage=more.pop("stage", "") or entry.get("stage", ""),
        error=error,
        message=entry.get("message") or (error.message if error else ""),
        evidence=entry["evidence"],
        limit_evidence=entry.get("limit-evidence", entry["evidence"]),
        source=entry.get("source", ""),
        **more,
    )


class RequestRules:
    """The rules of one request body, compiled once and asked for each request."""

    def __init__(self, document: Mapping[str, Any], schema: Mapping[str, Any], errors: Mapping[str, ErrorSpec]) -> None:
        self._document = document
        self._errors = errors
        self.limits = ImageLimits.of(document["x-image"])
        self.rules: dict[tuple[Path, str], Rule] = {}
        self.nodes: dict[Path, dict[str, Any]] = {}
        """The schema of each place in the request, with what its `$ref` names merged in."""
        self.known_fields: dict[Path, Mapping[str, Any]] = {}
        """The fields of each object in the request, in the order of the contract."""
        self.defaults: dict[str, Any] = {}
        """Default of each field that has one."""
        self._picture_roles: list[tuple[Path, str]] = []
        self._missing_if_null: set[Path] = set()
        self._integers: list[str] = []
        self._compile((), schema, "")
        self._validator = jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})

    def judge(self, body: Mapping[str, Any]) -> tuple[list[Violation], list[Picture]]:
        """Return the broken sync rules in the documented order, and the pictures of the request."""
        broken = list(self._broken_keywords(body))
        violations = [violation for _, violation in broken]
        pictures = []
        for found in self._read_pictures(body, {place for place, _ in broken}):
            if isinstance(found, Picture):
                pictures.append(found)
            else:
                violations.append(found)
        violations.sort(key=lambda violation: violation.rule.rank)
        return violations, pictures

    def unknown_fields(self, body: Mapping[str, Any]) -> Iterator[tuple[str, str, Iterable[str]]]:
        """Yield place and name of each field that the contract does not know, with the names that it knows there."""
        for path, known in self.known_fields.items():
            for place, value in _at(body, path):
                if isinstance(value, dict) and not value.keys() <= known.keys():
                    prefix = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
                    yield from ((prefix[1:], name, known) for name in value if name not in known)

    def async_violation(self, picture: Picture) -> Rule | None:
        """Return the async rule that a picture breaks by its pixels; None for a picture that was not fetched."""
        if picture.data is None or self.limits.pixels_valid(picture.data):
            return None
        return self.picture_rule(picture, "pixels")

    def picture_rule(self, picture: Picture, keyword: str) -> Rule:
        """Return the rule `keyword` of the field in which a picture was given."""
        return self.rules[_path(picture.place), keyword]

    def _broken_keywords(self, body: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Violation]]:
        if not self._validator.is_valid(body):
            for error in self._validator.iter_errors(body):
                place = tuple(error.instance_path)
                keyword = error.kind.name
                if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
                    place = (*place, error.kind.property)
                elif keyword == "type" and error.instance is None and _path(place) in self._missing_if_null:
                    keyword = "required"
                yield place, Violation(self.rules[_path(place), keyword], error.instance)
        for name in self._integers:
            if isinstance(body.get(name), float):  # JSON Schema takes 1.0 for an integer; the service does not
                yield (name,), Violation(self.rules[(name,), "type"], body[name])

    def _read_pictures(
        self, body: Mapping[str, Any], broken: set[tuple[str | int, ...]]
    ) -> Iterator[Picture | Violation]:
        for path, role in self._picture_roles:
            for place, value in _at(body, path):
                if place in broken or not isinstance(value, str):
                    continue
                if self.limits.is_url(value):
                    yield Picture(place, role, value, None)
                elif (data := decode_base64(value)) is None:
                    yield Violation(self.rules[path, "base64"])
                elif len(data) > self.limits.max_bytes:
                    yield Violation(self.rules[path, "maxBytes"])
                else:
                    yield Picture(place, role, None, data)

    def _compile(
        self, path: Path, schema: Mapping[str, Any], pointer: str, *, stage: str = "", required: bool = False
    ) -> None:
        """Walk a schema: a rule for each constraint, and what `judge` needs to know of each field."""
        node = self._flatten(schema, pointer)
        self.nodes[path] = {key: value for key, (value, _) in node.items()}
        stage = stage or node.get("x-stage", ("", ""))[0]
        params = {**self._document["x-image"], **self.nodes[path], "field": _name(path)}
        own = {key.removeprefix(OWN_RULE): entry for key, entry in node.items() if key.startswith(OWN_RULE)}
        keywords = {
            key: where for key, (_, where) in node.items() if key not in ANNOTATIONS and not key.startswith("x-")
        }
        keywords |= {key: where for key, (_, where) in own.items() if key not in keywords and key not in ANNOTATIONS}
        if required:
            keywords["required"] = f"{pointer.rpartition('/properties/')[0]}/required"
        for keyword, where in keywords.items() if path else ():
            entry = own.get(keyword, ({}, ""))[0]
            self._add_rule(path, keyword, where, own=entry, params=params, stage=stage)
        if "x-role" in node:
            self._picture_roles.append((path, node["x-role"][0]))
        if node.get("x-null", ("",))[0] == "required":
            self._missing_if_null.add(path)
        if "default" in node:
            self.defaults[path[-1]] = node["default"][0]
        if len(path) == 1 and node["type"][0] == "integer":
            self._integers.append(path[0])
        if "items" in node:
            self._compile((*path, "items"), *node["items"], stage=stage)
        if "properties" in node:
            children, where = node["properties"]
            self.known_fields[path] = children
            for name, child in children.items():
                must = name in node.get("required", ((), ""))[0]
                self._compile((*path, name), child, f"{where}/{name}", stage=stage, required=must)

    def _flatten(self, schema: Mapping[str, Any], pointer: str) -> dict[str, tuple[Any, str]]:
        """Return the keywords of a schema and of what its `$ref` names, each with its pointer; the outer schema wins."""
        node: dict[str, tuple[Any, str]] = {}
        if "$ref" in schema:
            target = schema["$ref"][1:]
            referenced: Any = self._document
            for step in target.split("/")[1:]:
                referenced = referenced[step]
            node = self._flatten(referenced, target)
        for keyword, value in schema.items():
            node[keyword] = (value, f"{pointer}/{keyword}")
        for name, entry in schema.get("x-rules", {}).items():
            node[OWN_RULE + name] = (entry, f"{pointer}/{OWN_RULE}{name}")
        return node

    def _add_rule(
        self, path: Path, keyword: str, pointer: str, *, own: Mapping[str, Any], params: Mapping[str, Any], stage: str
    ) -> None:
        default = self._document["x-rule-defaults"].get(keyword)
        if default is None:
            raise ContractError(f"#{pointer}: x-rule-defaults does not say what a violation of {keyword} answers")
        entry = {**default, **own}
        stages: list[str] = self._document["x-stages"]
        stage = "" if entry.get("phase") == "async" else stage or entry["stage"]
        order = stages.index(stage) if stage else len(stages)
        rank = (order, list(self.known_fields[()]).index(path[0]), keyword != "type", len(self.rules))
        self.rules[path, keyword] = make_rule(
            ".".join((*path, keyword)), pointer, entry, self._errors, stage=stage, params=params, rank=rank
        )


def _name(path: Path) -> str:
    """Name of the field that a path belongs to; an item belongs to its array."""
    return next((step for step in reversed(path) if step != "items"), "")


def _path(place: tuple[str | int, ...]) -> Path:
    """Path of the schema that describes a place in the request."""
    return tuple("items" if isinstance(step, int) else step for step in place)


def _at(value: Any, path: Path, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the values in a request body that the schema at `path` describes, each with its place."""
    if not path:
        yield place, value
    elif path[0] == "items":
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _at(item, path[1:], (*place, index))
    elif isinstance(value, dict) and path[0] in value:
        yield from _at(value[path[0]], path[1:], (*place, path[0]))
