"""What the load asked for and was told, to be compared with what the state holds in the end."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

RANK = {"submitted": 0, "processing": 1, "succeed": 2, "failed": 2}
"""A task never goes back."""
ENDED = 2


@dataclass(slots=True)
class Order:
    """One task that the load wants, named by its external id: it may be asked for several times."""

    account: str
    external_id: str
    pictures: int
    fails: bool
    by_polls: bool
    is_called_back: bool
    task_id: str = ""
    """Of the create that was answered so."""
    found: str = ""
    """Id of the task that is there in the end."""
    acknowledged_at: float = 0.0
    """In s since the epoch; 0 if no create was."""
    unsure: bool = False
    """Whether some create got no answer, or one that does not say whether it was carried out."""
    refused: bool = False
    """Whether a create was refused as taken: there is a task, though nobody was told of it."""
    status: str = "submitted"
    """The furthest that an answer has shown."""
    shown_at: float = 0.0
    """When it came, on the monotonic clock."""
    over_since: float = 0.0
    """When a journey was answered that must have ended it; 0 if none was."""

    @property
    def name(self) -> str:
        """By which it is queried."""
        return self.task_id or self.found


@dataclass(slots=True)
class Ledger:
    """Everything that was acknowledged, and each broken promise. Safe to use from many threads."""

    orders: dict[str, Order] = field(default_factory=dict)
    """By external id."""
    counts: Counter[str] = field(default_factory=Counter)
    finished: dict[str, float] = field(default_factory=dict)
    """When it was seen, on the monotonic clock, that a delivery is recorded as made; by its id."""
    violations: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def count(self, what: str) -> None:
        """Count something."""
        with self.lock:
            self.counts[what] += 1

    def broken(self, what: str) -> None:
        """Note a broken promise, once."""
        with self.lock:
            if what not in self.violations:
                self.violations.append(what)

    def order(self, order: Order) -> None:
        """Note what will be asked for, before it is."""
        with self.lock:
            self.orders[order.external_id] = order

    def acknowledge(self, order: Order, task_id: str) -> None:
        """Note a create that was answered with a task."""
        with self.lock:
            if order.task_id and order.task_id != task_id:
                self.broken(f"{order.external_id} was made twice: as task {order.task_id} and as {task_id}")
            order.task_id, order.acknowledged_at = task_id, time.time()
            self.counts["creates acknowledged"] += 1

    def see(self, order: Order, status: str, asked_at: float) -> None:
        """Note a status that the answer to a query has shown."""
        with self.lock:
            went_back = RANK[status] < RANK[order.status] or (RANK[order.status] == ENDED and status != order.status)
            if went_back and asked_at > order.shown_at:  # else the two queries crossed
                self.broken(f"task {order.name} went from {order.status} back to {status}")
            if RANK[status] < ENDED and 0 < order.over_since < asked_at:
                self.broken(f"task {order.name} is {status} after a journey past its end")
            if not went_back:
                order.status, order.shown_at = status, time.monotonic()

    def see_finished(self, delivery_id: str) -> None:
        """Note that a delivery is recorded as made."""
        with self.lock:
            self.finished.setdefault(delivery_id, time.monotonic())

    def acknowledged(self) -> list[Order]:
        """Return the orders of which a task is known."""
        with self.lock:
            return [order for order in self.orders.values() if order.task_id]
