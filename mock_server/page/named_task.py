"""A task by what a person calls it: its id, `latest`, or the external id that their code has given it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ask import Ask

LOOKED_AT = 50


def task_id_of(ask: Ask, name: str) -> str:
    """Return the id of the newest task of an external id; any other name as it is."""
    if name.isdecimal() or name == "latest":
        return name
    found = ask.call("list_tasks", text=name, order="newest", limit=LOOKED_AT)
    return next((task["task_id"] for task in found if task["external_task_id"] == name), name)
