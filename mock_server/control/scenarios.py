"""The scenarios of the control API: the table, and what is queued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..scenario_arguments import check_known
from ..scenario_choice import parse_for
from ..scenarios import scenario_table
from ..store import TooManyError
from .asking import ControlError, contracts_of

if TYPE_CHECKING:
    from ..simulator import Simulator


def list_scenarios(simulator: Simulator, account: str | None) -> dict[str, Any]:
    """Return the table, and what is queued."""
    rows = [
        {"name": row.name, "summary": row.summary, "argument": row.argument}
        for row in {
            name: row for found in contracts_of(simulator, account) for name, row in scenario_table(found).items()
        }.values()
    ]
    return {"scenarios": rows, "queued": _queued(simulator, account)}


def queue_scenario(
    simulator: Simulator, account: str | None, *, scenario: str, times: int = 1, operation: str = "create_task"
) -> list[dict[str, Any]]:
    """Let a scenario apply to the next requests for an operation."""
    try:
        contracts = contracts_of(simulator, account)
        check_known("operation", operation, dict.fromkeys(name for found in contracts for name in found.routes))
        parsed = parse_for(scenario, contracts, operation)
        simulator.store.queue_scenario(account or "", operation, parsed, times)
    except (ValueError, TooManyError) as error:
        raise ControlError(str(error)) from None
    return _queued(simulator, account)


def _queued(simulator: Simulator, account: str | None) -> list[dict[str, Any]]:
    return [
        {"operation": operation, "scenario": entry.scenario.text, "times": entry.turns}
        for operation, entry in simulator.store.queued(account or "")
    ]
