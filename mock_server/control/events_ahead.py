"""What happens next by a clock, as events: what its agenda says, and the callbacks that are due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..agenda import just_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..agenda import Due
    from ..deliveries import Delivery
    from ..simulator import Simulator

MOST = 20
LOOKED_AT = 500
"""Events of all who follow the server's clock, among which those of one account are looked for."""


def events_ahead(simulator: Simulator, owner: str, account: str | None, now: int) -> list[dict[str, Any]]:
    """Return the next events by the clock of an account, or (empty) of the server, in order; for an account its own alone."""
    store = simulator.store
    most = MOST if account in {None, owner} else LOOKED_AT
    ahead = store.ahead(owner, just_after(now), most)
    calling = dict.fromkeys(due.whose for due in ahead if due.kind == "status")
    calling |= dict.fromkeys(delivery.task_id for delivery in store.upcoming_deliveries(owner, most))
    events = [event for due in ahead if (event := _of_agenda(simulator, due))]
    for deliveries in store.deliveries_of(calling).values():
        events += _of_deliveries(deliveries)
    own = [event for event in events if account in {None, event["account"]}]
    return sorted(own, key=lambda event: event["at"])[:MOST]


def _of_agenda(simulator: Simulator, due: Due) -> dict[str, Any] | None:
    if due.kind == "window":
        return {"at": due.at, "event": "window", "account": due.whose}
    task = simulator.store.get(due.whose)
    if task is None:
        return None
    event = {"at": due.at, "event": due.kind, "task_id": task.task_id, "account": task.account}
    return {**event, "status": task.plan.steps[due.step][0]} if due.kind == "status" else event


def _of_deliveries(deliveries: list[Delivery]) -> Iterator[dict[str, Any]]:
    """Yield the attempts that are ahead of a task, one for each callback: none is made before the one before it.

    The time of one that is due lies in the past.
    """
    at = 0
    for delivery in deliveries:
        if delivery.outcome:
            continue
        if delivery.due_at is None:
            return
        at = max(delivery.due_at, at)
        yield {
            "at": at,
            "event": "attempt",
            "task_id": delivery.task_id,
            "account": delivery.account,
            "status": delivery.status,
            "delivery": delivery.id,
        }
