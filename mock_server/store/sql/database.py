"""Transactions on the database that keeps the state: short, bounded in time, repeated where that is safe."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError

from ...foreign_text import log, plain
from ..store import StoreUnavailableError
from . import driver, engines
from .address import SQLITE, shown
from .connections import BusyError, Connections
from .engines import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

Params = ParamSpec("Params")
Result = TypeVar("Result")

SHORTEST_REST_S, LONGEST_REST_S = 0.1, 2.0
"""For which nobody tries again what has just failed: as long as the failure took, so that few requests wait for one."""
MOST_REPEATS = 5
"""Of a transaction that PostgreSQL ends in favour of another one."""
IN_FAVOUR_OF_ANOTHER = {"40001", "40P01"}
NO_TABLE = "42P01"


@dataclass(slots=True)
class _Attempt:
    """How far an attempt has come."""

    connected: bool = False
    reused: bool = False
    transaction: bool = False
    committing: bool = False


class _Side:
    """One way to use the database, with an engine of its own."""

    def __init__(self, connections: Connections, *, begins: bool = True) -> None:
        self.connections = connections
        self.begins = begins
        """Whether it does its work in a transaction."""
        self.rests_until = 0.0
        self.problem = ""


class Database:
    """Carries out work on a connection, which the work gets as its first argument. Safe to use from many threads.

    What fails because of the database is a StoreUnavailableError: it is away, locked for too long, or has no room left. One line of
    the log says so, and one that it is over. Made in the process that uses it, never before a fork.
    """

    def __init__(self, url: URL) -> None:
        self.url = url
        self.is_sqlite = url.drivername == SQLITE
        reading, writing, noting = engines.engines(url)
        self._reader = _Side(Connections(reading, CONNECTIONS), begins=False)
        self._writer = _Side(Connections(writing, 1 if self.is_sqlite else CONNECTIONS))
        self._noter = self._writer if noting is writing else _Side(Connections(noting, CONNECTIONS))
        self._note_at_once = _Side(self._noter.connections, begins=False)
        self._lock = threading.Lock()
        self._away = False
        self._file: tuple[int, int] | None = None
        """Device and inode of the file that SQLite has open."""
        self.serves = False
        """Whether somebody is answered from it, who would read in the log that it is away."""

    def read(
        self, work: Callable[Concatenate[Connection, Params], Result], *arguments: Params.args, **named: Params.kwargs
    ) -> Result:
        """Return what `work` reads; each of its statements sees what is there at its own moment. Raises StoreUnavailableError."""
        return self._run(self._reader, work, arguments, named)

    def write(
        self, work: Callable[Concatenate[Connection, Params], Result], *arguments: Params.args, **named: Params.kwargs
    ) -> Result:
        """Return what `work` returns, done in one transaction; if it raises, nothing was done. Raises StoreUnavailableError.

        It may be begun again, and so does nothing but with its connection.
        """
        result = self._run(self._writer, work, arguments, named)
        if self._away:
            self._note_back()
        return result

    def note(
        self, work: Callable[Concatenate[Connection, Params], Result], *arguments: Params.args, **named: Params.kwargs
    ) -> Result:
        """Do what `write` does with something that is no harm when a crash of the database's machine takes it away."""
        return self._run(self._noter, work, arguments, named)

    def note_at_once(
        self, work: Callable[Concatenate[Connection, Params], Result], *arguments: Params.args, **named: Params.kwargs
    ) -> Result:
        """Do the same with one statement, which needs no transaction around it; done twice if the connection is lost before its answer."""
        return self._run(self._note_at_once, work, arguments, named)

    def close(self) -> None:
        """Close every connection, one in use as soon as it is not."""
        for side in (self._reader, self._writer, self._noter):
            side.connections.close()

    def _run(self, side: _Side, work: Callable[..., Result], arguments: Any, named: Any) -> Result:
        began = time.monotonic()
        if began < side.rests_until:
            raise StoreUnavailableError(side.problem)
        if self.is_sqlite and side is self._writer and not self._has_its_file():
            raise self._unavailable([side], "its file was deleted or replaced; bring it back, or start again", began)
        repeats = 0
        while True:
            attempt = _Attempt()
            try:
                return self._once(side, attempt, work, arguments, named)
            except BusyError as error:
                raise self._unavailable([side], str(error), began) from None
            except DBAPIError as error:
                if not self._is_to_blame(error):
                    raise
                repeats += 1
                if not self._may_repeat(side, attempt, error, repeats, time.monotonic() - began):
                    # Where there is no server, none of them has to find that out by itself.
                    sides = (
                        [side] if attempt.connected else [self._reader, self._writer, self._noter, self._note_at_once]
                    )
                    raise self._unavailable(sides, _first_line(error), began) from None

    def _once(self, side: _Side, attempt: _Attempt, work: Callable[..., Result], arguments: Any, named: Any) -> Result:
        connection, attempt.reused = side.connections.take()
        attempt.connected = True
        try:
            if side.begins:
                self._begin(connection)
                attempt.transaction = True
            result = work(connection, *arguments, **named)
            if attempt.transaction:
                attempt.committing = True
                driver.run(connection, "COMMIT")
        except DBAPIError:
            side.connections.drop(
                connection
            )  # whatever it has come to: SQLite and PostgreSQL undo what was not committed
            raise
        except BaseException:
            self._undo(side, connection, attempt)
            raise
        side.connections.give_back(connection)
        return result

    def _begin(self, connection: Connection) -> None:
        """Begin a transaction; on SQLite, where one writes at a time, when it is our turn."""
        if self.is_sqlite:
            driver.run(connection, "BEGIN IMMEDIATE")
        else:
            driver.later(connection, "BEGIN")

    def _undo(self, side: _Side, connection: Connection, attempt: _Attempt) -> None:
        """Undo what was not committed; a connection that cannot do that is dropped, which does the same."""
        try:
            if attempt.transaction:
                driver.undo(connection)
        except DBAPIError:
            side.connections.drop(connection)
        else:
            side.connections.give_back(connection)

    def _has_its_file(self) -> bool:
        """Tell whether what is written will be found again: SQLite goes on with a file that has no name any more."""
        try:
            found = os.stat(self.url.database or "")
        except OSError:
            return False
        self._file = self._file or (found.st_dev, found.st_ino)
        return self._file == (found.st_dev, found.st_ino)

    def _is_to_blame(self, error: DBAPIError) -> bool:
        """Whether an error is the database's, and not that of a statement of ours."""
        if isinstance(error, (IntegrityError, DataError)) or (self.is_sqlite and isinstance(error, InterfaceError)):
            return False
        return not isinstance(error, ProgrammingError) or _code(error) == NO_TABLE

    def _may_repeat(self, side: _Side, attempt: _Attempt, error: DBAPIError, repeats: int, took_s: float) -> bool:
        if _code(error) in IN_FAVOUR_OF_ANOTHER:
            return repeats <= MOST_REPEATS
        lost = error.connection_invalidated and took_s < engines.ANSWER_S  # else there is somebody, who says nothing
        if lost and attempt.reused and not attempt.committing:
            side.connections.close_idle()  # they were opened to a server that is no more
            return True
        return False

    def _unavailable(self, sides: list[_Side], reason: str, began: float) -> StoreUnavailableError:
        """Note that the state is away, and return what says so."""
        now = time.monotonic()
        problem = f"the state at {shown(self.url)} cannot be used: {plain(reason)}"
        for side in sides:
            side.problem = problem
            side.rests_until = now + min(max(now - began, SHORTEST_REST_S), LONGEST_REST_S)
        with self._lock:
            first, self._away = not self._away, True
        if first and self.serves:
            log.error("%s; requests are answered 503 until it can", problem)
        return StoreUnavailableError(problem)

    def _note_back(self) -> None:
        with self._lock:
            back, self._away = self._away, False
        if back and self.serves:
            log.warning("the state at %s can be used again", shown(self.url))


def _code(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]
