"""Whose clock an account follows, and what time it is there: the engine's one source of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clock import Machine, iso

if TYPE_CHECKING:
    from .clock import ClockState
    from .store import Store

SERVER = ""
"""Whose clock an account follows until it has one of its own."""


class Clocks:
    """The server's clock, and those of accounts that have moved theirs; they lie in the store. All times are ms since 1970."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.machine = Machine().now

    def now(self, account: str = SERVER) -> int:
        """Return what time it is for an account."""
        return self._store.clock(account)[1].at(self.machine())

    def state(self, account: str = SERVER) -> ClockState:
        """Return how the clock goes that an account follows."""
        return self._store.clock(account)[1]

    def owner(self, account: str) -> str:
        """Return whose clock an account follows: its own, or the server's."""
        return self._store.clock(account)[0]

    # These change the clock of an owner. An account that follows the server's gets one of its own: TooManyError if there are too many.

    def freeze(self, owner: str = SERVER) -> int:
        """Stand still from now on; return the time."""
        machine = self.machine()
        return self._store.change_clock(owner, machine, lambda clock: clock.frozen(machine)).at(machine)

    def resume(self, owner: str = SERVER) -> None:
        """Go on from where it is, as fast as the machine's."""
        machine = self.machine()
        self._store.change_clock(owner, machine, lambda clock: clock.running(machine))

    def move_to(self, moment: int, owner: str = SERVER) -> None:
        """Stand still at a moment. Raises ValueError if that lies in the past, or after LATEST."""
        machine = self.machine()
        self._store.change_clock(owner, machine, lambda clock: clock.moved(moment, machine))

    def check(self, moment: int, owner: str = SERVER) -> None:
        """Raise ValueError if a clock cannot go to a moment."""
        self.state(owner).moved(moment, self.machine())


def clock_text(owner: str, clock: ClockState, now: int) -> str:
    """Say of a clock that is not the machine's how it goes and whose it is, as header and log show it."""
    how = "moved" if clock.standing is None else "frozen"
    return f"{how}; time={iso(now)}; source={'account' if owner else 'server'}"
