"""Text of a service in Markdown: it can be no mention and no markup, and ends no cell of a table."""

import re

LONGEST_CELL = 200
"""Characters."""


def code(text: str) -> str:
    """Return it as code."""
    if not text:
        return ""
    text = text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "..."
    return f"`{_plain(text)}`"


def prose(text: str) -> str:
    """Return it as it can stand among other words."""
    text = _plain(text).replace("<", "&lt;").replace("@", "(at)").replace("[", "(").replace("]", ")")
    return re.sub(r"([\\*~#])", r"\\\1", text)


def _plain(text: str) -> str:
    text = "".join(char if char.isprintable() else " " for char in text)
    return text.replace("|", "\u00a6").replace("`", "'")
