"""All state of the simulator, as values: tasks, due callbacks, pictures. Bounded; each method is one atomic operation."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .tasks import Task


class ExternalIdTakenError(Exception):
    """Another task of the account has that `external_task_id`."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A callback that is due: one step of one task."""

    task: Task
    step: int
    due_at: int
    """Time in ms of the next attempt."""
    attempts: int = 0
    """How many have been made."""


class MemoryStore:
    """State in the memory of one process."""

    def __init__(self, *, max_tasks: int, max_input_bytes: int, max_result_bytes: int) -> None:
        self._lock = threading.Lock()
        self._max_tasks = max_tasks
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._external_ids: dict[tuple[str, str], str] = {}
        self._due: list[tuple[int, int, Delivery]] = []
        self._waiting: dict[str, deque[Delivery]] = {}
        self._order = itertools.count()
        self._deliveries: Counter[str] = Counter()
        self.inputs = ByteCache(max_input_bytes)
        self.results = ByteCache(max_result_bytes)

    def add(self, task: Task) -> bool:
        """Keep a new task, and drop the oldest if there are too many; tell whether one was dropped.

        Raises ExternalIdTakenError if the account has used its `external_task_id` before.
        """
        name = (task.account, task.external_task_id)
        with self._lock:
            if task.external_task_id and name in self._external_ids:
                raise ExternalIdTakenError
            self._tasks[task.task_id] = task
            if task.external_task_id:
                self._external_ids[name] = task.task_id
            if len(self._tasks) <= self._max_tasks:
                return False
            _, oldest = self._tasks.popitem(last=False)
            self._external_ids.pop((oldest.account, oldest.external_task_id), None)
            return True

    def get(self, task_id: str) -> Task | None:
        """Return a task of any account."""
        return self._tasks.get(task_id)

    def tasks(self) -> list[Task]:
        """Return all tasks, oldest first."""
        with self._lock:
            return list(self._tasks.values())

    def enqueue(self, deliveries: list[Delivery]) -> None:
        """Keep the callbacks of one task, in their order; only the first is due, the others wait for it."""
        with self._lock:
            first, *rest = deliveries
            self._waiting[first.task.task_id] = deque(rest)
            self._push(first)

    def claim(self, now: int) -> Delivery | None:
        """Take the delivery that has been due the longest; `settle` or `retry` gives it back."""
        with self._lock:
            if self._due and self._due[0][0] <= now:
                return heapq.heappop(self._due)[2]
            return None

    def next_due(self) -> int | None:
        """Time in ms of the next attempt; None if there is none."""
        with self._lock:
            return self._due[0][0] if self._due else None

    def retry(self, delivery: Delivery, due_at: int) -> None:
        """Give a claimed delivery back for another attempt; later ones of its task go on waiting."""
        with self._lock:
            self._push(replace(delivery, due_at=due_at, attempts=delivery.attempts + 1))

    def settle(self, delivery: Delivery, outcome: str) -> None:
        """Close a claimed delivery, delivered or given up, and let the next one of its task come."""
        with self._lock:
            self._deliveries[outcome] += 1
            waiting = self._waiting[delivery.task.task_id]
            if waiting:
                self._push(waiting.popleft())
            else:
                del self._waiting[delivery.task.task_id]

    def delivery_counts(self) -> dict[str, int]:
        """How many deliveries were settled, by outcome, and how many are pending."""
        with self._lock:
            pending = sum(len(waiting) + 1 for waiting in self._waiting.values())
            return {"pending": pending, **self._deliveries}

    def _push(self, delivery: Delivery) -> None:
        heapq.heappush(self._due, (delivery.due_at, next(self._order), delivery))


class ByteCache:
    """Byte strings by key; when their sum passes the limit, what was used longest ago is dropped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._items: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: Hashable, data: bytes) -> None:
        """Keep `data`, unless it alone is larger than the limit."""
        with self._lock:
            if key in self._items or len(data) > self._limit:
                return
            self._items[key] = data
            self._size += len(data)
            while self._size > self._limit:
                self._size -= len(self._items.popitem(last=False)[1])

    def get(self, key: Hashable) -> bytes | None:
        """Return what was kept under `key`; None if nothing is, or it was dropped."""
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
            return self._items.get(key)
