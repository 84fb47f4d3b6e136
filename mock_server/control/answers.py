"""What an operation of the control API returns where that is more than JSON."""

from __future__ import annotations

from typing import Any, NamedTuple

NEXT_HEADER = "Klingkit-Next"
"""Of the answer: what a page is to begin `after` to go on."""


class Listed(list[dict[str, Any]]):
    """A page of a list, which knows how it goes on."""

    def __init__(self, found: list[dict[str, Any]], go_on_after: str = "") -> None:
        super().__init__(found)
        self.go_on_after = go_on_after
        """What the next page begins after; empty if there is none."""


class Blob(NamedTuple):
    """A file."""

    data: bytes
    media_type: str
