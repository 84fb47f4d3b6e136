"""The tasks of the control API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .asking import find, named, paging
from .bodies import task_bodies

if TYPE_CHECKING:
    from ..simulator import Simulator


def list_tasks(
    simulator: Simulator, account: str | None, *, external_task_id: str | None = None, **page: Any
) -> list[dict[str, Any]]:
    """Return a page of tasks, oldest first, or those of an external id."""
    if external_task_id is not None:
        return task_bodies(simulator, named(simulator, account, external_task_id))
    with paging("task"):
        return task_bodies(simulator, simulator.store.records(account, **page))


def get_task(simulator: Simulator, account: str | None, *, task_id: str) -> dict[str, Any]:
    """Return one task."""
    return task_bodies(simulator, [find(simulator, account, task_id)])[0]


def move_task(simulator: Simulator, account: str | None, *, task_id: str) -> dict[str, Any]:
    """Bring a task one step further."""
    find(simulator, account, task_id)
    simulator.move(task_id)
    return get_task(simulator, account, task_id=task_id)
