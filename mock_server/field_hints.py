"""Fields that the service does not know, and what was probably meant; in plain ASCII."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from klingkit.contract.nearest import nearest_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from klingkit.contract.rules import RequestRules

MAX_NAMED = 5
LONGEST_NAME = 60

Named = tuple[str, str]
"""Kind and text of a mistake."""


class Ignored(NamedTuple):
    """A field that the service does not know."""

    place: str
    """Where it stands; empty for the body itself."""
    name: str
    meant: str
    """What was probably meant, in words; empty if nothing comes near."""


def unknown_fields(request: RequestRules, body: dict[str, Any]) -> list[Named]:
    """Name each field that a request does not have, with the known one that was probably meant."""
    found = []
    for place, name, hint in _unknown(request, body, MAX_NAMED):
        where = ascii(name[:LONGEST_NAME]) + (f" in {place}" if place else "")
        found.append(("unknown-field", f"unknown field {where} is ignored{hint}"))
    return found


def ignored_fields(request: RequestRules, body: dict[str, Any], most: int) -> list[Ignored]:
    """Return the first fields that a request does not have."""
    return [Ignored(place, name, hint.lstrip(":, ")) for place, name, hint in _unknown(request, body, most)]


def _unknown(request: RequestRules, body: dict[str, Any], most: int) -> Iterator[tuple[str, str, str]]:
    others = request.nodes[()].get("x-other-fields", {})
    for place, name, known in islice(request.unknown_fields(body), most):
        yield place, name, _hint(name[:LONGEST_NAME], known, {} if place else others)


def texts_for_objects(request: RequestRules, body: dict[str, Any]) -> list[Named]:
    """Name the first text that stands where an object should, such as a bare URL in the list of pictures."""
    return [
        ("text-for-object", f'{place} is a text, and has to be an object: {{"{name}": ...}}')
        for place, name in islice(request.items_that_are_texts(body), 1)
    ]


def _hint(name: str, known: Mapping[str, Any], others: Mapping[str, str]) -> str:
    """Return what follows the news that a field is ignored: another spelling of a known one, or a name of other APIs."""
    plain = _plain(name)
    for other, text in others.items():
        if _plain(other) == plain:
            return f": {text}"
    for field, schema in known.items():
        if plain in {_plain(field), *map(_plain, schema.get("x-misnamed", ()))}:
            return f", did you mean '{field}'?"
    close = nearest_names(name, known, most=1, alike=0.6)
    return f", did you mean '{close[0]}'?" if close else ""


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    """Return a name without what camelCase, kebab-case and snake_case differ in."""
    return re.sub(r"[^0-9a-z]", "", name.lower())
