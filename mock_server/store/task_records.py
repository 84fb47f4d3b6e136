"""Tasks and what happened to them. No lock of its own: the store holds one."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from sys import getsizeof
from typing import TYPE_CHECKING

from ..tasks import snapshot

if TYPE_CHECKING:
    from ..tasks import Task

MAX_POLLS_KEPT = 200
TASK_BYTES = 2500
"""What a task takes beside its texts, callbacks and queries."""
PICTURE_BYTES = 300
DELIVERY_BYTES = 1000
ATTEMPT_BYTES = 400
POLL_BYTES = 16


class TakenIdError(Exception):
    """There is a task of that id: one that was submitted before a reset and came after it, or the ids of a moment ran out."""


@dataclass(slots=True)
class Record:
    """A task and what happened to it."""

    task: Task
    polls: int = 0
    polls_kept: array[int] = field(default_factory=lambda: array("q"))
    deliveries: list[str] = field(default_factory=list)
    end_seen: bool = False
    """Whether a query has shown the end."""
    fetched: bool = False
    """Whether a result picture was fetched."""
    size: int = 0
    """Bytes in memory, more or less."""

    def __post_init__(self) -> None:
        task = self.task
        texts = [task.prompt, task.external_task_id, task.callback_url, task.base_url]
        texts += [picture.url or "" for picture in task.pictures]
        self.size = TASK_BYTES + sum(map(getsizeof, texts))
        self.size += PICTURE_BYTES * len(task.pictures) + DELIVERY_BYTES * len(self.deliveries)

    @property
    def polled(self) -> list[tuple[int, int]]:
        """Time in ms and journal number of the last queries."""
        return list(zip(self.polls_kept[::2], self.polls_kept[1::2], strict=True))

    def poll(self, now: int, number: int) -> None:
        """Count a query."""
        self.polls += 1
        self.polls_kept.extend((now, number))
        if len(self.polls_kept) > 2 * MAX_POLLS_KEPT:
            del self.polls_kept[:2]

    @property
    def hidden(self) -> bool:
        """Whether its scenario still hides the task."""
        return self.polls <= self._hidden_polls

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
        self._records: OrderedDict[str, Record] = OrderedDict()  # a dict is slow to give its first key while keys go
        self._external_ids: dict[tuple[str, str], str] = {}
        self._of_account: dict[str, dict[str, Record]] = {}
        self._as_floats: dict[tuple[str, float], str] = {}
        """By account and what is left of the id when it passes through a float: the first that becomes so."""
        self.size = 0
        """Bytes in memory, more or less."""

    def __len__(self) -> int:
        return len(self._records)

    def has_external_id(self, task: Task) -> bool:
        """Tell whether the account has used the task's external id before."""
        return bool(task.external_task_id) and (task.account, task.external_task_id) in self._external_ids

    def add(self, record: Record) -> None:
        """Keep a new task."""
        task = record.task
        self._records[task.task_id] = record
        self._of_account.setdefault(task.account, {})[task.task_id] = record
        self._as_floats.setdefault((task.account, float(task.task_id)), task.task_id)
        if task.external_task_id:
            self._external_ids[task.account, task.external_task_id] = task.task_id
        self.size += record.size

    def grow(self, record: Record, size: int) -> None:
        """Note that a record has become larger."""
        record.size += size
        self.size += size

    def get(self, task_id: str) -> Record | None:
        """Return one record."""
        return self._records.get(task_id)

    def near(self, account: str, task_id: str) -> str:
        """Return the id of a task of the account that becomes the same float as another id; empty if there is none."""
        return self._as_floats.get((account, float(task_id)), "")

    def oldest(self) -> str:
        """Return the id of the oldest task."""
        return next(iter(self._records))

    def all(self, account: str | None = None) -> list[Record]:
        """Return the records of an account or of all, oldest first."""
        return list((self._records if account is None else self._of_account.get(account, {})).values())

    def remove(self, task_id: str) -> Record:
        """Forget a task, and let its external id be used again."""
        record = self._records.pop(task_id)
        task = record.task
        self.size -= record.size
        self._external_ids.pop((task.account, task.external_task_id), None)
        if self._as_floats.get(as_float := (task.account, float(task_id))) == task_id:
            del self._as_floats[as_float]
        of_account = self._of_account[task.account]
        del of_account[task_id]
        if not of_account:
            del self._of_account[task.account]
        return record
