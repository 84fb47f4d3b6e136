"""What must not be shown: the key, and what of a text from outside no terminal, log or report can take."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SHORTEST_SECRET = 8
"""Characters; a shorter key, such as the `any` of an open simulator, is no secret."""
LONGEST = 2000
"""Characters of a text that are shown."""
HIDDEN = "***"
_ESCAPED = re.compile(
    r"\\u\{?0*([0-9a-f]{2})\}?|\\x([0-9a-f]{2})|%(?:25)*([0-9a-f]{2})|&(?:amp;)*#x0*([0-9a-f]{2});?|&(?:amp;)*#0*([0-9]{2,3});?",
    re.IGNORECASE,
)
r"""A character as `\u002f`, `\x2f`, `%2f`, `&#x2f;` or `&#47;`."""
_ROUNDS = 4
"""How often a text is unescaped, since what is escaped can be escaped again."""
_LONGEST_FORM = 10
"""Characters that one of the key can be written with."""
_NOT_IN_A_KEY = re.compile(r"[^!-~]|\\")


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
    """Makes of what came from outside one line that can be shown, without the secrets, in whatever way one is written there.

    `secrets` gives those of the moment, since tokens are replaced.
    """

    def __init__(self, secrets: Callable[[], Iterable[str]] = tuple) -> None:
        self._current = secrets
        self._known: tuple[_Secret, ...] = ()

    def __call__(self, value: object, longest: int | None = LONGEST) -> str:
        """Return a text or number in one line of so many characters at most; what is neither becomes an empty one."""
        text = value if isinstance(value, str) else str(value) if _is_number(value) else ""
        read = len(text) if longest is None else 10 * longest + self._longest_form()
        text = self._without_end(self.hide(" ".join(text[:read].split())), cut=len(text) > read)
        if not text.isprintable():
            text = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
        return text if longest is None or len(text) <= longest else text[: longest - 3] + "..."

    def beginning(self, text: str, longest: int) -> str:
        """Return a text as it is, without the secrets, and of one that is longer than so many characters what comes first."""
        return self._without_end(self.hide(text[:longest]), cut=len(text) > longest)

    def hide(self, text: str) -> str:
        """Return a text that can be encoded: without the secrets, or nothing of it if one stands there in another form."""
        text = text.encode(errors="backslashreplace").decode()
        for secret in self._secrets():
            text = secret.hide(text)
        return text

    def _secrets(self) -> tuple[_Secret, ...]:
        texts = tuple(self._current())
        if texts != tuple(secret.text for secret in self._known):
            self._known = tuple(_Secret(text) for text in texts)
        return self._known

    def _longest_form(self) -> int:
        return _LONGEST_FORM * max((len(secret.text) for secret in self._secrets()), default=0)

    def _without_end(self, text: str, *, cut: bool) -> str:
        """Leave out the end of a text that was cut: it may be a part of a secret, in any form, which nobody can tell."""
        return text[: -self._longest_form() or None] if cut else text


class _Secret:
    """One secret, and how it can be written."""

    def __init__(self, text: str) -> None:
        self.text = Hidden(text)
        data = text.encode()
        self._spelt = Hidden(_NOT_IN_A_KEY.sub("", text).lower() or text)
        self._encoded = [Hidden(data.hex()), *(Hidden(_base64_core(data, before)) for before in range(3))]

    def hide(self, text: str) -> str:
        if len(self.text) < SHORTEST_SECRET:
            return text
        text = re.sub(re.escape(self.text), HIDDEN, text, flags=re.IGNORECASE)
        return HIDDEN if self._is_in(text) else text

    def _is_in(self, text: str) -> bool:
        """Tell whether it stands in a text, with characters escaped or others between, in hexadecimal, or in Base64."""
        for _ in range(_ROUNDS):
            text = _ESCAPED.sub(_unescaped, text)
        text = _NOT_IN_A_KEY.sub("", text)
        standard = text.replace("-", "+").replace("_", "/")  # one of the two alphabets of Base64
        return self._spelt in text.lower() or any(code in standard or code in text.lower() for code in self._encoded)


def one_line(text: object) -> str:
    """Return a text in which no key can stand as one line that can be shown."""
    return Cleaner()(str(text))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _unescaped(match: re.Match[str]) -> str:
    *hexadecimal, decimal = match.groups()
    return chr(int(decimal) if decimal else int(next(filter(None, hexadecimal)), 16))


def _base64_core(data: bytes, before: int) -> str:
    """Return the part of a Base64 text that stands for some bytes alone, if it begins so many bytes before them."""
    text = base64.b64encode(bytes(before) + data).decode()
    return text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
