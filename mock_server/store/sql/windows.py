"""Requests, counted in windows of time."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from sqlalchemy import BigInteger, bindparam, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert  # SQLite says ON CONFLICT in the same words

from ...agenda import LAST_ORDER, Due
from .idle_accounts import NOW_AND_THEN
from .tables import accounts, windows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ...account_settings import AccountSettings
    from ...agenda import Place

_new = insert(windows)
_over = windows.c.ends_at <= bindparam("now", type_=BigInteger)
_count = _new.on_conflict_do_update(
    index_elements=["account"],
    set_={
        "count": case((_over, 1), else_=windows.c["count"] + 1),
        "ends_at": case((_over, _new.excluded.ends_at), else_=windows.c.ends_at),
    },
).returning(windows.c.number, windows.c["count"])


def count_request(connection: Connection, account: str, limits: AccountSettings, now: int, most: int) -> bool:
    """Count a request in its window; False if there have been too many. Of `most` accounts they are counted."""
    number, count = connection.execute(
        _count, {"account": account, "now": now, "ends_at": now + limits.window_ms, "count": 1}
    ).one()
    if count == 1 and number % NOW_AND_THEN == 0:
        too_many = connection.execute(select(func.count()).select_from(windows)).scalar_one() - most
        if too_many > 0:
            oldest = select(windows.c.number).order_by(windows.c.ends_at).limit(too_many)
            connection.execute(delete(windows).where(windows.c.number.in_(oldest)))
    return limits.requests is None or count <= limits.requests


def requests_used(connection: Connection, account: str, now: int) -> int:
    """Return how many requests the window of an account has counted."""
    found = select(windows.c["count"]).where(windows.c.account == account, windows.c.ends_at > now)
    return connection.execute(found).scalar() or 0


_follows = (
    select(windows.c.ends_at, windows.c.account)
    .outerjoin(accounts, accounts.c.account == windows.c.account)
    .where(func.coalesce(accounts.c.own_clock, False).is_(False))
)
_own = select(windows.c.ends_at, windows.c.account).where(windows.c.account == bindparam("clock"))


def after(connection: Connection, clock: str, place: Place, limit: int) -> list[Due]:
    """Return at most `limit` of the ends of windows that come after a place, in order."""
    found = (_own if clock else _follows).where(windows.c.ends_at >= place[0]).order_by(windows.c.ends_at).limit(limit)
    due = (
        Due(ends_at, LAST_ORDER, crc32(account.encode()), "window", account)
        for ends_at, account in connection.execute(found, {"clock": clock} if clock else {})
    )
    return sorted(each for each in due if each.place > place)
