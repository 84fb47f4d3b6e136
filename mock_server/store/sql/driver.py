"""Statements that every request needs: compiled once, and carried out by the driver itself.

SQLAlchemy's own way costs two to three times as much for each, more than SQLite takes to answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Executable


def run(connection: Connection, command: str) -> None:
    """Carry out a command without values or an answer: BEGIN, COMMIT, ROLLBACK. Raises DBAPIError."""
    cursor = _driver(connection).cursor()
    try:
        cursor.execute(command)
    except connection.dialect.loaded_dbapi.Error as error:
        _fail(connection, command, error)
    finally:
        cursor.close()


class Hot:
    """One statement. `columns` are those of an INSERT that gets its values by their names."""

    def __init__(self, statement: Executable, *columns: str) -> None:
        self._statement = statement
        self._columns = list(columns) or None
        self._compiled: dict[str, tuple[str, Mapping[str, Any], Sequence[str] | None]] = {}

    def several(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Carry it out for each of these values. Raises DBAPIError."""
        text, _, places = self._compiled.get(connection.dialect.name) or self._compile(
            connection, connection.dialect.name
        )
        cursor = _driver(connection).cursor()
        try:
            cursor.executemany(text, rows if places is None else [[row[place] for place in places] for row in rows])
        except connection.dialect.loaded_dbapi.Error as error:
            _fail(connection, text, error)
        finally:
            cursor.close()

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """Return its rows as the driver gives them; none for a statement that returns none. Raises DBAPIError."""
        name = connection.dialect.name
        text, constants, places = self._compiled.get(name) or self._compile(connection, name)
        if constants:
            values = {**constants, **values}
        cursor = _driver(connection).cursor()
        try:
            cursor.execute(text, values if places is None else [values[place] for place in places])
            return list(cursor.fetchall()) if cursor.description else []
        except connection.dialect.loaded_dbapi.Error as error:
            _fail(connection, text, error)
        finally:
            cursor.close()

    def _compile(self, connection: Connection, name: str) -> tuple[str, Mapping[str, Any], Sequence[str] | None]:
        compiled: Any = self._statement.compile(dialect=connection.dialect, column_keys=self._columns)  # type: ignore[attr-defined]
        constants = {key: bind.value for bind, key in compiled.bind_names.items() if not bind.required}
        self._compiled[name] = found = str(compiled), constants, compiled.positiontup
        return found


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
