"""Text from outside, on a terminal or in a line: it moves no cursor, turns no order of letters, and hides nothing."""

from __future__ import annotations

import re

UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Letters and marks, as Unicode has it, that leave no trace where they stand."""


def printable(text: str) -> str:
    """Return a text in which what cannot be seen is escaped: control characters, lone surrogates, line ends."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(char: str) -> str:
    # `isprintable` is false for all that Unicode calls control, format (bidi, zero width), surrogate or separator.
    return char if char.isprintable() and not UNSEEN.match(char) else char.encode("unicode_escape").decode()
