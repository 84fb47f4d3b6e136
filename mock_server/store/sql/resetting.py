"""What is forgotten: all, or an account. Each function is one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, text

from . import accounts, chances, clocks, copies, deliveries, dropping, journal, queues, tables
from .tables import state, windows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ...clock import ClockState

FORGOTTEN = (
    tables.totals,
    tables.accounts,
    tables.past,
    tables.chances,
    tables.windows,
    tables.queues,
    tables.tasks,
    tables.agenda,
    tables.inputs,
    tables.deliveries,
    tables.callers,
    tables.clocks,
    tables.moves,
)


def everything(connection: Connection, start: ClockState) -> None:
    """Forget everything, and put clock and seed back to where they began."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"TRUNCATE {', '.join(table.name for table in FORGOTTEN)}"))
    else:
        for table in FORGOTTEN:
            connection.execute(delete(table))
    journal.clear(connection)
    clocks.put(connection, "", start)
    values = {"settings": None, "seed": state.c.first_seed, "queued": 0, "most_ever": 0, "resets": state.c.resets + 1}
    copies.change(connection, **values)


def account(connection: Connection, name: str, most: int) -> None:
    """Forget everything of an account but how many tasks it has ever made."""
    accounts.take(connection, name)  # so that no task of it is made meanwhile
    while dropping.drop_of_account(connection, name, most):
        pass
    queues.forget(connection, name)
    chances.forget(connection, name)
    connection.execute(delete(windows).where(windows.c.account == name))
    clocks.remove(connection, name)
    deliveries.forget(connection, name)
    accounts.forget(connection, name, most)
    journal.forget(connection, name)
    copies.change(connection)
