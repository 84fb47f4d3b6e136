"""What lies ahead, by whose clock it goes. No lock of its own: the store holds one."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from sortedcontainers import SortedList

from ..agenda import Due, ahead_of
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..agenda import Place
    from ..tasks import Task


@dataclass(slots=True)
class Ahead:
    """What is ahead by one clock."""

    by_time: Timeline = field(default_factory=Timeline)
    expiries: Timeline = field(default_factory=Timeline)
    by_polls: SortedList[Due] = field(default_factory=SortedList)
    """Next steps of tasks that queries move; they stay until the task goes there, also when their time has passed."""
    passed: int = 0
    """Time in ms up to which changes by time have been told of; of those before it nothing is kept."""

    def part_of(self, task: Task, due: Due) -> Timeline | SortedList[Due]:
        """Return where an entry of a task stands."""
        if due.kind == "expiry":
            return self.expiries
        return self.by_polls if task.progression == "polls" else self.by_time


class Agenda:
    """Everything that will happen to tasks by itself, in order of time, for each clock owner. Found at the cost of what is found."""

    def __init__(self) -> None:
        self._ahead: dict[str, Ahead] = {}

    def add(self, owner: str, task: Task, order: int) -> None:
        """Note what is ahead of a task."""
        ahead = self._of(owner)
        for due in ahead_of(task, order):
            found = ahead.part_of(task, due)
            if found is not ahead.by_time or due.at >= ahead.passed:
                found.add(due)

    def remove(self, owner: str, task: Task, order: int) -> None:
        """Forget what is ahead of a task, as it stood when it was added."""
        ahead = self._of(owner)
        for due in ahead_of(task, order):
            found = ahead.part_of(task, due)
            if found is not ahead.by_time or due.at >= ahead.passed:
                found.discard(due)
        if not (ahead.by_time or ahead.by_polls or ahead.expiries):
            del self._ahead[owner]

    def after(self, owner: str, place: Place, limit: int, *, changes_only: bool) -> list[Due]:
        """Return at most `limit` of what comes after a place, in order, with all steps that queries have not taken yet."""
        ahead = self._ahead.get(owner)
        if ahead is None:
            return []
        first = _least(*place[:2], place[2] + 1)
        found: list[Iterable[Due]] = [ahead.by_time.since(first), ahead.by_polls]
        if not changes_only:
            found.append(ahead.expiries.since(first))
        return list(islice(heapq.merge(*found), limit))

    def pass_on(self, owner: str, now: int) -> list[Due]:
        """Return the status changes by time up to now (ms) that were not returned before."""
        ahead = self._ahead.get(owner)
        if ahead is None or now <= ahead.passed:
            return []
        first, end = _least(ahead.passed + 1), _least(now + 1)
        ahead.passed = now
        if not ahead.by_time.begins_before(end):
            return []
        found = list(takewhile(lambda due: due < end, ahead.by_time.since(first)))
        ahead.by_time.drop_before(_least(now))  # a journey may have those of this very moment still before it
        return found

    def owners(self) -> list[str]:
        """Return by whose clocks anything is ahead."""
        return list(self._ahead)

    def passed(self, owner: str) -> int:
        """Time in ms up to which changes have been returned."""
        ahead = self._ahead.get(owner)
        return ahead.passed if ahead else 0

    def _of(self, owner: str) -> Ahead:
        return self._ahead.get(owner) or self._ahead.setdefault(owner, Ahead())


def _least(at: int, order: int = 0, step: int = 0) -> Due:
    """Return what comes before everything else of a place."""
    return Due(at, order, step, "expiry", "")
