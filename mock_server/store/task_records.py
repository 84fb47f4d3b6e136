"""Tasks and what happened to them. No lock of its own: the store holds one."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..tasks import snapshot

if TYPE_CHECKING:
    from ..tasks import Task

MAX_POLLS_KEPT = 200


class TakenIdError(Exception):
    """There is a task of that id: one that was submitted before a reset and came after it, or the ids of a moment ran out."""


@dataclass(slots=True)
class Record:
    """A task and what happened to it."""

    task: Task
    polls: int = 0
    polled: list[tuple[int, int]] = field(default_factory=list)  # a deque takes 600 bytes even when it is empty
    """Time in ms and journal number of the last queries."""
    deliveries: list[str] = field(default_factory=list)
    end_seen: bool = False
    """Whether a query has shown the end."""
    fetched: bool = False
    """Whether a result picture was fetched."""

    def poll(self, now: int, number: int) -> None:
        """Count a query."""
        self.polls += 1
        self.polled.append((now, number))
        if len(self.polled) > MAX_POLLS_KEPT:
            del self.polled[0]

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
    """Records by task id, oldest first, with the external ids that are taken."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._external_ids: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        return len(self._records)

    def has_external_id(self, task: Task) -> bool:
        """Tell whether the account has used the task's external id before."""
        return bool(task.external_task_id) and (task.account, task.external_task_id) in self._external_ids

    def add(self, record: Record) -> None:
        """Keep a new task."""
        task = record.task
        self._records[task.task_id] = record
        if task.external_task_id:
            self._external_ids[task.account, task.external_task_id] = task.task_id

    def get(self, task_id: str) -> Record | None:
        """Return one record."""
        return self._records.get(task_id)

    def oldest(self) -> str:
        """Return the id of the oldest task."""
        return next(iter(self._records))

    def tasks(self, account: str | None = None) -> list[Task]:
        """Return the tasks of an account or of all, oldest first."""
        return [record.task for record in self._records.values() if account is None or record.task.account == account]

    def has_ended(self, task_id: str, now: int) -> bool:
        """Tell whether a task that there is has come to its end."""
        return snapshot(self._records[task_id].task, now).ended

    def remove(self, task_id: str) -> Record:
        """Forget a task, and let its external id be used again."""
        record = self._records.pop(task_id)
        self._external_ids.pop((record.task.account, record.task.external_task_id), None)
        return record
