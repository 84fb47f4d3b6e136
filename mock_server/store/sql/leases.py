"""What one process does at a time. Who dies gives nothing back: what has come to its end is taken over.

The number of a lease is its fence: who was late, so that another one has taken over, finds that its number is gone, and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, bindparam, delete, exists, func, insert, or_, select, text, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from .held_leases import Held
from .tables import Name, leases

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .database import Database

ATTEMPT, JOURNEY, RESET = "attempt", "journey", "reset"
"""Kinds of leases."""
ALL = "*"
"""The clock of a reset of everybody."""
LEASE_MS = 5000
"""For which nobody takes over from a holder that is silent; who lives renews what it holds every second."""
LONGEST_ATTEMPT_S, LONGEST_JOURNEY_S = 30.0, 120.0
"""Up to which that is done, and so longer than any takes."""
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


_l, _others = leases.c, leases.alias("others").c
_insert = insert(leases).values(ends_at=now_ms() + bindparam("lasts_ms")).returning(_l.fence)
_drop_ended = delete(leases).where(_l.name == bindparam("the_name"), _l.ends_at <= now_ms())
_find = select(_l.fence).where(_l.name == bindparam("the_name"))
_resets = select(_l.fence).where(
    _l.kind == RESET, _l.ends_at > now_ms(), _l.clock.in_([bindparam("the_clock", type_=Name), ALL])
)
_keep = (
    update(leases)
    .where(_l.fence == bindparam("the_fence"))
    .where(
        ~exists().where(
            _l.kind == JOURNEY,
            _others.kind == RESET,
            _others.ends_at > now_ms(),
            or_(_others.clock == _l.clock, _others.clock == ALL),
        )
    )
    .values(ends_at=now_ms() + bindparam("lasts_ms"))
)
_renew = (
    update(leases)
    .where(_l.fence.in_(bindparam("fences", expanding=True)))
    .values(ends_at=now_ms() + bindparam("lasts_ms"))
)
_give_back = delete(leases).where(_l.fence == bindparam("the_fence"))
_barred = select(_l.clock).where(_l.kind != ATTEMPT, _l.ends_at > now_ms())
_alive = select(_l.fence).where(_l.kind == bindparam("the_kind"), _l.ends_at > now_ms())
_alive_of = _alive.where(or_(_l.clock == bindparam("whose", type_=Name), _l.account == bindparam("whose", type_=Name)))
_take_over = delete(leases).where(_l.kind == ATTEMPT, _l.ends_at <= now_ms()).returning(_l.name, _l.account)
_first_end = select(func.min(_l.ends_at) - now_ms()).where(_l.kind == ATTEMPT)


class SqlLeases:
    """Journeys and resets of one process beside those of others."""

    shared = True

    def __init__(self, database: Database, holder: str) -> None:
        self._database = database
        self.holder = holder
        """Name of this process."""
        self.lease_ms = LEASE_MS
        self._held = Held(lambda fences: database.write(renew, fences, self.lease_ms))

    def begin_journey(self, owner: str) -> int | None:
        """Return the number of a journey by a clock; None while there is one already, or a reset that concerns it."""
        return self._begin(JOURNEY, owner)

    def begin_reset(self, whose: str | None) -> int | None:
        """Return the number of a reset, which lets journeys end and none begin; None while there is the same."""
        return self._begin(RESET, ALL if whose is None else whose)

    def _begin(self, kind: str, clock: str) -> int | None:
        name, holder, lasts_ms = f"{kind} {clock}", self.holder, self.lease_ms
        fence = self._database.write(begin, kind, name, clock=clock, holder=holder, lasts_ms=lasts_ms)
        if fence is not None:
            self._held.hold(fence, LONGEST_JOURNEY_S)
        return fence

    def keep(self, lease: int) -> bool:
        """Hold a lease for longer; False if it has run out and was taken over, or a reset lets it end."""
        return self._database.write(keep, lease, self.lease_ms)

    def give_back(self, lease: int) -> None:
        """End a lease."""
        self.let_go(lease)
        self._database.write(give_back, lease)

    def hold_attempt(self, lease: int) -> None:
        """Keep the claim of an attempt that begins, until `let_go`."""
        self._held.hold(lease, LONGEST_ATTEMPT_S)

    def let_go(self, lease: int) -> None:
        """Keep a lease no longer: it is over, or runs out."""
        self._held.let_go(lease)

    def close(self) -> None:
        """Keep nothing any more."""
        self._held.close()

    def travelling(self, whose: str | None) -> bool:
        """Tell whether there is a journey that a reset waits for."""
        return bool(self._database.read(alive, JOURNEY, whose))

    def attempting(self, whose: str | None) -> frozenset[int]:
        """Return the claims of all attempts under way."""
        return self._database.read(alive, ATTEMPT, whose)


def begin(
    connection: Connection, kind: str, name: str, *, clock: str, holder: str, lasts_ms: int, account: str = ""
) -> int | None:
    """Return the number of a lease; None while somebody else has that of the name, and of a journey while there is a reset."""
    if kind != ATTEMPT:
        _wait_for_claims(connection)
    connection.execute(_drop_ended, {"the_name": name})
    if connection.execute(_find, {"the_name": name}).first():
        return None
    if kind == JOURNEY and connection.execute(_resets, {"the_clock": clock}).first():
        return None
    values = {"name": name, "kind": kind, "account": account, "clock": clock, "holder": holder, "lasts_ms": lasts_ms}
    fence: int = connection.execute(_insert, values).scalar_one()
    return fence


def keep(connection: Connection, fence: int, lasts_ms: int) -> bool:
    """Hold a lease for longer; False if it was taken over, or a reset lets the journey end."""
    return connection.execute(_keep, {"the_fence": fence, "lasts_ms": lasts_ms}).rowcount > 0


def renew(connection: Connection, fences: list[int], lasts_ms: int) -> None:
    """Hold leases for longer, as far as nobody has taken over."""
    connection.execute(_renew, {"fences": fences, "lasts_ms": lasts_ms})


def give_back(connection: Connection, fence: int) -> bool:
    """End a lease; False if it was taken over."""
    return connection.execute(_give_back, {"the_fence": fence}).rowcount > 0


def barred(connection: Connection) -> set[str] | None:
    """Return the clocks by which nobody may begin an attempt, but for who travels; None: all of them."""
    found = set(connection.execute(_barred).scalars())
    return None if ALL in found else found


def alive(connection: Connection, kind: str, whose: str | None) -> frozenset[int]:
    """Return what has begun and is neither over nor taken over, by the clock of `whose` or of that account (None: of anybody)."""
    if whose is None:
        return frozenset(connection.execute(_alive, {"the_kind": kind}).scalars())
    return frozenset(connection.execute(_alive_of, {"the_kind": kind, "whose": whose}).scalars())


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
