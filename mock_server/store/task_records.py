"""Tasks and what happened to them. No lock of its own: the store holds one."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from sys import getsizeof
from typing import TYPE_CHECKING

from ..tasks import snapshot
from .line import Line

if TYPE_CHECKING:
    from ..tasks import Snapshot, Task

TASK_BYTES = 2500
"""What a task takes beside its texts, callbacks and queries."""
PICTURE_BYTES = 300
DELIVERY_BYTES = 1000


@dataclass(slots=True)
class Record:
    """A task and what happened to it."""

    task: Task
    number: int
    """In the order in which tasks were made."""
    polls: int = 0
    deliveries: list[str] = field(default_factory=list)
    end_seen: bool = False
    """Whether a query has shown the end."""
    fetched: bool = False
    """Whether a result picture was fetched."""
    size: int = 0
    """Bytes in memory, more or less."""
    counted: str = ""
    """The status under which it is counted."""

    def __post_init__(self) -> None:
        task = self.task
        texts = [task.prompt, task.external_task_id, task.callback_url, task.base_url]
        texts += [picture.url or "" for picture in task.pictures]
        self.size = TASK_BYTES + sum(map(getsizeof, texts))
        self.size += PICTURE_BYTES * len(task.pictures) + DELIVERY_BYTES * len(self.deliveries)

    @property
    def hidden(self) -> bool:
        """Whether its scenario still hides the task."""
        return self.polls <= self._hidden_polls

    @property
    def hidden_in_lists(self) -> bool:
        """The same before the first query."""
        return bool(self._hidden_polls) and self.hidden

    def polls_ask_for_more(self, now: int) -> bool:
        """Whether the queries so far have earned a step that the task has not taken."""
        target = self.polls - self._hidden_polls - 1
        return self.task.progression == "polls" and snapshot(self.task, now).step < target

    def move(self, now: int) -> int | None:
        """Take the next step of the plan and return it; None if there is none."""
        task = self.task
        step = snapshot(task, now).step
        if step + 1 == len(task.plan.steps):
            return None
        times = [task.reached_at(earlier) or now for earlier in range(1, step + 1)]
        self.task = replace(task, moved_at=(*times, now))
        return step + 1

    @property
    def _hidden_polls(self) -> int:
        return self.task.scenario.hidden_polls if self.task.scenario else 0


class TaskRecords:
    """Records by task id, oldest first, and found by whatever a request may name them."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._in_order: Line[Record] = Line()
        self._numbers = itertools.count(1)
        self._external_ids: dict[tuple[str, str, str], str] = {}
        """By account and path."""
        self._lines: dict[str, dict[str, Line[Record]]] = {}
        """Records by account and path, oldest first: that is also the order in which they go."""
        self._as_floats: dict[tuple[str, float], str] = {}
        """By account and what is left of the id when it passes through a float: the first that becomes so."""
        self._statuses: Counter[str] = Counter()
        """How many tasks are counted under which status."""
        self.size = 0
        """Bytes in memory, more or less."""

    def __len__(self) -> int:
        return len(self._records)

    def has_external_id(self, task: Task, now: int, freed_by: str) -> bool:
        """Tell whether the account has used the task's external id before, for a task that is not of the status `freed_by`."""
        user = self._records.get(self._external_ids.get(_external(task), "")) if task.external_task_id else None
        return user is not None and snapshot(user.task, now).status != freed_by

    def find(self, account: str, path: str, external_task_id: str) -> str:
        """Return the id of the task of that external id; empty if there is none."""
        return self._external_ids.get((account, path, external_task_id), "")

    def page(self, account: str, path: str, first: int, size: int, *, oldest_first: bool) -> list[Record]:
        """Return `size` records but for the `first`, from the newest on or from the oldest."""
        line = self._lines.get(account, {}).get(path)
        return line.part(first, size, oldest_first=oldest_first) if line else []

    def add(self, record: Record) -> None:
        """Keep a new task."""
        task = record.task
        self._records[task.task_id] = record
        self._in_order.add(record.number, record)
        paths = self._lines.setdefault(task.account, {})
        (paths.get(task.path) or paths.setdefault(task.path, Line())).add(record.number, record)
        self._as_floats.setdefault((task.account, float(task.task_id)), task.task_id)
        if task.external_task_id:
            self._external_ids[_external(task)] = task.task_id
        self.size += record.size

    def count(self, record: Record, now: int) -> Snapshot:
        """Count a task under the status that it has at a time in ms; return it as it stands then."""
        view = snapshot(record.task, now)
        if record.counted:
            self._statuses[record.counted] -= 1
        record.counted = view.status
        self._statuses[view.status] += 1
        return view

    def count_statuses(self) -> dict[str, int]:
        """Return how many tasks are counted under which status."""
        return dict(self._statuses)

    def grow(self, record: Record, size: int) -> None:
        """Note that a record has become larger."""
        record.size += size
        self.size += size

    def next_number(self) -> int:
        """Return the number of the next task."""
        return next(self._numbers)

    def get(self, task_id: str) -> Record | None:
        """Return one record."""
        return self._records.get(task_id)

    def near(self, account: str, task_id: str) -> str:
        """Return the id of a task of the account that becomes the same float as another id; empty if there is none."""
        return self._as_floats.get((account, float(task_id)), "")

    def oldest(self) -> str:
        """Return the id of the oldest task; empty if there is none."""
        oldest = self._in_order.oldest()
        return oldest.task.task_id if oldest else ""

    def after(self, account: str | None, number: int, limit: int) -> list[Record]:
        """Return at most `limit` records of an account or of all, oldest first, of those with a higher number."""
        if account is None:
            return self._in_order.after(number, limit)
        parts = [line.after(number, limit) for line in self._lines.get(account, {}).values()]
        return list(itertools.islice(heapq.merge(*parts, key=lambda record: record.number), limit))

    def before(self, account: str | None, number: int | None, limit: int) -> list[Record]:
        """Return at most `limit` records of an account or of all, newest first, of those with a lower number, or (None) of all."""
        if account is None:
            return self._in_order.before(number, limit)
        parts = [line.before(number, limit) for line in self._lines.get(account, {}).values()]
        return list(itertools.islice(heapq.merge(*parts, key=lambda record: -record.number), limit))

    def remove(self, task_id: str) -> Record:
        """Forget a task, and let its external id be used again."""
        record = self._records.pop(task_id)
        task = record.task
        self.size -= record.size
        self._statuses[record.counted] -= 1
        if self._external_ids.get(_external(task)) == task_id:  # else it was freed, and is a later task's
            del self._external_ids[_external(task)]
        if self._as_floats.get(as_float := (task.account, float(task_id))) == task_id:
            del self._as_floats[as_float]
        self._in_order.remove(record.number)
        paths = self._lines[task.account]
        paths[task.path].remove(record.number)
        if not paths[task.path].count:
            del paths[task.path]
        if not paths:
            del self._lines[task.account]
        return record


def _external(task: Task) -> tuple[str, str, str]:
    return (task.account, task.path, task.external_task_id)
