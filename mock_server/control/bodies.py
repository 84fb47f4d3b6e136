"""What the control API shows of the state, as JSON in the shapes of `control.yaml`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..handlers import CREATES
from ..journal import masked_headers, readable
from ..outbound import host_and_path
from ..tasks import at_step, snapshot

if TYPE_CHECKING:
    from ..clock import Clock
    from ..deliveries import Delivery
    from ..journal import Entry
    from ..simulator import Simulator
    from ..tasks import Task


def clock_body(simulator: Simulator, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the clock, and what happened on its way."""
    now = simulator.clock.now()
    return {"now": now, "time": _iso(now), "frozen": simulator.clock.frozen, "events": events}


def clock_state(clock: Clock) -> dict[str, Any]:
    """Return whether the clock stands still or has been moved."""
    return {"time": _iso(clock.now()), "frozen": clock.frozen, "moved_ms": clock.ahead}


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def task_body(simulator: Simulator, task: Task) -> dict[str, Any]:
    """Return a task with its timeline."""
    view = snapshot(task, simulator.clock.now())
    record = simulator.store.record(task.task_id)
    deliveries = [simulator.store.delivery(delivery_id) for delivery_id in record.deliveries] if record else []
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
            "callbacks": [delivery_body(simulator, delivery) for delivery in deliveries if delivery],
        },
    }


def delivery_body(simulator: Simulator, delivery: Delivery) -> dict[str, Any]:
    """Return a callback with its attempts."""
    task = simulator.store.get(delivery.task_id)
    return {
        "id": delivery.id,
        "task_id": delivery.task_id,
        "account": delivery.account,
        "status": task.plan.steps[delivery.step][0] if task else "",
        "due_at": delivery.due_at,
        "outcome": delivery.outcome or "pending",
        "attempts": [
            {"at": attempt.at, "http_status": attempt.status, "problem": attempt.problem}
            for attempt in delivery.attempts
        ],
    }


def entry_body(simulator: Simulator, entry: Entry) -> dict[str, Any]:
    """Return a request and its answer."""
    record = simulator.store.record(entry.task_id) if entry.operation in CREATES else None
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
        "callbacks": list(record.deliveries) if record else [],
        "advice": [{"kind": kind, "text": text} for kind, text in entry.advice],
    }
