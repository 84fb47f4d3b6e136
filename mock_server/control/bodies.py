"""What the control API shows of the state, as JSON in the shapes of `control.yaml`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..advice import REMEDIES
from ..clock import iso
from ..clocks import SERVER
from ..field_hints import ignored_fields
from ..handlers import CREATES
from ..journal import masked_headers, readable
from ..scenario_choice import parse_scenario
from .attempt_bodies import attempt_outline
from .events_ahead import events_ahead
from .explanations import explanation

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.contract import Contract

    from ..clock import Move
    from ..deliveries import Attempt, Delivery
    from ..journal import Entry
    from ..scenarios import ScenarioRow
    from ..simulator import Simulator


MAX_IGNORED = 20
"""Ignored fields of a request that are shown."""


def clock_body(simulator: Simulator, account: str | None, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the clock that an account, or (None) the server, goes by, and what happened on its way."""
    owner, clock = simulator.store.clock(account or SERVER)
    now = clock.at(simulator.clocks.machine())
    frozen = clock.standing is not None
    return {"now": now, "time": iso(now), "frozen": frozen, "own": owner != SERVER, "events": events}


def whole_clock_body(simulator: Simulator, account: str | None) -> dict[str, Any]:
    """Return the same with who goes by it, what lies ahead and what was done to it."""
    store, shown = simulator.store, clock_body(simulator, account, [])
    owner = store.clock(account or SERVER)[0]
    return {
        **shown,
        "speed": simulator.settings.speed,
        "followers": 1 if owner else store.followers(),
        "own_clocks": store.own_clocks(),
        "ahead": events_ahead(simulator, account, shown["now"]),
        "moves": [move_body(move) for move in simulator.clocks.moves(account or SERVER)],
    }


def clock_health(simulator: Simulator) -> dict[str, Any]:
    """Return whether the server's clock stands still or has been moved, and how many accounts have one of their own."""
    clock, machine = simulator.clocks.state(), simulator.clocks.machine()
    now = clock.at(machine)
    return {
        "time": iso(now),
        "frozen": clock.standing is not None,
        "moved_ms": now - machine,
        "own_clocks": simulator.store.own_clocks(),
    }


def move_body(move: Move) -> dict[str, Any]:
    """Return what was done to a clock."""
    return {"at": move.machine, "from": move.start, "to": move.end, "by": move.by}


def delivery_body(
    delivery: Delivery, attempt_body: Callable[[Attempt], dict[str, Any]] = attempt_outline
) -> dict[str, Any]:
    """Return a callback with its attempts."""
    return {
        "id": delivery.id,
        "task_id": delivery.task_id,
        "account": delivery.account,
        "status": delivery.status,
        "due_at": delivery.due_at,
        "outcome": delivery.outcome or "pending",
        "attempts": [attempt_body(attempt) for attempt in delivery.attempts],
    }


def entry_bodies(simulator: Simulator, entries: list[Entry]) -> list[dict[str, Any]]:
    """Return requests with their answers."""
    made = simulator.store.deliveries_of(entry.task_id for entry in entries if entry.operation in CREATES)
    return [
        _entry_body(simulator, entry, made.get(entry.task_id, []) if entry.operation in CREATES else [])
        for entry in entries
    ]


def _entry_body(simulator: Simulator, entry: Entry, deliveries: list[Delivery]) -> dict[str, Any]:
    request, answer = readable(entry.body), readable(entry.answer)
    return {
        "number": entry.number,
        "at": entry.at,
        "ms": entry.ms,
        "request_id": entry.request_id,
        "account": entry.account,
        "contract": entry.contract,
        "operation": entry.operation,
        "method": entry.method,
        "path": entry.path,
        "headers": masked_headers(entry.headers),
        "request": request,
        "ignored": _ignored(simulator, entry, request),
        "status": entry.status,
        "answer": answer,
        "scenario": entry.scenario,
        "rule": entry.rule,
        "why": _why(simulator, entry, answer) if entry.rule else None,
        "evidence": entry.evidence,
        "fault": entry.fault,
        "task_id": entry.task_id,
        "callbacks": [delivery.id for delivery in deliveries],
        "advice": [{"kind": kind, "text": text, "do": REMEDIES[kind]} for kind, text in entry.advice],
    }


def _why(simulator: Simulator, entry: Entry, answer: Any) -> dict[str, Any] | None:
    """Return what is known of the rule that refused a request or fails its task, with the text that was answered if that says more."""
    found = explanation(simulator.contracts.by_text(entry.contract), entry.rule)
    said = _message(answer) if entry.error else ""
    return {**found, "why": said} if found and said != found["says"] else found


def _message(answer: Any) -> str:
    """Return the message of an error, in whatever envelope it stands."""
    inside = answer.get("error", answer) if isinstance(answer, dict) else {}
    message = inside.get("message", "") if isinstance(inside, dict) else ""
    return message if isinstance(message, str) else ""


def _ignored(simulator: Simulator, entry: Entry, request: Any) -> list[dict[str, str]]:
    """Return the fields of a body that the service ignores, of a request that has some."""
    if not isinstance(request, dict) or all(kind != "unknown-field" for kind, _ in entry.advice):
        return []
    rules = simulator.contracts.by_text(entry.contract).requests.get(entry.operation)
    return [each._asdict() for each in ignored_fields(rules, request, MAX_IGNORED)] if rules else []


def scenario_body(row: ScenarioRow, contract: Contract) -> dict[str, Any]:
    """Return a row of the table."""
    example = f"{row.name}:{row.example}" if row.example else row.name
    operations = [operation for operation in contract.routes if _does_something(example, contract, operation)]
    return {
        "name": row.name,
        "summary": row.summary,
        "argument": row.argument,
        "example": example,
        "operations": operations,
    }


def _does_something(scenario: str, contract: Contract, operation_id: str) -> bool:
    try:
        parse_scenario(scenario, contract, operation_id)
    except ValueError:
        return False
    return True
