"""Running sums, so that nothing has to be counted: of tasks, bytes, money, whatever has a name."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert  # SQLite says ON CONFLICT in the same words

from .tables import totals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Connection
    from sqlalchemy.sql.dml import ReturningInsert

SHARDS = 16


def add(connection: Connection, changes: Mapping[str, int]) -> dict[str, int]:
    """Add to sums and return them, without what others are about to add. Last in a transaction: it holds what it has added to."""
    names = sorted(
        name for name, change in changes.items() if change
    )  # in one order, so that no two wait for each other
    if not names:
        return {}
    several = connection.dialect.name == "postgresql"
    values: dict[str, Any] = {"shard": os.getpid() % SHARDS if several else 0}  # who writes to SQLite is alone anyway
    for number, name in enumerate(names):
        values |= {f"name{number}": name, f"change{number}": changes[name]}
    return {name: int(value) for name, value in connection.execute(_adding(len(names), several=several), values)}


@cache
def _adding(number: int, *, several: bool) -> ReturningInsert[Any]:
    shard = bindparam("shard", type_=Integer)
    new = insert(totals).values(
        [{"shard": shard, "name": bindparam(f"name{row}"), "value": bindparam(f"change{row}")} for row in range(number)]
    )
    adding = new.on_conflict_do_update(
        index_elements=["shard", "name"], set_={"value": totals.c.value + new.excluded.value}
    )
    if not several:
        return adding.returning(totals.c.name, totals.c.value)
    other = totals.alias()
    # In words of SQL: RETURNING is no FROM to SQLAlchemy, which would join the sums of others with every sum that there is.
    its_name: ColumnElement[str] = literal_column(f"{totals.name}.name")
    others = select(func.coalesce(func.sum(other.c.value), 0)).where(other.c.name == its_name, other.c.shard != shard)
    return adding.returning(totals.c.name, totals.c.value + others.scalar_subquery())


_all = select(totals.c.name, func.sum(totals.c.value)).group_by(totals.c.name)
_one = select(func.sum(totals.c.value)).where(totals.c.name == bindparam("name"))


def everything(connection: Connection) -> dict[str, int]:
    """Return every sum by its name."""
    return {name: int(value) for name, value in connection.execute(_all)}


def one(connection: Connection, name: str) -> int:
    """Return one sum."""
    return int(connection.execute(_one, {"name": name}).scalar() or 0)
