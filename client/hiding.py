"""What must not be shown: the key, and what of a text from outside no terminal, log or report can take."""

from __future__ import annotations

import base64
import re
from typing import Self

SHORTEST_SECRET = 8
"""Characters; a shorter key, such as the `any` of an open simulator, is no secret."""
LONGEST = 2000
"""Characters of a text that are shown."""
HIDDEN = "***"
_GAP = r"[^!-~]{0,3}"
"""What may stand between two characters of a key that is still one to who reads it: nothing that a key has."""


class Hidden(str):
    """A secret text: whoever sends it gets it, whoever shows it does not, such as pytest with the variables of a frame."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Hide a text; one that is hidden already stays, since `str` would make of it what is shown."""
        return text if isinstance(text, cls) else super().__new__(cls, text)

    def __repr__(self) -> str:
        return repr(HIDDEN)

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, _: str) -> str:
        return HIDDEN


class Cleaner:
    """Makes of what came from outside one line that can be shown, without the key, in whatever way it is written there."""

    def __init__(self, key: str = "") -> None:
        self._patterns = _patterns(key) if len(key) >= SHORTEST_SECRET else []

    def __call__(self, value: object, longest: int | None = LONGEST) -> str:
        """Return a text or number in one line of so many characters at most; what is neither becomes an empty one."""
        text = value if isinstance(value, str) else str(value) if _is_number(value) else ""
        if longest is not None:
            text = text[: 10 * longest]  # more than what is left out at the end could hide a part of the key
        text = self.hide(" ".join(text.split()))
        if not text.isprintable():
            text = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
        return text if longest is None or len(text) <= longest else text[: longest - 3] + "..."

    def hide(self, text: str) -> str:
        """Return a text that can be encoded, without the key, and else as it is."""
        for pattern in self._patterns:
            text = pattern.sub(HIDDEN, text)
        return text.encode(errors="backslashreplace").decode()


def one_line(text: object) -> str:
    """Return a text in which no key can stand as one line that can be shown."""
    return Cleaner()(str(text))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _patterns(key: str) -> list[re.Pattern[str]]:
    """Return what finds a key as it is, with any of its characters escaped, in hexadecimal, or within what is in Base64."""
    spelt = (_spellings(sign) for sign in key)
    data = key.encode()
    encoded = [_base64_core(data, before) for before in range(3)]
    cores = [*encoded, *(core.translate({43: "-", 47: "_"}) for core in encoded)]
    return [
        re.compile(_GAP.join(spelt), re.IGNORECASE),
        re.compile(_GAP.join(data.hex()), re.IGNORECASE),
        re.compile("|".join(_GAP.join(map(re.escape, core)) for core in dict.fromkeys(cores))),
    ]


def _spellings(sign: str) -> str:
    r"""Return a pattern of a character as it is, as `\/`, `%2F`, `\u002f`, `\x2f`, `&#47;` or `&#x2f;`, escaped twice too."""
    number = ord(sign)
    return (
        rf"(?:\\{{0,4}}{re.escape(sign)}|%(?:25){{0,3}}{number:02x}|\\{{1,4}}u\{{?0{{0,6}}{number:x}\}}?|\\{{1,4}}x{number:02x}"
        rf"|&(?:amp;)?\#0{{0,6}}{number};?|&(?:amp;)?\#x0{{0,6}}{number:x};?)"
    )


def _base64_core(data: bytes, before: int) -> str:
    """Return the part of a Base64 text that stands for some bytes alone, if it begins so many bytes before them."""
    text = base64.b64encode(bytes(before) + data).decode()
    return text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
