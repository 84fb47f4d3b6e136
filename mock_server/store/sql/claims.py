"""Which delivery is next, and who has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, not_, select, update

from . import deliveries, leases
from .clocks import state_of
from .tables import Name, callers, has_room
from .tables import deliveries as table

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Select

    from ...deliveries import Delivery

SERVER = ""
_d, _c = table.c, callers.c
_whose = bindparam("whose", type_=Name)
_claim_head = (
    update(table)
    .where(
        _d.number
        == select(_d.number)
        .where(_d.account == _whose, _d.head, not_(_d.claimed), _d.due_at <= bindparam("now"))
        .order_by(_d.due_at, _d.number)
        .limit(1)
        .correlate(None)
        .scalar_subquery()
    )
    .values(claimed=True)
    .returning(table)
)
_claim_resent = (
    update(table).where(_d.id == bindparam("the_id"), _d.resend, not_(_d.claimed)).values(claimed=True, resend=False)
).returning(table)
_unclaim = update(table).where(_d.id == bindparam("the_id")).values(claimed=False)
_resent = (
    select(_d.id, _d.account).join(callers, _c.account == _d.account).where(_d.resend, not_(_d.claimed)).limit(1)
).order_by(_d.number)
_caller = select(_c.account, _c.clock, _c.due_at, _c.wake_at).where(has_room, _c.due_at.is_not(None))
_followers = _caller.where(_c.clock == SERVER).order_by(_c.due_at).limit(1)
_own = _caller.where(_c.wake_at.is_not(None)).order_by(_c.wake_at).limit(1)


class _Next(NamedTuple):
    account: str
    due_at: int
    """By the clock that it follows."""
    wake_at: int | None
    """By the machine's; None: that clock stands before it."""
    now: int
    """By the clock that it follows."""

    def order(self) -> tuple[bool, int]:
        """What comes to its time by itself goes before what does not, and the earlier first."""
        return (self.wake_at is None, self.wake_at or 0)


def claim(
    connection: Connection,
    machine: int,
    *,
    holder: str,
    lasts_ms: int,
    only: str | None = None,
    without: Collection[str] = (),
) -> Delivery | None:
    """Take the delivery that was asked for again, else the one that has been due the longest; `finish` gives it back.

    Without `only`, none of an account that travels in time.
    """
    leases.share_claiming(connection)
    _take_over(connection)
    skipped = _skipped(connection, only, without)
    if skipped is None:
        return None
    row = _claim_one_resent(connection, only, skipped) or _claim_one_due(connection, machine, only, skipped)
    if row is None:
        return None
    clock = connection.execute(select(_c.clock).where(_c.account == row.account)).scalar_one()
    named = {"account": row.account, "clock": clock, "holder": holder, "lasts_ms": lasts_ms}
    fence = leases.begin(connection, leases.ATTEMPT, row.id, **named)
    deliveries.refresh(connection, row.account)
    return deliveries.read(row, fence or 0)


def next_due(connection: Connection, only: str, machine: int) -> int | None:
    """Return the time of the next attempt by the clock of an account, or (empty) of those that follow the server's; None if there is none.

    0 if a delivery is to be sent again.
    """
    if _first_resent(connection, only, ()):
        return 0
    found = _first(connection, machine, only, (), lock=False)
    return found.due_at if found else None


def next_wake(connection: Connection, machine: int, without: Collection[str]) -> int | None:
    """Return the machine's time of the next attempt of all, or at which one is to be taken over; None if none comes by itself."""
    ends_in = leases.first_end_in(connection)
    ends_at = [] if ends_in is None else [machine + ends_in]
    skipped = _skipped(connection, None, without)
    if skipped is None:
        return min(ends_at, default=None)
    if _first_resent(connection, None, skipped):
        return 0
    found = _first(connection, machine, None, skipped, lock=False)
    return min(ends_at if found is None or found.wake_at is None else [*ends_at, found.wake_at], default=None)


def _take_over(connection: Connection) -> None:
    """Let the attempts of those who have died be made anew."""
    for delivery_id, account in leases.take_over(connection):
        deliveries.lock(connection, account)
        connection.execute(_unclaim, {"the_id": delivery_id})
        deliveries.refresh(connection, account)


def _skipped(connection: Connection, only: str | None, without: Collection[str]) -> Collection[str] | None:
    """Return accounts and clocks whose deliveries nobody may claim now; None: all of them."""
    if only is not None:
        return ()
    barred = leases.barred(connection)
    return None if barred is None else barred | set(without)


def _first_resent(connection: Connection, only: str | None, skipped: Collection[str]) -> Any:
    return connection.execute(_narrowed(_resent, only, skipped)).first()


def _claim_one_resent(connection: Connection, only: str | None, skipped: Collection[str]) -> Any:
    found = _first_resent(connection, only, skipped)
    if found is None:
        return None
    deliveries.lock(connection, found.account)
    return connection.execute(_claim_resent, {"the_id": found.id}).first()


def _claim_one_due(connection: Connection, machine: int, only: str | None, skipped: Collection[str]) -> Any:
    found = _first(connection, machine, only, skipped, lock=True)
    if found is None or found.due_at > found.now:
        return None
    return connection.execute(_claim_head, {"whose": found.account, "now": found.now}).first()


def _first(
    connection: Connection, machine: int, only: str | None, skipped: Collection[str], *, lock: bool
) -> _Next | None:
    """Return the account with the next attempt; None if there is none. With `lock` nobody else changes its callbacks meanwhile."""
    if only:
        found = [_caller.where(_c.account == only)]
    elif only is not None:
        found = [_followers]
    else:
        found = [_narrowed(_followers, None, skipped), _narrowed(_own, None, skipped)]
    if lock:  # who looks for something to do passes over what others are at; who travels needs it
        found = [each.with_for_update(skip_locked=only is None) for each in found]
    callers_found = [row for each in found if (row := connection.execute(each).first())]
    return min((_next(connection, row, machine) for row in callers_found), key=_Next.order, default=None)


def _next(connection: Connection, row: Any, machine: int) -> _Next:
    state = state_of(connection, row.clock)
    return _Next(row.account, row.due_at, state.when(row.due_at), state.at(machine))


def _narrowed(found: Select[Any], only: str | None, skipped: Collection[str]) -> Select[Any]:
    if only is not None:
        return found.where(_c.account == only) if only else found.where(_c.clock == SERVER)
    return found.where(_c.account.not_in(skipped), _c.clock.not_in(skipped)) if skipped else found
