"""What the arguments of scenarios can be, and what is made of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_TEXT = 150
"""Characters of a text that are kept."""
REDIRECTS = (301, 302, 303, 307, 308)
WITH_BODY = (200, 201, 202, *range(400, 600))
"""Statuses under which a page can come."""


def whole_number(argument: str, default: int, valid: Sequence[int]) -> int:
    """Return the number that an argument is, `default` for an empty one. Raises ValueError for one that is not valid."""
    if not argument:
        return default
    if not (argument.isascii() and argument.isdecimal() and len(argument) < 7 and int(argument) in valid):
        numbers = f"from {valid[0]} to {valid[-1]}" if isinstance(valid, range) else "of " + ", ".join(map(str, valid))
        raise ValueError(f"{argument[:20]!r} is not a whole number {numbers}")
    return int(argument)


def page(http: int) -> str:
    """Return the page that a proxy answers under a status."""
    phrase = next((status.phrase for status in HTTPStatus if status == http), "")
    title = f"{http} {phrase}".strip()
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"


def printable(text: str) -> str:
    """Return a text in its normal form: one line of printable characters, without white space around it, and bounded."""
    words = "".join(character if character.isprintable() else " " for character in text[: 2 * LONGEST_TEXT]).split()
    return " ".join(words)[:LONGEST_TEXT].rstrip()
