"""The scenarios of the control API: the table, and what is queued."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..scenario_arguments import check_known
from ..scenario_choice import parse_for
from ..scenarios import scenario_table
from ..store import TooManyError
from .asking import ControlError, contracts_of
from .bodies import scenario_body

if TYPE_CHECKING:
    from klingkit.contract import Contract

    from ..simulator import Simulator


def list_scenarios(simulator: Simulator, account: str | None) -> dict[str, Any]:
    """Return the table, and what is queued."""
    table = _table(tuple(contracts_of(simulator, account)))
    return {
        "scenarios": [{**row, "operations": list(row["operations"])} for row in table],
        "queued": _queued(simulator, account),
    }


@lru_cache(maxsize=8)
def _table(contracts: tuple[Contract, ...]) -> list[dict[str, Any]]:
    """Return the rows of several contracts; of one that several have, the operations of each."""
    rows: dict[str, dict[str, Any]] = {}
    for contract in contracts:
        for row in scenario_table(contract).values():
            found = scenario_body(row, contract)
            known = rows.setdefault(row.name, found)
            known["operations"] = list(dict.fromkeys(known["operations"] + found["operations"]))
    return list(rows.values())


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


def unqueue_scenario(
    simulator: Simulator, account: str | None, *, scenario: str = "", operation: str = ""
) -> list[dict[str, Any]]:
    """Take what is queued out of the queue, or just a scenario or an operation."""
    if not simulator.store.unqueue(account or "", operation, scenario):
        what = " ".join(
            filter(None, [scenario[:60] and repr(scenario[:60]), operation[:60] and f"for {operation[:60]}"])
        )
        whose = "this account" if account else "all accounts"
        raise ControlError(
            f"nothing {what}".rstrip() + f" is queued for {whose}; GET /_mock/scenarios shows what is", 404
        )
    return _queued(simulator, account)


def _queued(simulator: Simulator, account: str | None) -> list[dict[str, Any]]:
    return [
        {"account": owner or None, "operation": operation, "scenario": entry.scenario.text, "times": entry.turns}
        for owner, operation, entry in simulator.store.queued(account)
    ]
