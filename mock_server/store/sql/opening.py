"""The state is found as it was left, made where there is none, or refused: it is never changed silently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, inspect, select, text
from sqlalchemy.exc import DBAPIError

from ..store import StoreUnavailableError, UnusableStateError
from .address import make_file, read_url, shown
from .database import Database
from .tables import PREFIX, VERSION, journal_state, metadata, state

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

MAKING = 7_521_150
"""The advisory lock of whoever makes the tables; any number that others do not use."""


def open_state(text_of_url: str, *, anew: bool = False) -> Database:
    """Return the database of a state; `anew` forgets what is there. Raises UnusableStateError."""
    url = read_url(text_of_url)
    database = Database(url)
    if database.is_sqlite:
        make_file(url)
    try:
        database.write(_prepare, url, anew=anew)
    except StoreUnavailableError as error:
        database.close()
        raise UnusableStateError(str(error)) from None
    except DBAPIError as error:
        database.close()
        raise UnusableStateError(f"{shown(url)} cannot hold a state: {str(error.orig).partition(chr(10))[0]}") from None
    except UnusableStateError:
        database.close()
        raise
    database.serves = True
    return database


def _prepare(connection: Connection, url: URL, *, anew: bool) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MAKING})
    names = inspect(connection).get_table_names()
    ours = [name for name in names if name.startswith(PREFIX)]
    if connection.dialect.name == "sqlite" and names and not ours:
        raise UnusableStateError(f"{shown(url)} is a database of something else: give a file of its own")
    if anew:
        for name in ours:  # also what another version has made
            connection.execute(text(f'DROP TABLE "{name}"'))
    elif ours:
        _check_version(connection, url, ours)
        return
    metadata.create_all(connection)
    connection.execute(insert(state).values(version=VERSION, generation=0))
    connection.execute(insert(journal_state).values(generation=0, last=0, added=0, kept=0, bytes=0))


def _check_version(connection: Connection, url: URL, ours: list[str]) -> None:
    version = connection.execute(select(state.c.version)).scalar() if state.name in ours else None
    if version != VERSION:
        raise UnusableStateError(
            f"{shown(url)} holds state of version {version}, and this klingkit has version {VERSION}: "
            "give another place, or --state-reset to forget what it holds"
        )
