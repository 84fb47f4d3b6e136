"""What one process does at a time. Who dies gives nothing back: what has come to its end is taken over.

The number of a lease is its fence: who was late, so that another one has taken over, finds that its number is gone, and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, bindparam, delete, exists, func, insert, select, text, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from .tables import leases

if TYPE_CHECKING:
    from sqlalchemy import Connection

ATTEMPT, JOURNEY, RESET = "attempt", "journey", "reset"
"""Kinds of leases."""
CLAIMING = 7_521_151
"""The advisory lock, shared by all who claim, of whoever begins what nobody may claim beside; any number that others do not use."""


class now_ms(FunctionElement[int]):  # noqa: N801 - it reads as the function that it is
    """The time in ms of the machine of the database, which is one for all processes."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _of_sqlite(*_: Any, **__: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(now_ms, "postgresql")
def _of_postgres(*_: Any, **__: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


_l, _others = leases.c, leases.alias("others")
_insert = insert(leases).values(ends_at=now_ms() + bindparam("lasts_ms")).returning(_l.fence)
_drop_ended = delete(leases).where(_l.name == bindparam("the_name"), _l.ends_at <= now_ms())
_find = select(_l.fence).where(_l.name == bindparam("the_name"))
_resets = select(_l.fence).where(_l.kind == RESET, _l.ends_at > now_ms())
_keep = (
    update(leases)
    .where(_l.fence == bindparam("the_fence"))
    .where(~exists().where(_others.c.kind == RESET, _others.c.ends_at > now_ms(), _others.c.fence != _l.fence))
    .values(ends_at=now_ms() + bindparam("lasts_ms"))
)
_give_back = delete(leases).where(_l.fence == bindparam("the_fence"))
_travelled = select(_l.clock, _l.kind).where(_l.kind != ATTEMPT, _l.ends_at > now_ms())
_under_way = select(_l.fence).where(_l.kind == ATTEMPT, _l.ends_at > now_ms())
_under_way_of = _under_way.where(_l.clock == bindparam("the_clock"))
_take_over = delete(leases).where(_l.kind == ATTEMPT, _l.ends_at <= now_ms()).returning(_l.name, _l.account)
_first_end = select(func.min(_l.ends_at) - now_ms()).where(_l.kind == ATTEMPT)


def begin(
    connection: Connection, kind: str, name: str, *, clock: str, holder: str, lasts_ms: int, account: str = ""
) -> int | None:
    """Return the number of a lease; None while somebody else has that of the name, and of a journey while there is a reset."""
    if kind != ATTEMPT:
        _wait_for_claims(connection)
    connection.execute(_drop_ended, {"the_name": name})
    if connection.execute(_find, {"the_name": name}).first():
        return None
    if kind == JOURNEY and connection.execute(_resets).first():
        return None
    values = {"name": name, "kind": kind, "account": account, "clock": clock, "holder": holder, "lasts_ms": lasts_ms}
    fence: int = connection.execute(_insert, values).scalar_one()
    return fence


def keep(connection: Connection, fence: int, lasts_ms: int) -> bool:
    """Hold a lease for longer; False if it was taken over, or a reset wants everything to end."""
    return connection.execute(_keep, {"the_fence": fence, "lasts_ms": lasts_ms}).rowcount > 0


def give_back(connection: Connection, fence: int) -> bool:
    """End a lease; False if that has happened before."""
    return connection.execute(_give_back, {"the_fence": fence}).rowcount > 0


def travelled(connection: Connection) -> set[str] | None:
    """Return the owners of the clocks by which nobody may begin an attempt, but for who travels; None: all of them."""
    found = connection.execute(_travelled).all()
    return None if any(kind == RESET for _, kind in found) else {clock for clock, _ in found}


def under_way(connection: Connection, clock: str | None) -> set[int]:
    """Return the attempts under way by a clock (None: by any)."""
    found = connection.execute(
        _under_way if clock is None else _under_way_of, {} if clock is None else {"the_clock": clock}
    )
    return set(found.scalars())


def take_over(connection: Connection) -> list[tuple[str, str]]:
    """End the attempts of those who did not finish in time, and return delivery and account of each."""
    return [(name, account) for name, account in connection.execute(_take_over)]


def first_end_in(connection: Connection) -> int | None:
    """Return in how many ms the first attempt is to be taken over."""
    found: int | None = connection.execute(_first_end).scalar()
    return found


def share_claiming(connection: Connection) -> None:
    """Let nobody begin a journey before the end of the transaction. SQLite lets only one write anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock_shared({CLAIMING})"))


def _wait_for_claims(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({CLAIMING})"))
