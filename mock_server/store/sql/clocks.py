"""The server's clock, and those of accounts that have one of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from ...clock import KEPT_MOVES, ClockState, Move
from .tables import clocks, moves

if TYPE_CHECKING:
    from sqlalchemy import Connection

SERVER = ""

_k = clocks.c
_one = select(_k.standing, _k.offset).where(_k.owner == bindparam("whose"))
_locked = _one.with_for_update()
_new = insert(clocks)  # SQLite says it in the same words
_put = _new.on_conflict_do_update(
    index_elements=["owner"], set_={"standing": _new.excluded.standing, "offset": _new.excluded.offset}
)
_all = (
    select(_k.owner, _k.standing, _k.offset).where(_k.owner.in_([bindparam("whose"), SERVER])).order_by(_k.owner.desc())
)


def followed(connection: Connection, account: str) -> tuple[str, ClockState]:
    """Return the clock owner that an account follows, and how that clock goes."""
    owner, standing, offset = connection.execute(_all, {"whose": account}).first() or (SERVER, None, 0)
    return owner, ClockState(standing, offset)


def state_of(connection: Connection, owner: str) -> ClockState:
    """Return how the clock of an owner goes."""
    row = connection.execute(_one, {"whose": owner}).first()
    return ClockState(row.standing, row.offset) if row else ClockState()


def put(connection: Connection, owner: str, state: ClockState) -> None:
    """Let the clock of an owner go so."""
    connection.execute(_put, {"owner": owner, "standing": state.standing, "offset": state.offset})


def lock(connection: Connection, owner: str) -> ClockState | None:
    """Return how the clock of an owner goes, None if there is no such; nobody else changes it before the end of the transaction."""
    row = connection.execute(_locked, {"whose": owner}).first()
    return ClockState(row.standing, row.offset) if row else None


def remove(connection: Connection, owner: str) -> bool:
    """Let an account follow the server's clock again; False if it does already."""
    connection.execute(delete(moves).where(moves.c.owner == owner))
    return connection.execute(delete(clocks).where(_k.owner == owner)).rowcount > 0


_last_moves = select(moves).where(moves.c.owner == bindparam("whose")).order_by(moves.c.number.desc()).limit(KEPT_MOVES)


def note_move(connection: Connection, owner: str, move: Move) -> None:
    """Note what was done to a clock, and forget what is too long ago."""
    connection.execute(insert(moves), {"owner": owner, **move._asdict()})
    kept = select(_last_moves.subquery().c.number)
    connection.execute(
        delete(moves).where(moves.c.owner == bindparam("whose"), moves.c.number.not_in(kept)), {"whose": owner}
    )


def moves_of(connection: Connection, owner: str) -> list[Move]:
    """Return what was done to a clock, oldest first."""
    rows = connection.execute(_last_moves, {"whose": owner}).all()
    return [Move(row.machine, row.start, row.end, row.by) for row in reversed(rows)]


def own(connection: Connection) -> int:
    """Return how many accounts have a clock of their own."""
    return connection.execute(select(func.count()).select_from(clocks).where(_k.owner != SERVER)).scalar_one()
