"""What a wrong value looks like, by the keyword that it breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .builder import MISSING
from .sample_pictures import encode, padded, picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..rule_table import Path
    from .builder import Builder


@dataclass(frozen=True, slots=True)
class Bad:
    """A wrong value; `sure` if no reader of JSON, however lenient, could take it for a right one."""

    label: str
    value: Any
    sure: bool = True
    json: str = ""
    """How it is written, where Python cannot."""


BAD_TYPES: dict[str, tuple[Bad, ...]] = {
    "string": (Bad("number", 5, sure=False), Bad("list", ["klingkit"])),
    "integer": (
        Bad("string", "1", sure=False),
        Bad("float", 1.0, sure=False),
        Bad("fraction", 1.5, sure=False),
        Bad("boolean", True, sure=False),
        Bad("infinite", float("inf"), sure=False, json="1e400"),
        Bad("endless", float("inf"), sure=False, json="1" * 5000),
    ),
    "array": (
        Bad("string", "klingkit"),
        Bad("object", {"klingkit": "x"}, sure=False),
    ),
    "object": (Bad("string", "klingkit"), Bad("null", None), Bad("list", [])),
    "boolean": (Bad("string", "true", sure=False), Bad("number", 1, sure=False)),
    "number": (Bad("string", "klingkit"), Bad("list", [])),
}
"""Wrong types that clients send, by the type that is right."""


def bad_values(builder: Builder, keyword: str, path: Path) -> Iterator[Bad]:
    """Yield what breaks a keyword at a place."""
    node: Mapping[str, Any] = builder.rules.nodes[path]
    if keyword == "type":  # null counts as absent, but in a list
        yield from (bad for bad in BAD_TYPES[node["type"]] if bad.value is not None or path[-1] == "items")
    elif keyword == "required":
        yield from (Bad("missing", MISSING), Bad("null", None))
    elif keyword == "pattern":
        yield from (Bad("empty", ""), Bad("blank", " \t\u3000"))
    elif keyword == "minItems":
        if node["minItems"] > 1:
            yield Bad("one-too-few", builder.items(node["minItems"] - 1))
        yield Bad("none", [])
    elif keyword == "maxItems":
        yield Bad("one-too-many", builder.items(node["maxItems"] + 1))
    elif keyword == "maxLength":
        yield Bad("one-too-long", "x" * (node["maxLength"] + 1))
    elif keyword == "enum":
        first = node["enum"][0]
        wrong = (Bad("unknown", "klingkit"), Bad("space", f"{first} "), Bad("empty", "", sure=False))
        near = (Bad(name, name, sure=False) for name in node.get("x-neighbours", ()))
        every = (*wrong, Bad("case", first.swapcase()), *near)
        yield from (bad for bad in every if bad.value not in node["enum"])
    elif keyword == "minimum":
        yield from (Bad("one-too-low", node["minimum"] - 1), Bad("negative", -node["minimum"]))
    elif keyword == "maximum":
        yield Bad("one-too-high", node["maximum"] + 1)
    elif keyword == "base64":
        yield from _bad_pictures(builder)
    elif keyword == "maxBytes":
        yield Bad("one-byte-too-many", encode(padded(builder.rules.limits.max_bytes + 1, builder.side)))


def _bad_pictures(builder: Builder) -> Iterator[Bad]:
    text = builder.square
    while not text.endswith("="):  # one that padding makes a difference to
        text = encode(picture(builder.side, builder.side) + b"\0" * (1 + text.count("=")))
    yield Bad("data-url", f"data:image/png;base64,{text}")
    yield Bad("other-scheme", "ftp://example.com/picture.png")
    yield Bad("text", "not base64!")
    yield Bad("line-break", f"{text[:76]}\n{text[76:]}", sure=False)
    yield Bad("no-padding", text.rstrip("="), sure=False)
    # Behind a picture, the bytes FF FF make a `/` of the standard alphabet, which the URL-safe one has not.
    yield Bad("url-safe", encode(picture(builder.side, builder.side) + b"\xff\xff").replace("/", "_"), sure=False)
