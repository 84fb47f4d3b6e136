"""Accounts that have nothing but a past: the last of them are remembered, so that no id comes twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite says ON CONFLICT in the same words

from .tables import accounts, past, state

if TYPE_CHECKING:
    from sqlalchemy import Connection

NOW_AND_THEN = 64
"""Who is one too many is looked for every so often, since looking means counting."""

_new = insert(past)
_remember = _new.on_conflict_do_update(index_elements=["account"], set_={"ever": _new.excluded.ever}).returning(
    past.c.number
)
_idle = (accounts.c.tasks == 0, accounts.c.settings.is_(None), ~accounts.c.own_clock)


def remember(connection: Connection, account: str, ever: int, most: int) -> None:
    """Note how many tasks an account had made that is forgotten; of `most` that is known."""
    number = connection.execute(_remember, {"account": account, "ever": ever}).scalar_one()
    if number % NOW_AND_THEN:
        return
    too_many = connection.execute(select(func.count()).select_from(past)).scalar_one() - most
    if too_many > 0:
        oldest = select(past.c.number).order_by(past.c.number).limit(too_many)
        gone = connection.execute(delete(past).where(past.c.number.in_(oldest)).returning(past.c.ever)).scalars()
        largest = max(gone, default=0)
        connection.execute(update(state).where(state.c.most_ever < largest).values(most_ever=largest))


_note_idle = update(accounts).where(accounts.c.account == bindparam("whose"), *_idle).values(idle=bindparam("order"))


def note_idle(connection: Connection, names: list[str], order: int, most: int) -> None:
    """Note which of some accounts have come to have nothing but a past, and forget the oldest if there are more than `most`.

    `order` is a number that goes up.
    """
    for name in names:
        connection.execute(_note_idle, {"whose": name, "order": order})
    if order % NOW_AND_THEN:
        return
    too_many = connection.execute(select(func.count()).select_from(accounts).where(*_idle)).scalar_one() - most
    if too_many > 0:
        oldest = select(accounts.c.account).where(*_idle).order_by(accounts.c.idle).limit(too_many)
        gone = (
            delete(accounts)
            .where(accounts.c.account.in_(oldest), *_idle)
            .returning(accounts.c.account, accounts.c.ever)
        )
        for account, ever in connection.execute(gone).all():
            remember(connection, account, ever, most)
