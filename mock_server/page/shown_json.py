"""JSON as lines of text, of which some are marked; and what two of them differ in. Nothing in them moves a cursor or hides anything."""

from __future__ import annotations

import json
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, NamedTuple

from klingkit.contract.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST = 2000
"""Lines."""
INDENT = "  "
NO_REMARKS: Mapping[str, str] = {}


class Line(NamedTuple):
    """One line."""

    text: str
    remark: str = ""
    """Why it is marked; empty if it is not."""


class Difference(NamedTuple):
    """A line of two texts."""

    sign: str
    """`-`: only the first has it, `+`: only the second; a blank if both have it."""
    text: str


def json_lines(value: Any, remarks: Mapping[str, str] = NO_REMARKS) -> list[Line]:
    """Return a value as indented JSON, a text as it is; `remarks` are by place, such as `subject_image_list[0].url`."""
    if isinstance(value, str):
        return text_lines(value)
    lines: list[Line] = []
    for line in _walk(value, remarks):
        if len(lines) == MOST:
            return [*lines, Line("(and more)")]
        lines.append(Line(printable(line.text), line.remark))
    return lines


def text_lines(text: str) -> list[Line]:
    """Return a text from outside, line by line."""
    return [Line(printable(line)) for line in text.replace("\r\n", "\n").split("\n")[:MOST]]


def differences(first: Any, second: Any) -> list[Difference]:
    """Return the lines of two values as JSON."""
    before, after = ([line.text for line in json_lines(value)] for value in (first, second))
    found: list[Difference] = []
    for kind, start, end, other_start, other_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            found += [Difference(" ", text) for text in before[start:end]]
        else:
            found += [Difference("-", text) for text in before[start:end]]
            found += [Difference("+", text) for text in after[other_start:other_end]]
    return found


def _walk(
    value: Any, remarks: Mapping[str, str], place: str = "", before: str = "", after: str = "", *, indent: str = ""
) -> Iterator[Line]:
    """Yield the lines of a value that stands at a place, between `before` and `after`."""
    remark = remarks.get(place, "")
    if isinstance(value, dict) and value:
        inner = [(f"{place}.{name}" if place else name, f"{_text(name)}: ", item) for name, item in value.items()]
        brackets = "{}"
    elif isinstance(value, list) and value:
        inner = [(f"{place}[{number}]", "", item) for number, item in enumerate(value)]
        brackets = "[]"
    else:
        yield Line(f"{indent}{before}{_text(value)}{after}", remark)
        return
    yield Line(f"{indent}{before}{brackets[0]}", remark)
    for number, (inside, name, item) in enumerate(inner, 1):
        comma = "," * (number < len(inner))
        yield from _walk(item, remarks, inside, name, comma, indent=indent + INDENT)
    yield Line(f"{indent}{brackets[1]}{after}")


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
