"""One function per operationId of the contract: from the request that was read to `data` of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .wire import create_data, query_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from .simulator import Simulator
    from .tasks import Snapshot

Handled = tuple["Snapshot", dict[str, Any]]


def create_task(simulator: Simulator, account: str, base_url: str, *, body: dict[str, Any]) -> Handled:
    """Submit a task."""
    view = simulator.create(account, body, base_url)
    return view, create_data(view)


def get_task(simulator: Simulator, account: str, base_url: str, *, task_id: str) -> Handled:
    """Query one task."""
    view = simulator.query(account, task_id)
    return view, query_data(view, simulator.contract.lifecycle, base_url)


HANDLERS: dict[str, Callable[..., Handled]] = {handler.__name__: handler for handler in (create_task, get_task)}
