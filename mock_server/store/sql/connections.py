"""A few connections to one database, kept open: to open one takes longer than most of what is asked of it."""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, LifoQueue
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from .engines import CONNECTIONS, LOCK_S

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


class BusyError(Exception):
    """Every connection is in use, and stays so."""


class Connections:
    """The connections of one engine, at most CONNECTIONS, the one that was used last first."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: LifoQueue[Connection | None] = LifoQueue()
        """None stands for one that is not open."""
        self._closed = False
        for _ in range(CONNECTIONS):
            self._idle.put(None)

    def take(self) -> tuple[Connection, bool]:
        """Return a connection that `give_back` or `drop` must follow, and whether it was used before. Raises BusyError."""
        try:
            connection = self._idle.get(timeout=LOCK_S)
        except Empty:
            raise BusyError(f"all {CONNECTIONS} connections were busy for {LOCK_S} s") from None
        if connection is not None:
            return connection, True
        try:
            return self._engine.connect(), False
        except BaseException:
            self._idle.put(None)
            raise

    def give_back(self, connection: Connection) -> None:
        """Let somebody else use a connection."""
        if self._closed:
            self.drop(connection)
        else:
            self._idle.put(connection)

    def drop(self, connection: Connection) -> None:
        """Close a connection, whatever it has come to."""
        with suppress(SQLAlchemyError):
            connection.invalidate()
        with suppress(SQLAlchemyError):
            connection.close()
        self._idle.put(None)

    def close(self) -> None:
        """Close what nobody uses, and what is in use when it is given back."""
        self._closed = True
        self.close_idle()

    def close_idle(self) -> None:
        """Close what nobody uses."""
        found = []
        with suppress(Empty):
            for _ in range(CONNECTIONS):
                found.append(self._idle.get_nowait())
        for connection in found:
            if connection is None:
                self._idle.put(None)
            else:
                self.drop(connection)
