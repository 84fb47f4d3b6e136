"""The rule table: what each keyword of the request's schema in `openapi.yaml` becomes.

A rule of a request schema is named `<field>.<keyword>` (`subject_image_list.maxItems`); the contract names the others.
What a rule says, answers and rests on stands in `openapi.yaml` alone: in `x-rules` of its schema, over `x-rule-defaults`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .evidence import ContractError, Sources
from .rule import make_rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .rule import ErrorSpec, Rule

Path = tuple[str, ...]
"""Place of a schema in the request: property names, and `items` for the items of an array."""

NO_CONSTRAINTS = frozenset({"$ref", "description", "default", "properties", "items", "required"})
"""Keywords that no value breaks by itself; a field breaks the `required` of the object in which it is missing."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """What a keyword says, and where it stands in `openapi.yaml`."""

    value: Any
    pointer: str


@dataclass(frozen=True, slots=True)
class Node:
    """The schema of one place in the request, with what its `$ref` names merged in."""

    keywords: dict[str, Keyword] = field(default_factory=dict)
    own_rules: dict[str, Keyword] = field(default_factory=dict)
    """What its `x-rules` say: of a keyword, or of what JSON Schema has no keyword for, such as `base64`."""

    def value(self, keyword: str, default: Any = None) -> Any:
        """Return what a keyword says; `default` if it is not there."""
        return self.keywords[keyword].value if keyword in self.keywords else default

    def constraints(self) -> dict[str, str]:
        """Return what becomes a rule of this schema, by its keyword, with the place in `openapi.yaml`."""
        standard = {name: word.pointer for name, word in self.keywords.items() if not name.startswith("x-")}
        own = {name: entry.pointer for name, entry in self.own_rules.items() if name not in standard}
        return {name: pointer for name, pointer in (standard | own).items() if name not in NO_CONSTRAINTS}


class RuleTable:
    """The rules of one request body or query, and what a judgement needs to know of each field; `prefix` begins their ids."""

    def __init__(
        self,
        document: Mapping[str, Any],
        schema: Mapping[str, Any],
        errors: Mapping[str, ErrorSpec],
        prefix: tuple[str, ...] = (),
    ) -> None:
        self._document = document
        self._errors = errors
        self._prefix = prefix
        self._sources = Sources(document["x-sources"])
        self.rules: dict[tuple[Path, str], Rule] = {}
        self.nodes: dict[Path, dict[str, Any]] = {}
        """The schema of each place in the request, with what its `$ref` names merged in; of a value that is there, without null."""
        self.nullable: set[Path] = set()
        """The places where null can stand, and counts as absent (api-facts 6.4)."""
        self.known_fields: dict[Path, Mapping[str, Any]] = {}
        """The fields of each object in the request, in the order of the contract."""
        self.defaults: dict[str, Any] = {}
        """Default of each field that has one."""
        self.picture_roles: list[tuple[Path, str]] = []
        self.integers: list[str] = []
        """The fields of the request itself that are whole numbers."""
        self._compile((), schema, "")
        self.unknown_field_rule = self._unknown_field_rule()

    def _compile(
        self, path: Path, schema: Mapping[str, Any], pointer: str, *, stage: str = "", required_at: str = ""
    ) -> None:
        """Walk a schema: a rule for each constraint, what there is to know of its place, then the schemas in it.

        `required_at` is where the object above it says that it must be there; empty if it need not.
        """
        node = self._read(schema, pointer)
        schema = {name: keyword.value for name, keyword in node.keywords.items()}
        self.nodes[path] = _without_null(schema)
        if "type" not in schema or "null" in schema["type"]:
            self.nullable.add(path)
        stage = stage or node.value("x-stage", "")  # what stands in a field is checked with it
        if path:  # what the whole body must be is said by rules that the contract names
            self._add_rules(path, node, stage, required_at)
        self._note(path, node)
        if "items" in node.keywords:
            items = node.keywords["items"]
            self._compile((*path, "items"), items.value, items.pointer, stage=stage)
        if "properties" in node.keywords:
            self._compile_fields(path, node, stage)

    def _compile_fields(self, path: Path, node: Node, stage: str) -> None:
        properties = node.keywords["properties"]
        self.known_fields[path] = properties.value
        required = node.value("required", ())
        place = properties.pointer.removesuffix("/properties") + "/required"
        for name, child in properties.value.items():
            must = place if name in required else ""
            self._compile((*path, name), child, f"{properties.pointer}/{name}", stage=stage, required_at=must)

    def _note(self, path: Path, node: Node) -> None:
        """Keep what a judgement needs to know of a place besides its rules."""
        if "x-role" in node.keywords:
            self.picture_roles.append((path, node.value("x-role")))
        if "default" in node.keywords:
            self.defaults[path[-1]] = node.value("default")
        if len(path) == 1 and self.nodes[path].get("type") == "integer":
            self.integers.append(path[0])

    def _read(self, schema: Mapping[str, Any], pointer: str) -> Node:
        """Return a schema with what its `$ref` names merged in; where both say something, the outer one wins."""
        node = self._read_reference(schema["$ref"][1:]) if "$ref" in schema else Node()
        for name, value in schema.items():
            node.keywords[name] = Keyword(value, f"{pointer}/{name}")
        for name, entry in schema.get("x-rules", {}).items():
            node.own_rules[name] = Keyword(entry, f"{pointer}/x-rules/{name}")
        return node

    def _read_reference(self, pointer: str) -> Node:
        schema: Any = self._document
        for step in pointer.split("/")[1:]:
            schema = schema[step]
        return self._read(schema, pointer)

    def _add_rules(self, path: Path, node: Node, stage: str, required_at: str) -> None:
        params = {**self._document["x-image"], **self.nodes[path], "field": _name(path)}
        constraints = node.constraints()
        if required_at:
            constraints["required"] = required_at
        for keyword, pointer in constraints.items():
            default = self._document["x-rule-defaults"].get(keyword)
            if default is None:
                raise ContractError(f"#{pointer}: x-rule-defaults does not say what a violation of {keyword} answers")
            own = node.own_rules[keyword].value if keyword in node.own_rules else {}
            entry = {**default, **own, "evidence": {**default["evidence"], **own.get("evidence", {})}}
            self._add_rule(path, keyword, pointer, entry, stage=stage, params=params)

    def _add_rule(
        self, path: Path, keyword: str, pointer: str, entry: Mapping[str, Any], *, stage: str, params: Mapping[str, Any]
    ) -> None:
        stage = "" if entry.get("phase") == "async" else stage or entry["stage"]
        self.rules[path, keyword] = make_rule(
            ".".join((*self._prefix, *path, keyword)),
            pointer,
            entry,
            self._errors,
            self._sources,
            stage=stage,
            params=params,
            rank=self._rank(path, keyword, stage),
        )

    def _unknown_field_rule(self) -> Rule | None:
        """Return the rule that refuses fields that are not known, after those of the known ones; None where they are ignored."""
        entry = self._document["x-rules"].get("request.fields")
        if entry is None:
            return None
        rank = (self._document["x-stages"].index(entry["stage"]), len(self.known_fields[()]))
        place = "/x-rules/request.fields"
        return make_rule("request.fields", place, entry, self._errors, self._sources, params=entry, rank=rank)

    def _rank(self, path: Path, keyword: str, stage: str) -> tuple[int, ...]:
        """Return the place of a rule in the order of checks, since a request that breaks several is refused for the first.

        The stages come as `x-stages` has them, and what only the task finds out after all of them. Within a stage the
        fields come in the order of the contract, each with its type first: nothing else can be said of a wrong type. The
        number of rules so far keeps the order of the contract for the rest.
        """
        stages: list[str] = self._document["x-stages"]
        order = stages.index(stage) if stage else len(stages)
        return (order, list(self.known_fields[()]).index(path[0]), keyword != "type", len(self.rules))


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a schema says of a value that is not null: `type` as one word, and `enum` without it."""
    types, values = schema.get("type"), schema.get("enum")
    if isinstance(types, list):
        schema = {**schema, "type": next(each for each in types if each != "null")}
    return schema if values is None else {**schema, "enum": [each for each in values if each is not None]}


def _name(path: Path) -> str:
    """Name of the field that a path belongs to; an item belongs to its array."""
    return next((step for step in reversed(path) if step != "items"), "")
