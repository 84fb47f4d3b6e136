"""The interface of the journal: what came in and what went out, in order; bounded, the oldest goes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..journal import Entry


class Journal(Protocol):
    """The last entries, as many as are kept, in the order in which they were kept. Safe to use from many threads."""

    @property
    def count(self) -> int:
        """How many there have been."""
        ...

    @property
    def dropped(self) -> int:
        """How many older entries are not kept any more."""
        ...

    def add(self, entry: Entry) -> int:
        """Keep an entry and give it the next number, which it returns; whoever waits sees it."""
        ...

    def entries(
        self, account: str | None = None, *, after: int = 0, limit: int | None = None, newest_first: bool = False
    ) -> list[Entry]:
        """Return the first `limit` entries of an account or of all that come after a number, oldest first.

        With `newest_first` the order is the other one, in which 0 comes before all.
        """
        ...

    def entry(self, number: int) -> Entry | None:
        """Return the entry of a number; None if it is not kept, or not any more."""
        ...

    def polls_of(self, task_id: str) -> list[tuple[int, int]]:
        """Return time in ms and number of each query of a task, oldest first."""
        ...

    def wait_for(self, matches: Callable[[Entry], bool], timeout: float, after: int = 0) -> Entry | None:
        """Return the first entry with a number above `after` that matches, waiting for at most `timeout` s of the machine's time.

        A reset begins the numbers anew, and then every one counts.
        """
        ...

    def forget(self, account: str) -> None:
        """Drop the entries of an account."""
        ...

    def clear(self) -> None:
        """Begin anew, also for those who wait."""
        ...

    def close(self) -> None:
        """Let nobody wait any more."""
        ...
