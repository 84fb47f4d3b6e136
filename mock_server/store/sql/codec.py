"""Values of ours as JSON, and back: any frozen dataclass, by its annotations.

A field that has its default is left out, so that a row is small.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from functools import cache, lru_cache
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_origin, get_type_hints

from klingkit.contract import Picture

from ...scenario import Scenario
from ...tasks import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    Read = Callable[[Any], Any]
    Write = Callable[[Any], Any]

Value = TypeVar("Value")

NAMES = {"Decimal": Decimal, "Picture": Picture, "Scenario": Scenario}
"""What annotations name that are imported for type checkers only."""
PLAIN = (str, int, float, bool, NoneType)
_encode = json.JSONEncoder(
    separators=(",", ":")
).encode  # ASCII: no database takes a lone surrogate, and PostgreSQL no NUL


def to_json(value: Any) -> str:
    """Return a dataclass as JSON text."""
    return _encode(_plain(value))


def from_json(kind: type[Value], text: str) -> Value:
    """Return the dataclass that JSON text holds."""
    read: Callable[[Any], Value] = _reader(cast("Any", kind))  # mypy takes no class for hashable
    return read(json.loads(text))


@lru_cache(maxsize=256)
def task_from_json(text: str) -> Task:
    """Return the task that JSON text holds: the same one for the same text, since many queries read it."""
    return from_json(Task, text)


def json_part(text: str) -> str:
    """Return how a text in lower case stands within JSON text of ours."""
    return _encode(text)[1:-1].lower()


def may_have(data: str, parts: Collection[str]) -> bool:
    """Tell whether JSON text may hold texts, whatever their case; it surely may where a letter is escaped, which can become another."""
    lower = data.lower()
    return "\\u" in lower or all(part in lower for part in parts)


def fields_to_json(values: Mapping[str, Any]) -> str:
    """Return some fields of a dataclass as JSON text, whether or not they have their default."""
    return _encode({name: _plain(value) for name, value in values.items()})


def fields_from_json(kind: Any, text: str | None) -> dict[str, Any]:
    """Return the fields of a dataclass that JSON text holds; None holds none."""
    readers = _field_readers(kind)
    return {name: readers[name](value) for name, value in json.loads(text or "{}").items()}


def _plain(value: Any) -> Any:
    write = _writer(cast("Any", type(value)))
    return write(value) if write else value


@cache
def _writer(kind: Any) -> Write | None:
    """Return what makes JSON's values out of those of a type; None if JSON takes them as they are."""
    if kind is Decimal:
        return str
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass_writer(kind)
    if kind is tuple:
        return lambda found: [_plain(item) for item in found]
    writers = [writer for argument in get_args(kind) if (writer := _writer(argument))]
    if not writers:
        return None
    if get_origin(kind) is not tuple:  # or None
        return lambda found: None if found is None else writers[0](found)
    return lambda found: [_plain(item) for item in found]


def _dataclass_writer(kind: type[Any]) -> Write:
    hints = get_type_hints(kind, localns=NAMES)
    parts = [(name, default, _writer(hints[name])) for name, default in _defaults(cast("Any", kind))]

    def write(value: Any) -> dict[str, Any]:
        return {
            name: convert(found) if convert else found
            for name, default, convert in parts
            if (found := getattr(value, name)) != default
        }

    return write


@cache
def _defaults(kind: type[Any]) -> tuple[tuple[str, Any], ...]:
    """Return each field of a dataclass with its default."""
    return tuple(
        (field.name, field.default if field.default_factory is MISSING else field.default_factory())
        for field in fields(kind)
    )


@cache
def _field_readers(kind: type[Any]) -> dict[str, Read]:
    return {name: _reader(hint) for name, hint in get_type_hints(kind, localns=NAMES).items()}


@cache
def _reader(kind: Any) -> Read:
    """Return what makes a value of a type out of JSON."""
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass_reader(kind)
    if kind is Decimal:
        return Decimal
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return _tuple_reader(arguments)
    others = [argument for argument in arguments if argument not in PLAIN]
    if len(others) == 1 and NoneType in arguments:
        inner = _reader(others[0])
        return lambda found: None if found is None else inner(found)
    return lambda found: found


def _dataclass_reader(kind: Any) -> Read:
    def read(found: dict[str, Any]) -> Any:
        readers = _field_readers(kind)
        return kind(**{name: readers[name](value) for name, value in found.items()})

    return read


def _tuple_reader(arguments: tuple[Any, ...]) -> Read:
    if arguments[1:] == (...,):
        read = _reader(arguments[0])
        return lambda found: tuple([read(item) for item in found])
    readers = [_reader(argument) for argument in arguments]
    return lambda found: tuple(read(item) for read, item in zip(readers, found, strict=True))
