"""The tasks, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ask import Ask


def show(ask: Ask) -> dict[str, Any]:
    """Return a page of tasks."""
    return {"tasks": ask.call("list_tasks", limit=100)[::-1]}
