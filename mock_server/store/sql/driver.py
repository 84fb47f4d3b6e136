"""Statements that every request needs: compiled once, and carried out by the driver itself.

SQLAlchemy's own way costs two to three times as much for each, more than SQLite takes to answer.
"""

from __future__ import annotations

import random
import time
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from .engines import LOCK_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Executable

SQLITE = "sqlite"
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.00005, 0.0005
"""Between two attempts to become the one who writes to a SQLite file: drawn evenly, so that nobody always comes second, and about as
long as a transaction takes."""
SQLITE_BUSY = 5
_POSTGRESQL = postgresql.psycopg.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class Answer(Protocol):
    """Of a statement."""

    def rows(self) -> list[Any]:
        """Return its rows as the driver gives them; none for a statement that returns none."""
        ...


def run(connection: Connection, command: str) -> None:
    """Carry out a command without values or an answer, such as COMMIT. Raises DBAPIError."""
    later(connection, command).rows()


def later(connection: Connection, command: str) -> Answer:
    """Carry out a command at once, or together with the next statement where that saves a way to the server. Raises DBAPIError."""
    return _ask(connection, command, ())


def undo(connection: Connection) -> None:
    """Roll back a transaction. Raises DBAPIError."""
    driver = _driver(connection)
    try:
        if connection.dialect.name == SQLITE:
            driver.execute("ROLLBACK")
        else:
            driver.pipeline_of_ours.undo()
    except connection.dialect.loaded_dbapi.Error as error:
        _fail(connection, "ROLLBACK", error)


class Hot:
    """One statement. `columns` are those of an INSERT that gets its values by their names."""

    def __init__(self, statement: Executable, *columns: str) -> None:
        self._statement = statement
        self._columns = list(columns) or None
        self._compiled: dict[str, tuple[str, Mapping[str, Any], Callable[[Mapping[str, Any]], Sequence[Any]]]] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """Carry it out, and return its rows. Raises DBAPIError."""
        return self.later(connection, values).rows()

    def later(self, connection: Connection, values: Mapping[str, Any]) -> Answer:
        """Carry it out at once, or together with the next where that saves a way to the server. Raises DBAPIError."""
        name = connection.dialect.name
        text, constants, in_order = self._compiled.get(name) or self._compile(connection, name)
        return _ask(connection, text, in_order({**constants, **values} if constants else values))

    def several(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Do that for each of these values. Raises DBAPIError."""
        for row in rows:
            self.later(connection, row)

    def _compile(self, connection: Connection, name: str) -> Any:
        dialect = connection.dialect if name == SQLITE else _POSTGRESQL
        compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._columns)  # type: ignore[attr-defined]
        constants = {key: bind.value for bind, key in compiled.bind_names.items() if not bind.required}
        self._compiled[name] = found = str(compiled), constants, _in_order(compiled.positiontup or ())
        return found


def _in_order(names: Sequence[str]) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """Return what puts values into the order of the places in a statement."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: [values[name] for name in names]


class _Answered:
    """Of SQLite, which answers at once."""

    __slots__ = ("_rows",)

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def rows(self) -> list[Any]:
        return self._rows


class _Awaited:
    """Of PostgreSQL."""

    __slots__ = ("_asked", "_connection", "_text")

    def __init__(self, connection: Connection, text: str, asked: Answer) -> None:
        self._connection, self._text, self._asked = connection, text, asked

    def rows(self) -> list[Any]:
        try:
            return self._asked.rows()
        except self._connection.dialect.loaded_dbapi.Error as error:
            _fail(self._connection, self._text, error)


def _ask(connection: Connection, text: str, values: Sequence[Any]) -> Answer:
    driver = _driver(connection)
    if connection.dialect.name != SQLITE:
        return _Awaited(connection, text, driver.pipeline_of_ours.ask(text, values))
    try:
        return _Answered(driver.execute(text, values).fetchall())
    except connection.dialect.loaded_dbapi.Error as error:
        if _is_busy(error):
            return _Answered(_when_free(connection, driver, text, values))
        _fail(connection, text, error)


def _when_free(connection: Connection, driver: Any, text: str, values: Sequence[Any]) -> list[Any]:
    """Carry out a statement of SQLite when nobody else writes; only one that begins to write has to wait. Raises DBAPIError."""
    end = time.monotonic() + LOCK_S
    while True:
        time.sleep(random.uniform(SHORTEST_PAUSE_S, LONGEST_PAUSE_S))  # noqa: S311 - nothing but whose turn it is
        try:
            rows: list[Any] = driver.execute(text, values).fetchall()
        except connection.dialect.loaded_dbapi.Error as error:
            if not _is_busy(error) or time.monotonic() > end:
                _fail(connection, text, error)
        else:
            return rows


def _is_busy(error: Any) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == SQLITE_BUSY


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _fail(connection: Connection, text: str, error: Exception) -> NoReturn:
    """Raise an error of the driver as SQLAlchemy does."""
    dialect = connection.dialect
    lost = dialect.is_disconnect(error, _driver(connection), None)  # type: ignore[arg-type]
    raise DBAPIError.instance(
        text,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=dialect,
    ) from error
