"""A few connections to one database, kept open: to open one takes longer than most of what is asked of it."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from .engines import LOCK_S

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


class BusyError(Exception):
    """Every connection is in use, and stays so."""


class Connections:
    """The connections of one engine, at most `most`. Who waits for one gets it in the order in which they came."""

    def __init__(self, engine: Engine, most: int) -> None:
        self._engine = engine
        self._most = most
        self._lock = threading.Lock()
        self._closed = False
        self._idle: list[Connection | None] = [None] * most
        """None stands for one that is not open. The one that was used last is used first."""
        self._waiting: deque[SimpleQueue[Connection | None]] = deque()

    def take(self) -> tuple[Connection, bool]:
        """Return a connection that `give_back` or `drop` must follow, and whether it was used before. Raises BusyError."""
        with self._lock:
            turn: SimpleQueue[Connection | None] | None = None
            if self._idle:
                connection = self._idle.pop()
            else:
                turn = SimpleQueue()
                self._waiting.append(turn)
        if turn is not None:
            connection = self._wait(turn)
        if connection is not None:
            return connection, True
        try:
            return self._engine.connect(), False
        except BaseException:
            self._put(None)
            raise

    def _wait(self, turn: SimpleQueue[Connection | None]) -> Connection | None:
        try:
            return turn.get(timeout=LOCK_S)
        except Empty:
            pass
        with self._lock, suppress(ValueError):
            self._waiting.remove(turn)
            raise BusyError(f"all {self._most} connections were busy for {LOCK_S} s")
        return turn.get()  # it came just now

    def give_back(self, connection: Connection) -> None:
        """Let somebody else use a connection."""
        if self._closed:
            self.drop(connection)
        else:
            self._put(connection)

    def drop(self, connection: Connection) -> None:
        """Close a connection, whatever it has come to."""
        _close(connection)
        self._put(None)

    def close(self) -> None:
        """Close what nobody uses, and what is in use when it is given back."""
        self._closed = True
        self.close_idle()

    def close_idle(self) -> None:
        """Close what nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, [None] * len(self._idle)
        for connection in idle:
            if connection is not None:
                _close(connection)

    def _put(self, connection: Connection | None) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().put(connection)
            else:
                self._idle.append(connection)


def _close(connection: Connection) -> None:
    with suppress(SQLAlchemyError):
        connection.invalidate()
    with suppress(SQLAlchemyError):
        connection.close()
