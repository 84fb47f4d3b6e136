"""What the contract asks of a picture: its form (URL or strict Base64), its size in bytes, its pixels.

The limits are `x-image` of the contract. What is sent is measured by its header; only of a result are the pixels decoded.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pybase64

from .import_lock import importing

if TYPE_CHECKING:
    from collections.abc import Mapping


STANDARD = str.maketrans("-_", "+/")
"""From the URL-safe alphabet of Base64 to the standard one."""
UNREADABLE = (OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError, struct.error)
"""What Pillow's readers raise on a broken file."""


END_OF_PNG = b"\0\0\0\0IEND\xaeB`\x82"
MAX_DECODED = 64_000_000
"""Pixels; of a larger picture the file is checked, and its pixels are not decoded."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a request: where it stands, what it is for, and either its URL or its bytes."""

    place: tuple[str | int, ...]
    """Path in the request, such as `("subject_image_list", 0, "subject_image")`."""
    role: str
    """`subject`, `scene` or `style`."""
    url: str | None
    data: bytes | None


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """`x-image`: URL schemes, file formats, bytes, pixels of the shorter side, longest ratio (documented)."""

    schemes: tuple[str, ...]
    formats: tuple[str, ...]
    max_bytes: int
    min_pixels: int
    max_ratio: float
    lenient_base64: bool = False

    @classmethod
    def of(cls, spec: Mapping[str, Any], *, lenient_base64: bool = False) -> ImageLimits:
        """Read `x-image`."""
        return cls(
            schemes=tuple(f"{scheme}://" for scheme in spec["schemes"]),
            formats=tuple(spec["formats"]),
            max_bytes=spec["maxMegabytes"] * spec["megabyte"],
            min_pixels=spec["minPixels"],
            max_ratio=spec["maxRatio"],
            lenient_base64=lenient_base64,
        )

    def is_url(self, value: str) -> bool:
        """Tell whether a picture is given by URL; the scheme word is case-insensitive (RFC 3986)."""
        return value[:8].lower().startswith(self.schemes)

    def decode(self, value: str) -> bytes | None:
        """Decode Base64 as strictly as the service does; None for anything else."""
        if self.lenient_base64:
            value = "".join(value.split()).translate(STANDARD).rstrip("=")
            value += "=" * (-len(value) % 4)
        return decode_base64(value)

    def pixels_valid(self, data: bytes) -> bool:
        """Tell whether the file is a picture within the limits of pixels and ratio; False too if it cannot be read."""
        size = measure(data, self.formats)
        if size is None:
            return False
        short, long = sorted(size)
        return short >= self.min_pixels and long <= short * self.max_ratio


def decode_base64(value: str) -> bytes | None:
    """Decode strict Base64 (standard alphabet, padded, no white space); None if it is anything else or empty."""
    try:
        return pybase64.b64decode(value, validate=True) or None
    except ValueError:
        return None


def measure(data: bytes, formats: tuple[str, ...] = ("PNG", "JPEG")) -> tuple[int, int] | None:
    """Width and height in px from the header of a PNG or JPEG file; None if it has none of these formats.

    The file classes are used directly: `Image.open` refuses very large pictures, for which the API documents no limit.
    """
    with importing:
        from PIL.JpegImagePlugin import JpegImageFile  # noqa: PLC0415 - start-up does not wait for Pillow
        from PIL.PngImagePlugin import PngImageFile  # noqa: PLC0415

    signatures = {"PNG": (b"\x89PNG\r\n\x1a\n", PngImageFile), "JPEG": (b"\xff\xd8\xff", JpegImageFile)}
    for name in formats:
        signature, reader = signatures[name]
        if data.startswith(signature):
            try:
                return reader(BytesIO(data)).size
            except UNREADABLE:
                return None
    return None


def is_whole(data: bytes) -> bool:
    """Tell whether a PNG file is whole: its checksums are right to the end, and its pixels can be decoded."""
    with importing:
        from PIL.PngImagePlugin import PngImageFile  # noqa: PLC0415

    try:
        PngImageFile(BytesIO(data)).verify()
        picture = PngImageFile(BytesIO(data))
        if picture.width * picture.height <= MAX_DECODED:
            picture.load()
    except (*UNREADABLE, zlib.error):
        return False
    return END_OF_PNG in data  # of the last chunk Pillow reads no more than the name
