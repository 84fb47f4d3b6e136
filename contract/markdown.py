"""Text of a service in Markdown: it is no mention, link or other markup, and ends no cell of a table."""

from __future__ import annotations

import re

from .printable import printable

LONGEST_CELL = 200
"""Characters."""
TAKEN_FOR_MORE = re.compile(r"[<>@#\[\]*_~\\&!$^`|]|://|(?i:www\.|gh-\d)|\b[0-9a-f]{7,40}\b")
"""What makes more than a word of one: markup, a link, a mention, the number of an issue or of a commit."""
BEGINS_A_BLOCK = re.compile(r"[-+=]+|\d+[.)]")
"""What makes a list or a heading of a line that begins with it."""


def code(text: str) -> str:
    """Return it as code, in which nothing is markup; short."""
    if not text:
        return ""
    text = text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "..."
    return f"`{printable(text).replace('|', chr(0xA6)).replace('`', chr(39))}`"


def prose(text: str) -> str:
    """Return it as it can stand among other words: a word that could be markup is code."""
    first, *others = printable(" ".join(text.split())).split(" ")
    return " ".join([code(first) if BEGINS_A_BLOCK.fullmatch(first) else _word(first), *map(_word, others)])


def _word(word: str) -> str:
    if not TAKEN_FOR_MORE.search(word):
        return word
    bare = word.removeprefix("(").rstrip(".,;:)")
    start, _, end = word.partition(bare) if bare else ("", "", "")
    return start + code(bare or word) + end
