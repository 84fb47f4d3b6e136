"""From what chance is drawn: seeds, and how often something was drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite says ON CONFLICT in the same words

from ...chance import ChanceState
from ..store import TooManyError
from . import copies
from .driver import Hot
from .idle_accounts import NOW_AND_THEN
from .tables import accounts, chances, past, state

if TYPE_CHECKING:
    from sqlalchemy import Connection

_counts = Hot(
    select(
        accounts.c.made,
        accounts.c.ever,
        select(past.c.ever).where(past.c.account == bindparam("account")).scalar_subquery().label("before"),
        state.c.most_ever,
    ).select_from(state.outerjoin(accounts, accounts.c.account == bindparam("account")))
)
_seed = select(chances.c.seed).where(chances.c.account == bindparam("account"))
_new = insert(chances)
_draw = _new.on_conflict_do_update(index_elements=["account"], set_={"draws": chances.c.draws + 1}).returning(
    chances.c.number, chances.c.draws
)
_put = _new.on_conflict_do_update(index_elements=["account"], set_={"seed": _new.excluded.seed, "draws": 0})


def seed_of(connection: Connection, account: str) -> int | None:
    """Return the seed of an account's own."""
    return connection.execute(_seed, {"account": account}).scalar()


def state_of(connection: Connection, account: str, own: int | None, server: int) -> ChanceState:
    """Return from what the next task of an account is drawn; the seeds are known."""
    made, *evers = _counts.rows(connection, {"account": account})[0]
    ever = next(number for number in evers if number is not None)
    return ChanceState(server if own is None else own, account if own is None else "", made or 0, ever)


def put_seed(connection: Connection, account: str, seed: int, most: int) -> None:
    """Begin all chance of an account, or (empty) of all without a seed of their own, anew. Raises TooManyError."""
    if not account:
        own = select(chances.c.account).where(chances.c.seed.is_not(None))
        connection.execute(update(accounts).where(accounts.c.account.not_in(own)).values(made=0))
        connection.execute(delete(chances).where(chances.c.seed.is_(None)))
        copies.change(connection, seed=seed)
        return
    connection.execute(update(accounts).where(accounts.c.account == account).values(made=0))
    known = seed_of(connection, account) is not None
    seeds = select(func.count()).select_from(chances).where(chances.c.seed.is_not(None))
    if not known and connection.execute(seeds).scalar_one() >= most:
        raise TooManyError(f"{most} accounts have seeds of their own; a reset makes room")
    connection.execute(_put, {"account": account, "seed": seed, "draws": 0})
    copies.change(connection)


def next_draw(connection: Connection, account: str, most: int) -> int:
    """Count what an account leaves to chance that belongs to no task; return how often it had since its chance began."""
    row = connection.execute(_draw, {"account": account, "draws": 1}).one()
    if row.draws == 1 and row.number % NOW_AND_THEN == 0:
        others = chances.c.seed.is_(None)
        too_many = connection.execute(select(func.count()).select_from(chances).where(others)).scalar_one() - most
        if too_many > 0:
            oldest = select(chances.c.number).where(others).order_by(chances.c.number).limit(too_many)
            connection.execute(delete(chances).where(chances.c.number.in_(oldest)))
    return int(row.draws) - 1


def forget(connection: Connection, account: str) -> None:
    """Forget seed and draws of an account."""
    connection.execute(delete(chances).where(chances.c.account == account))
