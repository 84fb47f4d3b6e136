"""Two values from outside beside each other, so that a reader sees in what they differ."""

from __future__ import annotations

import json
from typing import Any

from ..printable import printable

ABSENT: Any = object()
UNDOCUMENTED = "<undocumented "
"""How the placeholder begins of a field of which only the type is kept."""
TYPES = {
    dict: "object",
    list: "list",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    type(None): "null",
}
LONGEST = 140
"""Characters of a value."""
LONGEST_NAME = 50
"""Characters of the name before it."""
BEFORE = 20
"""Characters that are shown before the first in which two long texts differ."""


def is_kept(value: Any) -> bool:
    """Tell whether it is the value itself, and not the placeholder of its type."""
    return not (isinstance(value, str) and value.startswith(UNDOCUMENTED))


def shape(value: Any) -> str | None:
    """Return what kind of JSON a value is, with its article; None if it is not there."""
    if value is ABSENT:
        return None
    name = _type(value)
    return name if name == "null" else f"{'an' if name == 'object' else 'a'} {name}"


def typed(value: Any) -> str:
    """Return a value after its type, as in `string "1201"`."""
    name = _type(value)
    if not is_kept(value):
        return name
    if isinstance(value, dict):
        return f"object with {', '.join(value) or 'nothing'}"
    if isinstance(value, list):
        return f"list of {len(value)} items"
    return "null" if value is None else f"{name} {json.dumps(value, ensure_ascii=False)}"


def both(name: str, one: Any, other: Any) -> tuple[str, str]:
    """Return two values that differ, each after the name of their field, and with their type where that differs."""
    alike = _type(one) == _type(other)
    texts = [printable(repr(value) if alike else typed(value)) for value in (one, other)]
    first, second = texts
    start = _first_difference(first, second)
    name = printable(name)
    name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
    return f"{name}: {_cut(first, start)}", f"{name}: {_cut(second, start)}"


def apart(one: str, other: str) -> tuple[str, str]:
    """Return two texts so that they can be printed and are not alike at once: of long ones what is around the difference."""
    one, other = printable(one), printable(other)
    start = _first_difference(one, other)
    return (one, other) if start < LONGEST else (_cut(one, start), _cut(other, start))


def _first_difference(one: str, other: str) -> int:
    return next((at for at, char in enumerate(one) if char != other[at : at + 1]), len(one))


def _cut(text: str, at: int) -> str:
    """Return a text as it is, or of a long one what is around a place."""
    start = at - BEFORE if at > LONGEST - BEFORE else 0
    end = start + LONGEST
    return f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"


def _type(value: Any) -> str:
    if not is_kept(value):
        return str(value).removeprefix(UNDOCUMENTED).removesuffix(">")
    return TYPES.get(type(value), "null")
