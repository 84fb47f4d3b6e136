"""The journal of the control API."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from ..clock import parse_duration
from ..handlers import HANDLERS
from ..scenario_arguments import check_known
from ..store import PAGE
from .asking import ControlError, contracts_of
from .bodies import entry_bodies

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..journal import Entry
    from ..simulator import Simulator

MAX_WAIT_MS = 60_000


def list_journal(
    simulator: Simulator, account: str | None, *, after: int = 0, limit: int = PAGE, **wanted: Any
) -> dict[str, Any]:
    """Return a page of the requests that fit, oldest first."""
    journal = simulator.store.journal
    fits = _filter(simulator, account, wanted)
    entries = filter(fits, journal.entries(account, after=after))
    return {"dropped": journal.dropped, "entries": entry_bodies(simulator, list(islice(entries, limit)))}


def wait_for_request(
    simulator: Simulator, account: str | None, *, timeout: str = "5s", after: int = 0, **wanted: Any
) -> dict[str, Any]:
    """Return the first request that fits, waiting for it."""
    try:
        ms = parse_duration(timeout)
    except ValueError as error:
        raise ControlError(str(error)) from None
    if ms > MAX_WAIT_MS:
        raise ControlError(f"timeout {timeout} is longer than {MAX_WAIT_MS // 1000}s")
    found = simulator.store.journal.wait_for(_filter(simulator, account, wanted), ms / 1000, after)
    if found is None:
        raise ControlError(f"no such request came within {timeout}", 404)
    return entry_bodies(simulator, [found])[0]


def _filter(simulator: Simulator, account: str | None, wanted: dict[str, Any]) -> Callable[[Entry], bool]:
    try:
        contracts = contracts_of(simulator, account)
        check_known("operation", wanted.get("operation", "create_task"), HANDLERS)
        check_known(
            "rule",
            wanted.get("rule", "path.known"),
            dict.fromkeys(rule for found in contracts for rule in found.rules),
        )
    except ValueError as error:
        raise ControlError(str(error)) from None

    def fits(entry: Entry) -> bool:
        return (
            account in {None, entry.account}
            and wanted.get("operation", entry.operation) == entry.operation
            and wanted.get("task_id", entry.task_id) == entry.task_id
            and wanted.get("request_id", entry.request_id) == entry.request_id
            and wanted.get("status", entry.status) == entry.status
            and wanted.get("rule", entry.rule.partition(";")[0]) == entry.rule.partition(";")[0]
        )

    return fits
