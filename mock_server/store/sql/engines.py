"""How a connection to the database is made: what each kind needs, and for how long anything may take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import NullPool, create_engine, event

from ..store import UnusableStateError
from .address import SQLITE, shown

if TYPE_CHECKING:
    from psycopg import Connection
    from sqlalchemy import Engine
    from sqlalchemy.engine import URL

CONNECT_S = 3
STATEMENT_S = 5
LOCK_S = 3
"""For somebody else's lock."""
ANSWER_S = 8
"""For a server that says nothing at all, not even that a statement took too long."""
CONNECTIONS = 5
"""For each way of using the database, in each process; one for writing to SQLite, where one writes at a time anyway."""


def engines(url: URL) -> tuple[Engine, Engine, Engine]:
    """Return what reads, what writes, and what notes. Raises UnusableStateError if the driver is not installed.

    None begins a transaction by itself: `Database` does. What reads sees each statement for itself, and has no transaction that would
    hold anything. What notes does not wait for the disk
    of the server, where that is a wait: SQLite syncs at its checkpoints only. Made in the process that uses them: a connection must
    not be shared by two.
    """
    if url.drivername == SQLITE:
        writing = _sqlite(url, wait_s=0)
        return _sqlite(url, wait_s=LOCK_S), writing, writing
    try:
        _check_options(url)
        return _postgres(url), _postgres(url), _postgres(url, synchronous=False)
    except ModuleNotFoundError:
        raise UnusableStateError("PostgreSQL needs psycopg: pip install 'psycopg[binary]'") from None


def _check_options(url: URL) -> None:
    """Raise UnusableStateError for an option that libpq does not know: psycopg takes some of its own, which are no text."""
    from psycopg.pq import Conninfo  # noqa: PLC0415 - only PostgreSQL needs it

    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    if unknown := sorted(url.query.keys() - known):
        raise UnusableStateError(f"{shown(url)}: PostgreSQL has no option {unknown[0][:60]!r}; leave it out")


def _sqlite(url: URL, *, wait_s: float) -> Engine:
    engine = create_engine(
        url,
        poolclass=NullPool,
        # The driver begins no transaction of its own, and does not wait for locks by its rough steps where we do that.
        connect_args={"isolation_level": None, "check_same_thread": False, "timeout": wait_s},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.execute("PRAGMA busy_timeout = 3000")  # for this alone: the first connections race to set it
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA busy_timeout = {int(wait_s * 1000)}")

    return engine


def _postgres(url: URL, *, synchronous: bool = True) -> Engine:
    engine = create_engine(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": CONNECT_S, "application_name": "klingkit"},
    )
    bounded = _bounded()

    @event.listens_for(engine, "do_connect")
    def connect(_: object, __: object, arguments: Any, named: Any) -> Any:
        return bounded.connect(*arguments, **named)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        values = {
            "statement_timeout": f"'{STATEMENT_S}s'",
            "lock_timeout": f"'{LOCK_S}s'",
            "idle_in_transaction_session_timeout": f"'{2 * ANSWER_S}s'",
        }
        if not synchronous:
            values["synchronous_commit"] = "off"
        autocommit, connection.autocommit = connection.autocommit, True
        connection.execute("; ".join(f"SET {name} = {value}" for name, value in values.items()))
        connection.autocommit = autocommit

    return engine


def _bounded() -> type[Connection[Any]]:
    """Return a class of connections that wait for an answer for at most ANSWER_S: libpq waits for ever where a network goes dark."""
    from psycopg import Connection, OperationalError  # noqa: PLC0415 - only PostgreSQL needs it

    from .pipeline import Pipeline  # noqa: PLC0415

    class Bounded(Connection[Any]):
        def __init__(self, pgconn: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(pgconn, *args, **kwargs)
            self.pipeline_of_ours = Pipeline(pgconn, ANSWER_S)

        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            self.pipeline_of_ours.finish()  # what was asked before goes before
            return super().wait(self._within(gen), *args, **kwargs)

        def _within(self, generator: Any) -> Any:
            """Pass on what a command waits for; psycopg looks in every 0.1 s."""
            end = time.monotonic() + ANSWER_S
            try:
                wanted = next(generator)
                while True:
                    ready = yield wanted
                    if not ready and time.monotonic() > end:
                        self.pgconn.finish()
                        raise OperationalError(f"the server did not answer within {ANSWER_S} s")
                    wanted = generator.send(ready)
            except StopIteration as end_of_it:
                return end_of_it.value

    return Bounded
