"""Callbacks that are due or settled. No lock of its own: the store holds one."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..deliveries import Attempt, Delivery, Outcome
    from ..tasks import Task

MAX_AT_ONCE = 8
"""Attempts of one account, so that its slow receiver does not hold up the others."""


class DeliveryQueue:
    """All deliveries, and which of them is next.

    Callbacks of one task are made one after the other: of each task only the first that is pending, the head of its line, stands
    in the heap of what is due. A claimed one stands in no queue until it is finished.
    """

    def __init__(self) -> None:
        self._deliveries: dict[str, Delivery] = {}
        self._lines: dict[str, list[str]] = {}
        """Pending deliveries of each task, in the order in which they are made."""
        self._due: list[tuple[int, int, str]] = []
        """Heap of time in ms, order and id. An entry whose delivery was hastened, settled or dropped since is out of date:
        it is passed over when it comes up, which is cheaper than to look for it."""
        self._claimed: set[str] = set()
        self._busy: Counter[str] = Counter()
        self._resends: deque[str] = deque()
        self._order = itertools.count()

    def add(self, deliveries: list[Delivery]) -> None:
        """Keep the callbacks of one new task."""
        if deliveries:
            self._deliveries |= {delivery.id: delivery for delivery in deliveries}
            task_id = deliveries[0].task_id
            self._lines[task_id] = [delivery.id for delivery in deliveries]
            self._push_head(task_id)

    def remove(self, task_id: str, delivery_ids: list[str]) -> None:
        """Forget the callbacks of a task."""
        self._lines.pop(task_id, None)
        for delivery_id in delivery_ids:
            self._deliveries.pop(delivery_id, None)

    def reach(self, task: Task, step: int, now: int) -> None:
        """Make due what waits for a step that a task has just reached by a query or by hand."""
        late = task.scenario.callback_late_ms if task.scenario else 0
        for delivery_id in self._lines.get(task.task_id, ()):
            delivery = self._deliveries[delivery_id]
            if delivery.trigger == step and not delivery.attempts:
                self._deliveries[delivery_id] = replace(delivery, due_at=now + late)
        self._push_head(task.task_id)

    def claim(self, now: int, may: Callable[[str], bool]) -> Delivery | None:
        """Take the delivery that was asked for again, else the one that has been due the longest; `finish` gives it back.

        Only of an account that may.
        """
        found = self._next_resend(may) or self._next_due(now, may)
        if found:
            self._claimed.add(found.id)
            self._busy[found.account] += 1
        return found

    def next_due(self, may: Callable[[str], bool]) -> int | None:
        """Time in ms of the next attempt of an account that may; None if there is none."""
        if any(
            may(self._deliveries[delivery_id].account)
            for delivery_id in self._resends
            if delivery_id in self._deliveries
        ):
            return 0
        while self._due and self._due[0][2] not in self._deliveries:
            heapq.heappop(self._due)
        if not self._due or self._can_be_made(self._due[0][2], may):
            return self._due[0][0] if self._due else None
        return min((due for due, _, delivery_id in self._due if self._can_be_made(delivery_id, may)), default=None)

    def finish(self, delivery: Delivery, attempt: Attempt, *, retry_at: int | None, outcome: Outcome) -> None:
        """Note an attempt of a claimed delivery: another one follows at `retry_at` (ms), or it is settled as `outcome`."""
        if delivery.id in self._claimed:
            self._claimed.discard(delivery.id)
            self._busy[delivery.account] -= 1
        if delivery.id not in self._deliveries:  # its task was dropped meanwhile
            return
        settled_before = bool(delivery.outcome)
        self._deliveries[delivery.id] = replace(
            delivery,
            due_at=retry_at,
            attempts=(*delivery.attempts, attempt),
            outcome=delivery.outcome if settled_before and outcome != "delivered" else outcome,
        )
        if settled_before:
            return
        line = self._lines[delivery.task_id]
        if retry_at is None and line[:1] == [delivery.id]:
            del line[0]
        self._push_head(delivery.task_id)

    def resend(self, delivery_id: str) -> bool:
        """Make a settled delivery due once more; False if there is none of that id, or it is pending."""
        delivery = self._deliveries.get(delivery_id)
        if delivery is None or not delivery.outcome:
            return False
        self._resends.append(delivery_id)
        return True

    def get(self, delivery_id: str) -> Delivery | None:
        """Return one delivery."""
        return self._deliveries.get(delivery_id)

    def all(self, account: str | None) -> list[Delivery]:
        """Return the deliveries of an account or of all, oldest first."""
        return [delivery for delivery in self._deliveries.values() if account is None or delivery.account == account]

    def _next_resend(self, may: Callable[[str], bool]) -> Delivery | None:
        """Return what somebody asked for: it waits for nothing, however busy its account is."""
        for _ in range(len(self._resends)):
            delivery = self._deliveries.get(self._resends.popleft())
            if delivery and not may(delivery.account):
                self._resends.append(delivery.id)
            elif delivery and delivery.id not in self._claimed:
                return delivery
        return None

    def _next_due(self, now: int, may: Callable[[str], bool]) -> Delivery | None:
        put_aside = []
        found: Delivery | None = None
        while found is None and self._due and self._due[0][0] <= now:
            entry = heapq.heappop(self._due)
            delivery = self._deliveries.get(entry[2])
            if delivery is None or delivery.id in self._claimed or delivery.due_at != entry[0]:
                continue  # out of date
            if self._busy[delivery.account] < MAX_AT_ONCE and may(delivery.account):
                found = delivery
            else:
                put_aside.append(entry)
        for entry in put_aside:
            heapq.heappush(self._due, entry)
        return found

    def _can_be_made(self, delivery_id: str, may: Callable[[str], bool]) -> bool:
        delivery = self._deliveries.get(delivery_id)
        return delivery is not None and self._busy[delivery.account] < MAX_AT_ONCE and may(delivery.account)

    def _push_head(self, task_id: str) -> None:
        if line := self._lines.get(task_id):
            delivery = self._deliveries[line[0]]
            if delivery.due_at is not None and delivery.id not in self._claimed:
                heapq.heappush(self._due, (delivery.due_at, next(self._order), delivery.id))
