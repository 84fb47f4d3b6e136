"""Pictures as the API takes them, a URL or Base64 of a checked file, and as it gives them."""

from __future__ import annotations

import base64
import secrets
from io import BytesIO
from pathlib import Path

from .errors import InputError, UnexpectedAnswerError
from .hiding import one_line

MAX_BYTES = 10 * 1024 * 1024
MIN_PIXELS = 300
MAX_RATIO = 2.5
Picture = str | Path | bytes
"""A URL, a file, or the bytes of a file."""
EXTENSIONS = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg"}


def encode_picture(picture: Picture) -> str:
    """Return the wire form of a URL, a file or the bytes of a file.

    Files are checked as the service documents it (PNG or JPEG, 10 MB, 300 px, 1:2.5 to 2.5:1). Raises InputError, before
    anything is sent, so that a mistake costs nothing.
    """
    if isinstance(picture, str):
        if picture[:8].lower().startswith(("http://", "https://")):
            return picture
        if picture[:5].lower() == "data:":
            raise InputError("a picture as data: URL is not taken by the API: pass the bytes of the file")
        raise InputError(f"{picture[:60]!r} is not an http(s) URL; pass a file as pathlib.Path")
    if isinstance(picture, Path):
        try:
            data = picture.read_bytes()
        except (OSError, ValueError) as error:  # the latter for a NUL
            raise InputError(one_line(f"{picture}: {getattr(error, 'strerror', None) or error}")) from None
        _check(data, one_line(picture))
    elif isinstance(picture, bytes):
        data = picture
        _check(data, "picture")
    else:
        raise InputError(f"a picture is a URL, a pathlib.Path or bytes, not {type(picture).__name__}")
    return base64.b64encode(data).decode()


def _check(data: bytes, name: str) -> None:
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: {len(data) / 1024 / 1024:.1f} MB, more than the 10 MB that the API takes")
    size = _measure(data)
    if size is None:
        raise InputError(f"{name}: not a PNG or JPEG file")
    short, long = sorted(size)
    if short < MIN_PIXELS:
        raise InputError(f"{name}: {size[0]} x {size[1]} px; the API wants at least {MIN_PIXELS} px each way")
    if long > short * MAX_RATIO:
        raise InputError(f"{name}: {size[0]} x {size[1]} px; the API takes ratios from 1:2.5 to 2.5:1")


def _measure(data: bytes) -> tuple[int, int] | None:
    from PIL.JpegImagePlugin import JpegImageFile  # noqa: PLC0415 - only files need Pillow
    from PIL.PngImagePlugin import PngImageFile  # noqa: PLC0415

    reader = PngImageFile if data.startswith(b"\x89PNG") else JpegImageFile
    try:
        return reader(BytesIO(data)).size
    except Exception:  # noqa: BLE001 - whatever a broken file makes Pillow stumble over
        return None


def save_picture(data: bytes, url: str, name: Path) -> Path:
    """Write a result picture as `name` with the extension of its kind, and return the file, which appears only when it is complete.

    It takes the place of a file or link of its name, and never writes through a link. Raises UnexpectedAnswerError if what came
    from the URL is no picture.
    """
    __tracebackhide__ = True
    extension = next((end for start, end in EXTENSIONS.items() if data.startswith(start)), None)
    if extension is None:
        raise UnexpectedAnswerError(f"{url}: this is no PNG or JPEG file")
    path = name.with_name(name.name + extension)
    partial = name.with_name(f".{name.name}-{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as file:  # x: nothing that is there already, such as a link, is opened
            file.write(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
