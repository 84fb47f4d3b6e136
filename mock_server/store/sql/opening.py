"""The state is found as it was left, made where there is none, or refused: it is never changed silently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, inspect, select, text
from sqlalchemy.exc import DBAPIError

from ..store import StoreUnavailableError, UnusableStateError
from .address import make_file, read_url, shown
from .clocks import put
from .database import Database
from .store import SqlStore
from .tables import PREFIX, VERSION, journal_state, metadata, state

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

    from ...clock import ClockState
    from ...settings import Settings

MAKING = 7_521_150
"""The advisory lock of whoever makes the tables; any number that others do not use."""


def open_store(settings: Settings, start: ClockState) -> SqlStore:
    """Return the store that keeps its state at `settings.state`; seed and clock count where there is none yet. Raises UnusableStateError."""
    database = _open(settings.state or "", settings.seed, start, anew=False)
    database.serves = True
    return SqlStore(database, settings, start)


def prepare(settings: Settings, start: ClockState, *, anew: bool) -> int:
    """See to it that there is a state, `anew` if it is to be forgotten, and return its seed. Raises UnusableStateError.

    Nothing stays open, so that a process may fork afterwards.
    """
    database = _open(settings.state or "", settings.seed, start, anew=anew)
    try:
        return database.read(_seed)
    finally:
        database.close()


def _open(text_of_url: str, seed: int, start: ClockState, *, anew: bool) -> Database:
    url = read_url(text_of_url)
    database = Database(url)
    try:
        if database.is_sqlite:
            make_file(url)
        database.write(_prepare, url, seed, start, anew=anew)
    except StoreUnavailableError as error:
        database.close()
        hint = "" if database.is_sqlite else "; PostgreSQL must run there and have that database: createdb makes one"
        raise UnusableStateError(f"{error}{hint}") from None
    except DBAPIError as error:
        database.close()
        raise UnusableStateError(f"{shown(url)} cannot hold a state: {str(error.orig).partition(chr(10))[0]}") from None
    except UnusableStateError:
        database.close()
        raise
    return database


def _seed(connection: Connection) -> int:
    return int(connection.execute(select(state.c.seed)).scalar_one())


def _prepare(connection: Connection, url: URL, seed: int, start: ClockState, *, anew: bool) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MAKING})
    names = inspect(connection).get_table_names()
    ours = [name for name in names if name.startswith(PREFIX)]
    if connection.dialect.name == "sqlite" and names and not ours:
        raise UnusableStateError(f"{shown(url)} is a database of something else: give a file of its own")
    if ours and not anew:
        _check_version(connection, url, ours)
        return
    for name in ours:  # also what another version has made
        connection.execute(text(f'DROP TABLE "{name}"'))
    metadata.create_all(connection)
    connection.execute(
        insert(state).values(version=VERSION, generation=0, resets=0, seed=seed, first_seed=seed, queued=0, most_ever=0)
    )
    connection.execute(insert(journal_state).values(generation=0, last=0, added=0, kept=0, bytes=0))
    put(connection, "", start)


def _check_version(connection: Connection, url: URL, ours: list[str]) -> None:
    version = connection.execute(select(state.c.version)).scalar() if state.name in ours else None
    if version != VERSION:
        raise UnusableStateError(
            f"{shown(url)} holds state of version {version}, and this klingkit has version {VERSION}: "
            "give another place, or --state-reset to forget what it holds"
        )
