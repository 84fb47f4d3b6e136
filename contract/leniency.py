"""What a service makes of a request for which JSON Schema has no words, as its contract assumes (`x-assumptions`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

WHOLE = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)


def taken(document: Mapping[str, Any], assumption: str) -> str:
    """Return the alternative of an assumption that a document takes; empty if the question is none in that contract."""
    return str(document["x-assumptions"].get(assumption, {}).get("default", ""))


@dataclass(frozen=True, slots=True)
class Leniency:
    """How a service reads values."""

    numbers: bool
    """Whether 1.0 and "1" are read as 1."""
    counts_bytes: bool
    """Whether a length is that of the UTF-8 text."""
    base64: bool
    """Whether Base64 can have line breaks, white space, the URL-safe alphabet, and no padding."""
    empty_picture_is_absent: bool

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Leniency:
        """Read it from a contract's document."""
        return cls(
            numbers=taken(document, "number-forms") == "lenient",
            counts_bytes=taken(document, "prompt-length") == "bytes",
            base64=taken(document, "base64-dialect") == "lenient",
            empty_picture_is_absent=taken(document, "empty-picture") == "absent",
        )

    def whole(self, value: Any) -> Any:
        """Return the whole number that a value means, if it is read so; else the value."""
        if self.numbers and isinstance(value, float) and value.is_integer():
            return int(value)
        return int(value) if self.numbers and isinstance(value, str) and WHOLE.fullmatch(value) else value

    def too_long(self, value: Any, most: int | None) -> bool:
        """Tell whether a text is too long that has few enough characters."""
        return self.counts_bytes and most is not None and isinstance(value, str) and len(value) <= most < _bytes(value)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
