"""Values of each place in a request, as the contract allows them, and with one place that has others."""

from __future__ import annotations

import math
import re
import string
import uuid
from collections.abc import Mapping
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ..cases.sample_pictures import encode
from ..import_lock import importing
from ..rule_table import Path
from ..spec import load_contract

if TYPE_CHECKING:
    from ..spec import Contract

Node = Mapping[str, Any]
"""Schema of a place in the request."""
Spoilt = tuple[Path, SearchStrategy[Any]]
"""A place, and the values that it shall have instead of valid ones."""
Fields = SearchStrategy[dict[str, Any]]

MISSING = ...
"""Stands for a field that is left out."""
ADDRESSES = ("example.com/", "example.com/a.png", "img.example.org:8443/b/c.jpg?size=1&x=%20", "example.com/é猫.jpg")
CALLED_BACK = ("callback_url",)
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="[")
"""`[[name]]` in a prompt would choose a scenario of the simulator."""
SHORT = st.text(string.ascii_letters, max_size=5)
DIGITS = st.integers(0, 8)
JSON: dict[str, SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "integer": DIGITS,
    "number": st.floats(1, 2),
    "string": SHORT | DIGITS.map(str),
    "array": st.lists(DIGITS | SHORT, max_size=2),
    "object": st.dictionaries(SHORT, DIGITS | SHORT, max_size=2),
}
"""Values of each JSON type. Numbers are small: a service that takes one for `n` charges that many pictures."""


def pictures(contract: Contract | None = None) -> SearchStrategy[str]:
    """Valid pictures: URLs, and files in Base64 with sizes up to the limits of `x-image`."""
    limits = (contract or load_contract()).request.limits
    urls = [f"{scheme}{rest}" for scheme in limits.schemes for rest in ADDRESSES]
    least, ratio = limits.min_pixels, limits.max_ratio
    # The first side of which the longest is a whole number: then a picture can have exactly the ratio that is the limit.
    short = next((side for side in range(least, least + 100) if (side * ratio).is_integer()), least)
    long = math.floor(short * ratio)
    sizes = [(least, least), (short, long), (long, short), (least, least + 1), (long, (short + long) // 2)]
    return st.sampled_from(urls) | st.builds(_file, st.sampled_from(limits.formats), st.sampled_from(sizes))


# Composites, where builds and map would do: a failure shows what they return, not how it was made.
@st.composite
def _without_missing(draw: st.DrawFn, known: Fields, unknown: Fields) -> dict[str, Any]:
    return {name: value for name, value in (draw(known) | draw(unknown)).items() if value is not MISSING}


@st.composite
def _with_one(draw: st.DrawFn, others: SearchStrategy[list[Any]], one: SearchStrategy[Any], last: int) -> list[Any]:
    items = draw(others)
    items.insert(draw(st.integers(0, last)), draw(one))
    return items


def values_of(contract: Contract, path: Path, spoilt: Spoilt | None = None) -> SearchStrategy[Any]:
    """Valid values of a place in the request, but that the `spoilt` place has values of its own, and is there once."""
    if spoilt and spoilt[0] == path:
        return spoilt[1]
    if spoilt and spoilt[0][: len(path)] != path:  # it lies elsewhere, so all within this place is valid
        spoilt = None
    node = contract.request.nodes[path]
    if "enum" in node:
        return st.sampled_from(node["enum"])
    kind = node.get("type")
    if kind in {"object", "array"}:
        return (_objects if kind == "object" else _arrays)(contract, path, spoilt)
    if kind == "integer":
        least = node.get("minimum", 0)
        return st.integers(least, node.get("maximum", least + 8))
    if kind == "string":
        return _texts(contract, path)
    return JSON[kind] if kind else st.one_of(*JSON.values())  # without a type it may be anything


def _objects(contract: Contract, path: Path, spoilt: Spoilt | None) -> SearchStrategy[dict[str, Any]]:
    """Objects with the required fields, some of the others, and at times one that the contract does not know."""
    names = contract.request.known_fields.get(path, ())
    must = [*contract.request.nodes[path].get("required", ()), *(spoilt[0][len(path) :][:1] if spoilt else ())]
    fields = {name: values_of(contract, (*path, name), spoilt) for name in names}
    # A choice for each field; `optional` of fixed_dictionaries chooses among all, and so shrinks to less of the point.
    known = st.fixed_dictionaries(
        {name: field if name in must else st.just(MISSING) | field for name, field in fields.items()}
    )
    unknown = st.dictionaries(SHORT.map("x_{}".format), st.one_of(*JSON.values()), max_size=1)
    return _without_missing(known, unknown)


def _arrays(contract: Contract, path: Path, spoilt: Spoilt | None) -> SearchStrategy[list[Any]]:
    node, place = contract.request.nodes[path], (*path, "items")
    least = node.get("minItems", 0)
    most = node.get("maxItems", least + 3)
    if spoilt is None:
        return st.lists(values_of(contract, place), min_size=least, max_size=most)
    others = st.lists(values_of(contract, place), min_size=max(0, least - 1), max_size=most - 1)
    return _with_one(others, values_of(contract, place, spoilt), most - 1)


def _texts(contract: Contract, path: Path) -> SearchStrategy[str]:
    """Strings of a place: pictures, new ids, texts that are no address, or any texts, of exactly the limit too."""
    node = contract.request.nodes[path]
    least, limit = node.get("minLength", 0), node.get("maxLength")
    if "x-role" in node:
        found = pictures(contract)
        return found.filter(re.compile(node["pattern"]).search) if "pattern" in node else found
    if (path, "unique") in contract.request.rules:
        # Not drawn, or a request that is replayed or shrunk would collide with its first sending.
        return st.just("") | st.builds(lambda: str(uuid.uuid4())[:limit])
    if path == CALLED_BACK:
        return st.text(st.characters(categories=("L", "Zs")), min_size=least, max_size=limit)
    if "pattern" in node:
        most = math.inf if limit is None else limit
        # To Python, `$` lets a line break follow; to JSON Schema it does not.
        texts = st.from_regex(node["pattern"])
        return texts.filter(lambda text: least <= len(text) <= most and not text.endswith("\n"))
    texts = short_texts(node)
    return texts if limit is None else texts | texts.map(lambda text: text.ljust(limit, "x"))


def short_texts(node: Node) -> SearchStrategy[str]:
    """Draw texts that have at most 20 letters more than their schema wants at least."""
    least = node.get("minLength", 0)
    return st.text(CHARACTERS, min_size=least, max_size=min(node.get("maxLength", math.inf), least + 20))


@cache
def _file(kind: str, size: tuple[int, int]) -> str:
    """Return a picture in Base64; `kind` as Pillow names formats, `size` in px.

    It has few bytes, since Hypothesis shows a whole request and warns of one over 30,000 characters.
    """
    with importing:
        from PIL import Image  # noqa: PLC0415 - only who draws pictures waits for Pillow

    out = BytesIO()
    Image.new("L", size).save(out, kind, optimize=True)
    return encode(out.getvalue())
