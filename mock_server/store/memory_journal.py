"""The journal in the memory of one process."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..journal import Entry


class MemoryJournal:
    """The last entries, as many as `limit` and `max_bytes` let there be."""

    def __init__(self, limit: int, max_bytes: int) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._waiters: list[_Waiter] = []
        self._closed = False
        self.clear()

    def clear(self) -> None:
        """Begin anew, also for those who wait."""
        with self._changed:
            self._begin(deque())
            self._number = 0
            """Of the last entry."""
            self.count = 0
            """How many there have been."""
            for waiter in self._waiters:
                waiter.after = 0

    def _begin(self, entries: deque[Entry]) -> None:
        self._entries = entries
        self._bytes = sum(entry.size for entry in entries)
        self._polls: dict[str, deque[tuple[int, int]]] = {}
        """Of each task, what `polls_of` returns."""
        for entry in entries:
            self._note_poll(entry)

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def add(self, entry: Entry) -> int:
        """Keep an entry and give it the next number, which it returns; whoever waits sees it."""
        with self._changed:
            self._number += 1
            entry.number = self._number
            self._entries.append(entry)
            self._note_poll(entry)
            self._bytes += entry.size
            self.count += 1
            while len(self._entries) > self._limit or self._bytes > self._max_bytes:
                self._drop_oldest()
            for waiter in self._waiters:
                if waiter.entry is None and entry.number > waiter.after and waiter.matches(entry):
                    waiter.entry = entry
                    self._changed.notify_all()
            return entry.number

    def _note_poll(self, entry: Entry) -> None:
        if entry.is_poll:
            self._polls.setdefault(entry.task_id, deque()).append((entry.at, entry.number))

    def _drop_oldest(self) -> None:
        entry = self._entries.popleft()
        self._bytes -= entry.size
        if entry.is_poll:
            polls = self._polls[entry.task_id]
            polls.popleft()
            if not polls:
                del self._polls[entry.task_id]

    def entries(
        self, account: str | None = None, *, after: int = 0, limit: int | None = None, newest_first: bool = False
    ) -> list[Entry]:
        """Return the first `limit` entries of an account or of all that come after a number, from the oldest or the newest on."""
        with self._changed:
            if newest_first:
                rest = (entry for entry in reversed(self._entries) if not after or entry.number < after)
            else:
                rest = (entry for entry in self._entries if entry.number > after)
            return list(islice((entry for entry in rest if account in {None, entry.account}), limit))

    def entry(self, number: int) -> Entry | None:
        """Return the entry of a number; None if it is not kept, or not any more."""
        with self._changed:
            return next((entry for entry in self._entries if entry.number == number), None)

    def polls_of(self, task_id: str) -> list[tuple[int, int]]:
        """Return time in ms and number of each query of a task, oldest first."""
        with self._changed:
            return list(self._polls.get(task_id, ()))

    @property
    def dropped(self) -> int:
        """How many older entries are not kept any more."""
        with self._changed:
            return self.count - len(self._entries)

    def forget(self, account: str) -> None:
        """Drop the entries of an account."""
        with self._changed:
            kept = deque(entry for entry in self._entries if entry.account != account)
            self.count -= len(self._entries) - len(kept)
            self._begin(kept)

    def wait_for(self, matches: Callable[[Entry], bool], timeout: float, after: int = 0) -> Entry | None:
        """Return the first entry with a number above `after` that matches, waiting for at most `timeout` s of the machine's time.

        One that comes is returned even if it is forgotten at once. A reset begins the numbers anew, and then every one counts.
        """
        waiter = _Waiter(matches, after)
        with self._changed:
            kept = (entry for entry in self._entries if entry.number > after and matches(entry))
            waiter.entry = next(kept, None)
            self._waiters.append(waiter)
            try:
                self._changed.wait_for(lambda: waiter.entry or self._closed, timeout)
            finally:
                self._waiters.remove(waiter)
        return waiter.entry


@dataclass(slots=True, eq=False)
class _Waiter:
    matches: Callable[[Entry], bool]
    after: int
    entry: Entry | None = None
