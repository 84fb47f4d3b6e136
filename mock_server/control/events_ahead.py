"""What happens next by a clock, as events: what its agenda says, and the callbacks that are due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..agenda import ahead_of, just_after
from ..clocks import SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..agenda import Due
    from ..deliveries import Delivery
    from ..simulator import Simulator

MOST = 20
NEWEST_TASKS = 200
"""Of an account that follows the server's clock, of which it is said what comes."""


def events_ahead(simulator: Simulator, account: str | None, now: int) -> list[dict[str, Any]]:
    """Return what comes next for an account, or (None) by the server's clock for all who follow it, in order."""
    store = simulator.store
    whose = account or SERVER
    if account and simulator.clocks.owner(account) != account:  # on the agenda of its clock stand those of others too
        ahead = _of_account(simulator, account, now)
    else:
        ahead = store.ahead(whose, just_after(now), MOST)
    calling = dict.fromkeys(due.whose for due in ahead if due.kind == "status")
    calling |= dict.fromkeys(delivery.task_id for delivery in store.upcoming_deliveries(whose, MOST))
    events = [event for due in ahead if (event := _of_agenda(simulator, due))]
    for deliveries in store.deliveries_of(calling).values():
        events += _of_deliveries(deliveries)
    return sorted(events, key=lambda event: event["at"])[:MOST]


def _of_account(simulator: Simulator, account: str, now: int) -> list[Due]:
    """Return what the plans of the newest tasks of an account say."""
    tasks = simulator.store.tasks(account, limit=NEWEST_TASKS, newest_first=True)
    ahead = [due for order, task in enumerate(reversed(tasks)) for due in ahead_of(task, order) if due.at > now]
    return sorted(ahead)[:MOST]


def _of_agenda(simulator: Simulator, due: Due) -> dict[str, Any] | None:
    if due.kind == "window":
        return {"at": due.at, "event": "window", "account": due.whose}
    task = simulator.store.get(due.whose)
    if task is None:
        return None
    event = {"at": due.at, "event": due.kind, "task_id": task.task_id, "account": task.account}
    return {**event, "status": task.plan.steps[due.step][0]} if due.kind == "status" else event


def _of_deliveries(deliveries: list[Delivery]) -> Iterator[dict[str, Any]]:
    """Yield the attempts that are ahead of a task; what waits for an earlier callback comes when that has come to its end.

    The time of one that is due lies in the past.
    """
    at = 0
    for delivery in deliveries:
        if delivery.outcome:
            continue
        if delivery.due_at is None:
            return
        if delivery.due_at <= at:
            continue
        at = delivery.due_at
        yield {
            "at": at,
            "event": "attempt",
            "task_id": delivery.task_id,
            "account": delivery.account,
            "status": delivery.status,
            "delivery": delivery.id,
        }
