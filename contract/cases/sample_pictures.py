"""Small pictures to send: of one colour, in any size and format, and of any number of bytes."""

from __future__ import annotations

from functools import cache
from io import BytesIO

import pybase64

from ..import_lock import importing


@cache
def picture(width: int, height: int, kind: str = "PNG") -> bytes:
    """Return a picture file; width and height in px, `kind` as Pillow names formats."""
    with importing:
        from PIL import Image  # noqa: PLC0415 - only who needs pictures waits for Pillow

    out = BytesIO()
    Image.new("RGB", (width, height), (38, 70, 83)).save(out, kind)
    return out.getvalue()


@cache
def padded(size: int, side: int) -> bytes:
    """Return a square picture whose file has just that many bytes: what follows the end of a PNG is ignored."""
    return picture(side, side).ljust(size, b"\0")


@cache
def encode(data: bytes) -> str:
    """Return a file as the API wants it."""
    return pybase64.b64encode_as_string(data)
