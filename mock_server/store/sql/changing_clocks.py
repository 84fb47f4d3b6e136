"""A clock is changed, and with it by what all that is an account's goes. One transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..store import TooManyError
from . import accounts, clocks, copies, deliveries, tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from ...clock import ClockState


def change(connection: Connection, owner: str, how: Callable[[ClockState], ClockState], most: int) -> ClockState:
    """Change a clock as `how` says of how it goes; that of an account begins as the server's. Raises TooManyError, and what `how` does."""
    if owner:
        accounts.take(connection, owner)  # so that no task of it is made meanwhile
    before = clocks.lock(connection, owner)
    if owner and before is None and clocks.own(connection) >= most:
        raise TooManyError(f"{most} accounts have clocks of their own; a reset makes room")
    after = how(clocks.state_of(connection, "") if before is None else before)
    if owner and before is None:
        accounts.set_clock(connection, owner, own=True)
        tasks.change_clock(connection, owner, owner)
    clocks.put(connection, owner, after)
    if owner:
        deliveries.follow(connection, owner, after)
    copies.change(connection)
    return after
