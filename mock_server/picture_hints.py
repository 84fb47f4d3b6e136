"""What is wrong with a picture of a request: which one, and why; in plain ASCII."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from klingkit.contract.pictures import decode_base64, measure
from klingkit.contract.rules import place_text

from .field_hints import MAX_NAMED, Named
from .outbound import host_and_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from klingkit.contract import Contract, Picture, Rule
    from klingkit.contract.rules import RequestRules

MEGABYTE = 1024 * 1024
LOOKED_AT = 10_000
"""Characters of a picture that are looked at from its beginning, and from its end."""
ALPHABET = re.compile(r"[A-Za-z0-9+/]+={0,2}\Z")
BASE64_MISTAKES = (
    ("empty-picture", re.compile(r"\s*\Z"), "is empty"),
    ("data-url", re.compile(r"(?i)data:"), "begins with data:, which the service does not take"),
    ("bytes-text", re.compile(r"b['\"]"), "is how Python shows bytes, and not their Base64"),
    ("wrong-scheme", re.compile(r"(?i)[a-z][a-z0-9+.-]{0,20}://"), "is a URL that is neither http nor https"),
    (
        "file-name",
        re.compile(r"(?is).{1,400}\.(png|jpe?g|webp|gif|bmp|heic)(\?.{0,400})?\Z"),
        "is the name of a file, or a URL without https://",
    ),
    ("base64-lines", re.compile(r"(?=[^\r\n]*[\r\n])[A-Za-z0-9+/=_\s-]+\Z"), "is Base64 with line breaks"),
    ("base64-spaces", re.compile(r"(?=\S*\s)[A-Za-z0-9+/=_\s-]+\Z"), "is Base64 with white space in it"),
    ("base64-quoted", re.compile(r"(?i)[a-z0-9+/=]*%(2b|2f|3d)"), "is Base64 that was percent-encoded"),
    ("base64-url-safe", re.compile(r"[A-Za-z0-9]*[-_][A-Za-z0-9_-]*={0,2}\Z"), "is Base64 of the URL-safe alphabet"),
)
"""Kind of what is no Base64, how it looks from its first character on, and how that is said; the first that fits counts."""
SIGNATURES = (
    ("GIF", re.compile(rb"GIF8")),
    ("WebP", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    ("BMP", re.compile(rb"BM")),
    ("TIFF", re.compile(rb"II\*\0|MM\0\*")),
    ("HEIC or AVIF", re.compile(rb".{4}ftyp(hei|mif|avi)", re.DOTALL)),
    ("PDF", re.compile(rb"%PDF")),
    ("SVG or HTML", re.compile(rb"\s*<")),
)


def refused_pictures(request: RequestRules, body: dict[str, Any]) -> list[Named]:
    """Name the pictures that are refused at once, for their form or their size."""
    return list(islice(_refused(request, body), MAX_NAMED))


def _refused(request: RequestRules, body: dict[str, Any]) -> Iterator[Named]:
    limits = request.limits
    for place, value in request.picture_values(body):
        if limits.is_url(value):
            continue
        data = decode_base64(value)
        if data is None:
            yield _base64_mistake(place, value)
        elif len(data) > limits.max_bytes:
            size = f"{len(data) / MEGABYTE:.1f} MB large, more than {limits.max_bytes / MEGABYTE:g} MB"
            yield "picture", f"{place} is {size}"


def _base64_mistake(place: str, value: str) -> Named:
    seen = value if len(value) <= 2 * LOOKED_AT else value[:LOOKED_AT] + value[-LOOKED_AT:]
    for kind, looks, text in BASE64_MISTAKES:
        if looks.match(seen):
            return kind, f"{place} {text}"
    if ALPHABET.match(seen) and len(value) % 4:
        return "base64-padding", f"{place} is Base64 without its padding"
    return "no-base64", f"{place} is neither an http(s) URL nor Base64"


def why_it_fails(contract: Contract, picture: Picture, rule: Rule) -> str:
    """Say which picture makes a task fail by a rule, and why."""
    place = place_text(picture.place)
    if picture.data is None:
        return f"{place} cannot be fetched: {ascii(host_and_path(picture.url or '')[:120])[1:-1]}"
    limits = contract.request.limits
    size = measure(picture.data, limits.formats)
    if size is None:
        kinds = " or ".join(limits.formats)
        return f"{place} is {_kind_of(picture.data)}, and no {kinds} that can be read: {rule.text()}"
    short, long = sorted(size)
    shown = f"{place} is {size[0]} x {size[1]} px"
    if short < limits.min_pixels:
        return f"{shown}, less than {limits.min_pixels} px each way: {rule.text()}"
    return f"{shown}, longer than 1:{limits.max_ratio:g} ({long / short:.2f}): {rule.text()}"


def _kind_of(data: bytes) -> str:
    name = next((name for name, looks in SIGNATURES if looks.match(data[:64])), "")
    return f"a file of {len(data)} bytes" + (f" that looks like {name}" if name else "")
