"""What kind of input breaks a rule: how well it is known what comes of it can depend on that (`about` in `x-assumptions`)."""

from __future__ import annotations

import math
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from .pictures import decode_base64

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
NUMBER = re.compile(r"\s*[+-]?\d+(\.\d+)?\s*")
LINE_BREAK = re.compile(r"[\r\n]+")
WHITE_SPACE = re.compile(r"\s+")
STANDARD = str.maketrans("-_", "+/")
MENDED: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("line-break", partial(LINE_BREAK.sub, "")),
    ("white-space", partial(WHITE_SPACE.sub, "")),
    ("url-safe", lambda text: text.translate(STANDARD)),
    ("no-padding", lambda text: text + "=" * (-len(text) % 4)),
)
"""What keeps a text from being Base64 as it has to be, and how that is put right."""
LONGEST = 40
"""Characters of a value that names its kind itself."""


def kind_of(keyword: str, value: Any) -> str:
    """Name the kind of a value that breaks a keyword; empty where all are of one."""
    if keyword == "type":
        return _kind_of_type(value)
    if keyword == "pattern":
        return "blank" if value else "empty"
    if keyword == "maxBytes":
        return "too-large"
    if keyword == "minItems":
        return "too-few" if value else "none"
    if keyword == "enum":
        return str(value)[:LONGEST] or "empty"
    return _kind_of_base64(value) if keyword == "base64" else ""


def _kind_of_type(value: Any) -> str:
    if isinstance(value, float):
        return "huge" if math.isinf(value) else "float" if value.is_integer() else "fraction"
    if isinstance(value, str):
        return "digits" if NUMBER.fullmatch(value) else "string"
    kinds = {bool: "boolean", int: "number", list: "list", dict: "object"}
    return kinds.get(type(value), "null")


def _kind_of_base64(text: str) -> str:
    """Name the first thing for which a text is no Base64, if it is one but for such things; else what it is instead."""
    if not text:
        return "empty"
    if SCHEME.match(text):
        return "data-url" if text[:5].lower() == "data:" else "other-scheme"
    found = ""
    for kind, mend in MENDED:
        before, text = text, mend(text)
        found = found or (kind if text != before else "")
    return found if decode_base64(text) is not None else "text"
