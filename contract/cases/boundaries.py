"""What a boundary looks like from the good side: the values, and other things, that must just be accepted."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..evidence import LIMIT, UNKNOWN
from .builder import nested
from .case import Boundary
from .sample_pictures import encode, padded, picture

FEW = 4
"""Fields with more values than that have no room for a boundary more: it would take a request more, which is paid."""
FIRST_OF_TWO = "klingkit-first"
"""The wrong value of a key that is there twice."""
LEFT = "unique/left"
"""The boundary that tries an external id which only refused creates have carried."""

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .builder import Builder


def field_boundaries(builder: Builder, name: str) -> list[Boundary]:
    """Return the good side of every rule of a field."""
    return [
        Boundary(_rule_of(builder, name, label), label, (name,), value) for label, value in _good_values(builder, name)
    ]


def _good_values(builder: Builder, name: str) -> Iterator[tuple[str, Any]]:
    """Yield keyword and value of each boundary of a field, from the good side."""
    node = builder.rules.nodes[(name,)]
    limits = builder.rules.limits
    kind = node.get("type")
    if "x-role" in node:
        yield "pixels/smallest-jpeg", encode(picture(builder.side, builder.side, "JPEG"))
        yield "pixels/widest", encode(picture(builder.long, builder.side))
        yield "pixels/tallest", encode(picture(builder.side, builder.long))
        yield "maxBytes/largest", encode(padded(limits.max_bytes, builder.side))
    elif kind == "array":
        kinds = [(builder.side, builder.side, "JPEG"), (builder.long, builder.side), (builder.side, builder.long)]
        varied = [encode(picture(*kind)) for kind in kinds]
        yield "minItems/fewest", builder.items(node["minItems"])
        # One of each kind, filled up with squares; the slice is for a contract that allows fewer than there are kinds.
        yield "maxItems/most", builder.subjects(*(varied + [builder.square] * node["maxItems"])[: node["maxItems"]])
        yield "maxBytes/largest", builder.subjects(builder.square, encode(padded(limits.max_bytes, builder.side)))
    elif "enum" in node:
        yield from ((f"enum/{value}", value) for value in node["enum"])
    elif ((name,), "unique") in builder.rules.rules:
        yield "unique/new", builder.named
        yield LEFT, builder.left
        yield "type/empty", ""
    elif "maxLength" in node:
        yield "maxLength/longest", "x" * node["maxLength"]
        yield "maxLength/longest-of-4-bytes", "\U0001f600" * node["maxLength"]
        yield "maxLength/empty", ""
        yield "type/nul", "a\0b"
    elif kind == "integer":
        yield "minimum/lowest", node["minimum"]
        yield "maximum/highest", node["maximum"]
    elif kind == "object":
        yield from (("type/on", builder.flags(name, on=True)), ("type/off", builder.flags(name, on=False)))
    elif kind == "number":
        yield "type/half", 0.5
    else:
        yield "type/any-text", "klingkit"
    if kind is None:  # it may be anything
        yield "type/any-number", 5
    if kind is not None and (name,) in builder.rules.nullable and len(node.get("enum", ())) < FEW:
        yield "type/null-as-absent", None


def wrappings(builder: Builder) -> Iterator[Boundary]:
    """Yield the boundaries that are of no field."""
    rules = builder.contract.rules
    depth = rules["body.depth"]
    media_type = f"{builder.create.media_type}; charset=utf-8"
    yield Boundary("body.mediaType", "charset", change=lambda request: replace(request, content_type=media_type))
    yield Boundary(
        "authorization.bearer",
        "lower-case",
        change=lambda request: replace(request, authorization="bearer {key}"),
    )
    yield Boundary("request.unknown_fields", "unknown-field", ("klingkit",), {"a": [1, None]})
    if depth.aspects[LIMIT].grade != UNKNOWN:  # else it is a protection of the simulator, and no rule of the API
        yield Boundary("body.depth", "deepest", ("klingkit",), nested(depth.params["maxDepth"] - 1))
    name, values = next((path[0], node["enum"]) for path, node in builder.rules.nodes.items() if "enum" in node)
    # Of a key that is there twice the later one counts, so the wrong value that stands first is none.
    twice = f'{{"{name}":"{FIRST_OF_TWO}","{name}":{json.dumps(values[0])},'.encode()
    yield Boundary(
        "body.json", "repeated-key", change=lambda request: replace(request, raw=twice + request.data[1:]), sets=name
    )


def _rule_of(builder: Builder, name: str, label: str) -> str:
    """Return the rule that a boundary is of: of the field, or of what stands in it. What may be anything is as good as unknown."""
    if label == LEFT:
        return "refusal.nothing"
    keyword = label.partition("/")[0]
    rules = builder.rules.rules
    found = (rule.id for (path, word), rule in rules.items() if path[0] == name and word == keyword)
    return next(found, "request.unknown_fields")
