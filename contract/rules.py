"""The judgement of a request body by the rule table: what it breaks, in the documented order, and what its pictures are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from .api_error import ApiError
from .assumption import Assumptions
from .kinds import kind_of
from .leniency import WHOLE, Leniency
from .pictures import ImageLimits, Picture, measure
from .rule_table import RuleTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .rule import ErrorSpec, Rule
    from .rule_table import Path


MAX_ITEMS = 1000
"""Items of a list that are looked at; no list may be so long."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule broken by a given request, as it is known for such input, and the value that breaks it."""

    rule: Rule
    value: object = None

    @property
    def error(self) -> ApiError:
        """The refusal that the service answers."""
        return ApiError(self.rule, value=self.value)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What can stand at a place of a request."""

    fields: dict[str, _Shape]
    """The known fields of an object, in the order of the contract."""
    items: _Shape | None
    is_integer: bool
    is_nullable: bool
    """Whether null can stand there, and counts as absent."""

    def present(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the known fields of an object that are there."""
        fields = self.fields
        if len(value) > len(fields):  # however much else is sent costs nothing
            value = {name: value[name] for name in fields if name in value}
        return {
            name: item
            for name, item in value.items()
            if name in fields and (item is not None or not fields[name].is_nullable)
        }


class RequestRules:
    """The rules of one request body or query, compiled once and asked for each request."""

    def __init__(
        self,
        document: Mapping[str, Any],
        schema: Mapping[str, Any],
        errors: Mapping[str, ErrorSpec],
        prefix: tuple[str, ...] = (),
    ) -> None:
        table = RuleTable(document, schema, errors, prefix)
        self._table = table
        self._assumptions = Assumptions(document)
        self.prefix = prefix
        self.rules = table.rules
        self.nodes = table.nodes
        self.nullable = table.nullable
        self.known_fields = table.known_fields
        self.defaults = table.defaults
        self.leniency = Leniency.of(document)
        self.limits = ImageLimits.of(document["x-image"], lenient_base64=self.leniency.base64)
        self._whole = self._shape(())
        self.unknown_field_rule = table.unknown_field_rule
        """What refuses fields that are not known; None where they are ignored."""
        self._validator = jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})

    def judge(self, body: Mapping[str, Any]) -> tuple[list[Violation], list[Picture]]:
        """Return the broken sync rules in the documented order, and the pictures of the request."""
        sent, body = body, self._judged(body, self._whole)
        broken = list(self._broken_keywords(body))
        # Once each: a schema and what its `$ref` names can say the same.
        violations = list({(place, violation.rule.id): violation for place, violation in broken}.values())
        if self.unknown_field_rule and (unknown := next(self.unknown_fields(sent), None)):
            violations.append(Violation(self.unknown_field_rule, unknown[1]))
        pictures = []
        for found in self._read_pictures(body, {place for place, _ in broken}):
            if isinstance(found, Picture):
                pictures.append(found)
            else:
                violations.append(found)
        violations.sort(key=lambda violation: violation.rule.rank)
        return violations, pictures

    def meant(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the known fields of a request as the service takes them, with the defaults of those that are not there."""
        numbers = {name: self.leniency.whole(body[name]) for name in self._table.integers if name in body}
        return {**self.defaults, **self._whole.present({**body, **numbers})}

    def read_query(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the parameters of a URL as the values that they stand for, to be judged; what is no number stays a text."""
        numbers = {name: query[name] for name in self._table.integers if WHOLE.fullmatch(query.get(name, ""))}
        return {**query, **{name: int(text) for name, text in numbers.items()}}

    def nearest(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values in which a whole number out of its range is the nearest in it."""
        limits = {
            name: (self.nodes[(name,)]["minimum"], self.nodes[(name,)]["maximum"]) for name in self._table.integers
        }
        inside = {
            name: min(max(values[name], low), high)
            for name, (low, high) in limits.items()
            if isinstance(values.get(name), int)
        }
        return {**values, **inside}

    def unknown_fields(self, body: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Yield place and name of each field that the contract does not know, with the schemas of those that it knows there."""
        for path, known in self.known_fields.items():
            for place, value in _at(body, path):
                if isinstance(value, dict) and not value.keys() <= known.keys():
                    yield from ((place_text(place), name, known) for name in value if name not in known)

    def picture_values(self, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield place and text of each picture of a request, whatever it is."""
        for path, _ in self._table.picture_roles:
            for place, value in _at(body, path):
                if isinstance(value, str):
                    yield place_text(place), value

    def items_that_are_texts(self, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the place of each text that should be an object, with the name of the first field of that."""
        for path, known in self.known_fields.items():
            yield from (
                (place_text(place), next(iter(known))) for place, value in _at(body, path) if isinstance(value, str)
            )

    def async_violation(self, picture: Picture) -> Rule | None:
        """Return the async rule that a picture breaks by its pixels; None for a picture that was not fetched."""
        if picture.data is None or self.limits.pixels_valid(picture.data):
            return None
        return self.picture_rule(picture, "pixels")

    def picture_rule(self, picture: Picture, keyword: str) -> Rule:
        """Return the rule `keyword` of the field in which a picture was given."""
        return self.rules[path_of(picture.place), keyword]

    def _judged(self, value: Any, shape: _Shape) -> Any:
        """Return so much of a value as there are rules for: what else is sent, and however much of it, costs nothing."""
        if isinstance(value, str):
            return self.leniency.whole(value) if shape.is_integer else value
        if isinstance(value, dict):
            return {name: self._judged(item, shape.fields[name]) for name, item in shape.present(value).items()}
        if isinstance(value, list):
            items = shape.items
            return [self._judged(item, items) for item in value[:MAX_ITEMS]] if items else []
        return self.leniency.whole(value) if shape.is_integer else value

    def _shape(self, path: Path) -> _Shape:
        """Return what can stand at a place and below it."""
        items = (*path, "items")
        return _Shape(
            {name: self._shape((*path, name)) for name in self.known_fields.get(path, ())},
            self._shape(items) if items in self.nodes else None,
            is_integer=self.nodes[path].get("type") == "integer",
            is_nullable=path in self.nullable,
        )

    def _broken_keywords(self, body: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Violation]]:
        if not self._validator.is_valid(body):
            for error in self._validator.iter_errors(body):
                place = tuple(error.instance_path)
                keyword = error.kind.name
                kind = kind_of(keyword, _value_at(body, place))
                if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
                    place, kind = (*place, error.kind.property), "missing"
                elif error.instance is None and (path_of(place), "required") in self.rules:
                    keyword = "required"  # null in a field that must be there is answered as if it were not
                yield place, self._violation(path_of(place), keyword, kind, error.instance)
        for name, value in body.items() if self.leniency.counts_bytes else ():
            if self.leniency.too_long(value, self.nodes[(name,)].get("maxLength")):
                yield (name,), self._violation((name,), "maxLength", "", value)
        for name in self._table.integers:
            if isinstance(body.get(name), float):  # JSON Schema takes 1.0 for an integer; the service does not
                yield (name,), self._violation((name,), "type", kind_of("type", body[name]), body[name])

    def _violation(self, path: Path, keyword: str, kind: str, value: object = None) -> Violation:
        return Violation(self._assumptions.known(self.rules[path, keyword], kind), value)

    def _read_pictures(
        self, body: Mapping[str, Any], broken: set[tuple[str | int, ...]]
    ) -> Iterator[Picture | Violation]:
        for path, role in self._table.picture_roles:
            for place, value in _at(body, path):
                if place in broken or not isinstance(value, str):  # a rule of its form has refused it already
                    continue
                if not value and self.leniency.empty_picture_is_absent:
                    continue
                if self.limits.is_url(value):
                    yield Picture(place, role, value, None)
                elif (data := self.limits.decode(value)) is None:
                    yield self._violation(path, "base64", kind_of("base64", value))
                elif len(data) > self.limits.max_bytes:
                    yield Violation(self.rules[path, "maxBytes"])
                elif (path, "readable") in self.rules and measure(data, self.limits.formats) is None:
                    yield self._violation(path, "readable", "unreadable")
                else:
                    yield Picture(place, role, None, data)


def _value_at(body: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        body = body[step]
    return body


def place_text(place: tuple[str | int, ...]) -> str:
    """Return a place in the request as people write it, such as `subject_image_list[0].subject_image`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)[1:]


def path_of(place: tuple[str | int, ...]) -> Path:
    """Path of the schema that describes a place in the request."""
    return tuple("items" if isinstance(step, int) else step for step in place)


def _at(value: Any, path: Path) -> list[tuple[tuple[str | int, ...], Any]]:
    """Return the values in a request body that the schema at `path` describes, each with its place."""
    for number, step in enumerate(path):
        if step == "items":
            items = value[:MAX_ITEMS] if isinstance(value, list) else []
            above, below = path[:number], path[number + 1 :]
            return [
                ((*above, index, *place), found)
                for index, item in enumerate(items)
                for place, found in _at(item, below)
            ]
        if not (isinstance(value, dict) and step in value):
            return []
        value = value[step]
    return [(path, value)]
