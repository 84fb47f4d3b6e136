"""What the control API shows of the state, as JSON in the shapes of `control.yaml`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..clock import iso
from ..clocks import SERVER
from ..handlers import CREATES
from ..journal import masked_headers, readable
from ..outbound import host_and_path
from ..tasks import at_step, snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..deliveries import Delivery
    from ..journal import Entry
    from ..simulator import Simulator
    from ..store.store import TaskRecord


def clock_body(simulator: Simulator, account: str | None, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the clock that an account, or (None) the server, goes by, and what happened on its way."""
    owner, clock = simulator.store.clock(account or SERVER)
    now = clock.at(simulator.clocks.machine())
    frozen = clock.standing is not None
    return {"now": now, "time": iso(now), "frozen": frozen, "own": owner != SERVER, "events": events}


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


def task_bodies(simulator: Simulator, records: Sequence[TaskRecord]) -> list[dict[str, Any]]:
    """Return tasks with their timelines."""
    deliveries = simulator.store.deliveries_of(record.task.task_id for record in records)
    return [_task_body(simulator, record, deliveries.get(record.task.task_id, [])) for record in records]


def _task_body(simulator: Simulator, record: TaskRecord, deliveries: list[Delivery]) -> dict[str, Any]:
    task = record.task
    view = snapshot(task, simulator.clocks.now(task.account))
    steps = [at_step(task, step) for step in range(len(task.plan.steps))]
    manual = task.progression == "manual"
    return {
        "task_id": task.task_id,
        "account": task.account,
        "contract": task.contract,
        "request_id": task.request_id,
        "status": view.status,
        "progression": task.progression,
        "scenario": task.scenario.text if task.scenario else None,
        "external_task_id": task.external_task_id,
        "callback_url": host_and_path(task.callback_url) if task.callback_url else "",
        "cost": f"{task.cost:f}",
        "timeline": {
            "planned": [
                {"status": status, "at": None if manual and step else at}
                for step, (status, at) in enumerate(task.plan.steps)
            ],
            "happened": [{"status": step.status, "at": step.updated_at} for step in steps[: view.step + 1]],
            "polls": [{"at": at, "request": number} for at, number in simulator.store.journal.polls_of(task.task_id)],
            "callbacks": [delivery_body(delivery) for delivery in deliveries],
        },
    }


def delivery_body(delivery: Delivery) -> dict[str, Any]:
    """Return a callback with its attempts."""
    return {
        "id": delivery.id,
        "task_id": delivery.task_id,
        "account": delivery.account,
        "status": delivery.status,
        "due_at": delivery.due_at,
        "outcome": delivery.outcome or "pending",
        "attempts": [
            {"at": attempt.at, "http_status": attempt.status, "problem": attempt.problem}
            for attempt in delivery.attempts
        ],
    }


def entry_bodies(simulator: Simulator, entries: list[Entry]) -> list[dict[str, Any]]:
    """Return requests with their answers."""
    made = simulator.store.deliveries_of(entry.task_id for entry in entries if entry.operation in CREATES)
    return [_entry_body(entry, made.get(entry.task_id, []) if entry.operation in CREATES else []) for entry in entries]


def _entry_body(entry: Entry, deliveries: list[Delivery]) -> dict[str, Any]:
    return {
        "number": entry.number,
        "at": entry.at,
        "request_id": entry.request_id,
        "account": entry.account,
        "contract": entry.contract,
        "operation": entry.operation,
        "method": entry.method,
        "path": entry.path,
        "headers": masked_headers(entry.headers),
        "request": readable(entry.body),
        "status": entry.status,
        "answer": readable(entry.answer),
        "scenario": entry.scenario,
        "rule": entry.rule,
        "evidence": entry.evidence,
        "fault": entry.fault,
        "task_id": entry.task_id,
        "callbacks": [delivery.id for delivery in deliveries],
        "advice": [{"kind": kind, "text": text} for kind, text in entry.advice],
    }
