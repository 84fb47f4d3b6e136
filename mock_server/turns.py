"""Whose turn it is to move a clock: of the threads of this process, and of all processes that share the state."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING

from .store import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .store.leases import Leases

LONGEST_S = 60.0
"""Of the machine's time, for a journey on a server, where others wait for its end."""
LOOK_S = 0.02
"""How often whoever waits for another process looks whether it is done."""


class JourneyEndedError(Exception):
    """A journey ended before its destination; the message says why, and what to do."""


class Journey:
    """A journey that is under way, as far as its right to go on is concerned."""

    def __init__(self, turns: Turns, owner: str, end: float | None, lease: int) -> None:
        self._turns = turns
        self.owner = owner
        self._end = end
        self._lease = lease
        self._kept_at = monotonic()

    def check_again(self) -> None:
        """Do what `check` does, after something that may have taken its time."""
        self._kept_at = 0.0
        self.check()

    def check(self) -> None:
        """Raise JourneyEndedError if it is to end where it is; other processes are asked now and then."""
        self._turns.check_time(self._end)
        if self._turns.stopping(self.owner) or not self._keeps():
            raise JourneyEndedError("a reset has ended the journey before its destination; ask for it again")

    def _keeps(self) -> bool:
        if monotonic() - self._kept_at < LOOK_S:
            return True
        kept = self._turns.leases.keep(self._lease)
        self._kept_at = monotonic()
        return kept


class Turns:
    """Lets one journey by each clock be under way at a time, and none while there is a reset that concerns it.

    `whose` is an account, the server's clock with all that follow it (empty), or everybody (None).
    """

    def __init__(self, leases: Leases) -> None:
        self.leases = leases
        self.longest_s = LONGEST_S
        self._changed = threading.Condition()
        self._busy: set[str | None] = set()
        """Whose journey or reset is under way in this process."""
        self._resets: Counter[str | None] = Counter()
        """How many are under way here or wait: a journey that is under way ends where it is, and the next waits for all of them."""
        self._closed = False

    @contextmanager
    def journey(self, owner: str, *, bounded: bool) -> Iterator[Journey]:
        """Wait for the turn of a journey, whose time runs from now on if it is bounded. Raises JourneyEndedError."""
        end = monotonic() + self.longest_s if bounded else None
        with self._here(owner, end), self._among_all(lambda: self.leases.begin_journey(owner), end) as lease:
            yield Journey(self, owner, end, lease)

    @contextmanager
    def reset(self, whose: str | None) -> Iterator[None]:
        """End the journeys that are under way where they are, and let none begin meanwhile: they wait."""
        with self._changed:
            self._resets[whose] += 1
        try:
            with self._here(whose, None, is_reset=True), self._among_all(lambda: self.leases.begin_reset(whose), None):
                self._wait(lambda: not self.leases.travelling(whose), None)
                yield
        finally:
            with self._changed:
                self._resets[whose] -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """End journeys that are under way, and those that wait for their turn."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def stopping(self, owner: str) -> bool:
        """Tell whether a journey that is under way here is to end where it is."""
        return self._resets[None] > 0 or self._resets[owner] > 0

    def check_time(self, end: float | None) -> None:
        """Raise JourneyEndedError at the end of a journey's time, and when the simulator is closed."""
        if self._closed:
            raise JourneyEndedError("the simulator is closed")
        if end is not None and monotonic() >= end:
            raise JourneyEndedError(
                f"the journey takes longer than {self.longest_s:g}s of the machine's time, and ended before its destination; "
                "ask for it again, and it goes on from here"
            )

    @contextmanager
    def _here(self, whose: str | None, end: float | None, *, is_reset: bool = False) -> Iterator[None]:
        """Take turns with the threads of this process."""

        def may_begin() -> bool:
            if not is_reset and self.stopping(whose or ""):
                return False
            return not self._busy if whose is None else self._busy.isdisjoint({None, whose})

        with self._changed:
            left = None if end is None else max(0, end - monotonic())
            if not self._changed.wait_for(lambda: self._closed or may_begin(), left):
                self.check_time(end)
            self._busy.add(whose)
        try:
            yield
        finally:
            with self._changed:
                self._busy.discard(whose)
                self._changed.notify_all()

    @contextmanager
    def _among_all(self, begin: Callable[[], int | None], end: float | None) -> Iterator[int]:
        """Take turns with other processes."""
        begun: list[int] = []

        def has_begun() -> bool:
            begun.extend(lease for lease in [begin()] if lease is not None)
            return bool(begun)

        self._wait(has_begun, end)
        try:
            yield begun[0]
        finally:
            with suppress(StoreUnavailableError):  # it runs out by itself
                self.leases.give_back(begun[0])

    def _wait(self, done: Callable[[], bool], end: float | None) -> None:
        while not done():
            self.check_time(end)
            with self._changed:
                self._changed.wait(LOOK_S)
