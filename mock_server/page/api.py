"""The operations of the control API: all that the page shows and does, for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ask import Ask


def show(ask: Ask) -> dict[str, Any]:
    """Return every operation."""
    return {"index": ask.call("get_index")}
