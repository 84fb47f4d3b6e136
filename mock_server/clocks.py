"""Whose clock an account follows, and what time it is there: the engine's one source of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clock import KEPT_MOVES, Machine, Move, iso

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
        is_news = self.state(owner).standing is None
        now = self.stop(owner)
        if is_news:
            self._store.note_move(owner, Move(self.machine(), now, now, "freeze"))
        return now

    def stop(self, owner: str = SERVER) -> int:
        """Do the same for a journey, of which `note_journey` tells."""
        machine = self.machine()
        return self._store.change_clock(owner, machine, lambda clock: clock.frozen(machine)).at(machine)

    def note_journey(self, owner: str, start: int) -> None:
        """Note that a clock has come from a moment to where it stands."""
        if (now := self.now(owner)) > start:
            self._store.note_move(owner, Move(self.machine(), start, now, "advance"))

    def resume(self, owner: str = SERVER) -> None:
        """Go on from where it is, as fast as the machine's."""
        is_news = self.state(owner).standing is not None
        machine = self.machine()
        now = self._store.change_clock(owner, machine, lambda clock: clock.running(machine)).at(machine)
        if is_news:
            self._store.note_move(owner, Move(machine, now, now, "resume"))

    def moves(self, account: str = SERVER) -> list[Move]:
        """Return the last moves of the clock that an account follows, oldest first; before it had one of its own, of the server's."""
        owner = self.owner(account)
        own = self._store.moves(owner)
        if owner == SERVER or len(own) == KEPT_MOVES:
            return own
        return [move for move in self._store.moves(SERVER) if not own or _was_before(move, own[0])] + own

    def move_to(self, moment: int, owner: str = SERVER) -> None:
        """Stand still at a moment. Raises ValueError if that lies in the past, or after LATEST."""
        machine = self.machine()
        self._store.change_clock(owner, machine, lambda clock: clock.moved(moment, machine))

    def check(self, moment: int, owner: str = SERVER) -> None:
        """Raise ValueError if a clock cannot go to a moment."""
        self.state(owner).moved(moment, self.machine())


def _was_before(of_server: Move, first: Move) -> bool:
    """Tell whether the server's clock was moved before an account got its own: many moves fit into one ms of the machine."""
    return of_server.machine <= first.machine and of_server.end <= first.start


def clock_text(owner: str, clock: ClockState, now: int) -> str:
    """Say of a clock that is not the machine's how it goes and whose it is, as header and log show it."""
    how = "moved" if clock.standing is None else "frozen"
    return f"{how}; time={iso(now)}; source={'account' if owner else 'server'}"
