"""One function per operationId of the contract: from the request that was read to `data` of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .task_bodies import create_data, query_data

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from klingkit.contract import Contract

    from .scenario import Scenario
    from .simulator import Simulator
    from .tasks import Snapshot

Handled = tuple["Snapshot | None", "dict[str, Any] | list[dict[str, Any]]"]
"""The task that is shown, if it is one, and `data`."""
CREATES = ("create_task", "create_plain_task")
"""The operations that make a task."""


class Call(NamedTuple):
    """What a handler is told of a request, besides its arguments."""

    contract: Contract
    account: str
    base_url: str
    """Of the server, as the client called it."""
    request_id: str
    scenario: Scenario | None
    progression: str | None
    scenario_source: str = ""
    """Where the scenario came from."""


def create_task(
    simulator: Simulator, call: Call, *, body: dict[str, Any], operation_id: str = "create_task"
) -> Handled:
    """Submit a task."""
    view = simulator.create(
        call.account,
        body,
        call.base_url,
        contract=call.contract,
        operation_id=operation_id,
        request_id=call.request_id,
        scenario=call.scenario,
        progression=call.progression,
        scenario_source=call.scenario_source,
    )
    return view, create_data(view)


def create_plain_task(simulator: Simulator, call: Call, *, body: dict[str, Any]) -> Handled:
    """Submit a task that makes a plain picture."""
    return create_task(simulator, call, body=body, operation_id="create_plain_task")


def get_task(simulator: Simulator, call: Call, *, task_id: str) -> Handled:
    """Query one task."""
    view = simulator.query(call.account, task_id, contract=call.contract)
    return view, query_data(view, simulator.contract_of(view.task), call.base_url)


def list_tasks(simulator: Simulator, call: Call, *, query: Mapping[str, str]) -> Handled:
    """List a page of tasks; that is no query of any of them."""
    views = simulator.page(call.account, call.contract, query)
    return None, [query_data(view, simulator.contract_of(view.task), call.base_url) for view in views]


HANDLERS: dict[str, Callable[..., Handled]] = {
    handler.__name__: handler for handler in (create_task, create_plain_task, get_task, list_tasks)
}
