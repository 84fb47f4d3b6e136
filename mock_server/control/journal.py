"""The journal of the control API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..clock import parse_duration
from ..handlers import HANDLERS
from ..scenario_arguments import check_known
from ..store import PAGE
from .asking import ControlError, contracts_of, meant
from .bodies import entry_bodies

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..journal import Entry
    from ..simulator import Simulator

MAX_WAIT_MS = 60_000
AT_ONCE = 200
"""Requests that are read together."""
LOOKED_THROUGH = 10_000
"""Requests that are looked through for a page."""


def list_journal(
    simulator: Simulator,
    account: str | None,
    *,
    after: int = 0,
    limit: int = PAGE,
    order: str = "oldest",
    **wanted: Any,
) -> dict[str, Any]:
    """Return a page of the requests that fit."""
    journal = simulator.store.journal
    fits = _filter(simulator, account, wanted)
    found: list[Entry] = []
    looked = 0
    while looked < LOOKED_THROUGH:
        entries = journal.entries(account, after=after, limit=AT_ONCE, newest_first=order == "newest")
        for entry in entries:
            after = entry.number
            found += [entry] * fits(entry)
            if len(found) == limit:
                return _page(simulator, found, after)
        looked += AT_ONCE
        if len(entries) < AT_ONCE:
            return _page(simulator, found, None)
    return _page(simulator, found, after)


def _page(simulator: Simulator, entries: list[Entry], after: int | None) -> dict[str, Any]:
    dropped = simulator.store.journal.dropped
    return {"dropped": dropped, "next": after, "entries": entry_bodies(simulator, entries)}


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
        if "task_id" in wanted:
            wanted = {**wanted, "task_id": meant(simulator, account, wanted["task_id"])}
        check_known("operation", wanted.get("operation", "create_task"), HANDLERS)
        check_known(
            "rule",
            wanted.get("rule", "path.known"),
            dict.fromkeys(rule for found in contracts for rule in found.rules),
        )
    except ValueError as error:
        raise ControlError(str(error)) from None

    refused, text = wanted.get("refused"), wanted.get("text", "")
    needles = _needles(text)

    def fits(entry: Entry) -> bool:
        return (
            account in {None, entry.account}
            and wanted.get("operation", entry.operation) == entry.operation
            and wanted.get("task_id", entry.task_id) == entry.task_id
            and wanted.get("request_id", entry.request_id) == entry.request_id
            and wanted.get("status", entry.status) == entry.status
            and wanted.get("rule", entry.rule.partition(";")[0]) == entry.rule.partition(";")[0]
            and refused in {None, bool(entry.error)}
            and (not needles or _has(entry, needles))
        )

    return fits


def _needles(text: str) -> tuple[bytes, ...]:
    """Return the forms in which a text may stand in a body: as it is, and as JSON of ASCII has it."""
    return tuple({form.lower().encode() for form in (text, json.dumps(text)[1:-1])}) if text else ()


def _has(entry: Entry, needles: tuple[bytes, ...]) -> bool:
    said = [entry.path, entry.request_id, entry.task_id, entry.account, entry.rule, entry.scenario]
    said += [text for _, text in entry.advice]
    parts = ["\n".join(said).encode("utf-8", "surrogateescape"), entry.body, entry.answer]
    return any(needle in part.lower() for part in parts for needle in needles)
