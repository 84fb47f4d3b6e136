"""What names and arguments of scenarios can be, and what is made of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from klingkit.contract.nearest import nearest_names

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

LONGEST_TEXT = 150
"""Characters of a text that are kept."""
REDIRECTS = (301, 302, 303, 307, 308)
WITH_BODY = (200, 201, 202, *range(400, 600))
"""Statuses under which a page can come."""
MOST_NAMES = 12
"""Names in a message; of a longer table the nearest."""


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


class UnknownNameError(ValueError):
    """There is nothing of that name; the message names what there is."""


def check_known(what: str, name: str, valid: Collection[str]) -> None:
    """Raise UnknownNameError, which names the valid ones, of many those that are like it, if a name is none of them."""
    if name not in valid:
        close = nearest_names(name[:60], valid, most=1, alike=0.6)
        hint = f"did you mean {close[0]}? The" if close else "the"
        raise UnknownNameError(f"unknown {what} {name[:60]!r}; {hint} {_some(name[:60], valid)}")


def _some(name: str, valid: Collection[str]) -> str:
    """Name the valid ones; of many those that are most like a name, and how many more there are."""
    if len(valid) <= MOST_NAMES:
        return f"valid ones: {', '.join(valid)}"
    like = nearest_names(name, valid, most=5, alike=0)
    return f"nearest of {len(valid)}: {', '.join(like)}"
