"""Running sums, so that nothing has to be counted: of tasks, bytes, money, whatever has a name."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select, text

from .driver import Hot
from .tables import totals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

SHARDS = 16


def add(connection: Connection, changes: Mapping[str, int]) -> Callable[[], dict[str, int]]:
    """Add to sums; return what tells them, without what others are about to add. Last in a transaction: it holds what it has added to."""
    # In one order, so that no two wait for each other.
    names = sorted(name for name, change in changes.items() if change)
    if not names:
        return dict
    several = connection.dialect.name == "postgresql"
    values: dict[str, Any] = {"shard": os.getpid() % SHARDS if several else 0}  # who writes to SQLite is alone anyway
    for number, name in enumerate(names):
        values |= {f"name{number}": name, f"change{number}": changes[name]}
    answer = _adding(len(names), several=several).later(connection, values)
    return lambda: {name: int(value) for name, value in answer.rows()}


@cache
def _adding(number: int, *, several: bool) -> Hot:
    """Return the statement for so many sums. As text: SQLAlchemy has no other way to name each value of several rows."""
    table = totals.name
    rows = ", ".join(f"(:shard, :name{row}, :change{row})" for row in range(number))
    others = f" + (SELECT coalesce(sum(value), 0) FROM {table} AS o WHERE o.name = {table}.name AND o.shard <> :shard)"  # noqa: S608
    return Hot(
        text(
            f"INSERT INTO {table} (shard, name, value) VALUES {rows} "  # noqa: S608 - of our own names
            f"ON CONFLICT (shard, name) DO UPDATE SET value = {table}.value + excluded.value "
            f"RETURNING name, value{others if several else ''}"
        )
    )


_all = select(totals.c.name, func.sum(totals.c.value)).group_by(totals.c.name)
_one = select(func.sum(totals.c.value)).where(totals.c.name == bindparam("name"))


def everything(connection: Connection) -> dict[str, int]:
    """Return every sum by its name."""
    return {name: int(value) for name, value in connection.execute(_all)}


def one(connection: Connection, name: str) -> int:
    """Return one sum."""
    return int(connection.execute(_one, {"name": name}).scalar() or 0)
