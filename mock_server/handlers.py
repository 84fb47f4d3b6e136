"""One function per operationId of the contract: from the request that was read to `data` of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .task_bodies import create_data, query_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from .scenario import Scenario
    from .simulator import Simulator
    from .tasks import Snapshot

Handled = tuple["Snapshot", dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler is told of a request, besides its arguments."""

    account: str
    base_url: str
    """Of the server, as the client called it."""
    number: int
    """Of the request in the journal."""
    scenario: Scenario | None
    progression: str | None


def create_task(simulator: Simulator, call: Call, *, body: dict[str, Any]) -> Handled:
    """Submit a task."""
    view = simulator.create(call.account, body, call.base_url, scenario=call.scenario, progression=call.progression)
    return view, create_data(view)


def get_task(simulator: Simulator, call: Call, *, task_id: str) -> Handled:
    """Query one task."""
    view = simulator.query(call.account, task_id, call.number)
    return view, query_data(view, simulator.contract.lifecycle, call.base_url)


HANDLERS: dict[str, Callable[..., Handled]] = {handler.__name__: handler for handler in (create_task, get_task)}
