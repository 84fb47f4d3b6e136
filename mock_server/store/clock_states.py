"""The server's clock, and those of accounts that have moved theirs. No lock of its own: the store holds one."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from ..clock import KEPT_MOVES
from ..clocks import SERVER
from .store import TooManyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..clock import ClockState, Move


MOST_MOVED = 500
"""Clocks of which it is known what was done to them: about 4 kB each."""


class ClockStates:
    """State by owner; at most `most` accounts have a clock of their own."""

    def __init__(self, start: ClockState, most: int) -> None:
        self.server = start
        self.own: dict[str, ClockState] = {}
        self._most = most
        self._moves: OrderedDict[str, deque[Move]] = OrderedDict()

    def of(self, account: str) -> tuple[str, ClockState]:
        """Return whose clock an account follows, and how it goes. It needs no lock."""
        own = self.own.get(account)
        return (account, own) if own else (SERVER, self.server)

    def owner(self, account: str) -> str:
        """Return whose clock an account follows."""
        return account if account in self.own else SERVER

    def changed(self, owner: str, change: Callable[[ClockState], ClockState]) -> ClockState:
        """Return what a clock would be, that of an account beginning as the server's. Raises TooManyError, and what `change` does."""
        if owner != SERVER and owner not in self.own and len(self.own) >= self._most:
            raise TooManyError(f"{self._most} accounts have clocks of their own; a reset makes room")
        return change(self.of(owner)[1])

    def put(self, owner: str, state: ClockState) -> None:
        """Let a clock go so."""
        if owner == SERVER:
            self.server = state
        else:
            self.own[owner] = state

    def forget(self, account: str) -> None:
        """Let an account follow the server's again."""
        self.own.pop(account, None)
        self._moves.pop(account, None)

    def note(self, owner: str, move: Move) -> None:
        """Note what was done to a clock; that of the server is the last to be forgotten."""
        self._moves.setdefault(owner, deque(maxlen=KEPT_MOVES)).append(move)
        self._moves.move_to_end(owner)
        if len(self._moves) > MOST_MOVED:
            self._moves.move_to_end(SERVER) if SERVER in self._moves else None
            self._moves.popitem(last=False)

    def moves(self, owner: str) -> list[Move]:
        """Return what was done to a clock, oldest first."""
        return list(self._moves.get(owner, ()))
