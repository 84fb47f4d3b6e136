"""Statements sent to PostgreSQL together, so that one way to the server and back serves them all: libpq's pipeline mode.

psycopg's own way costs twice as much for one statement, and three times as much for a pipeline, since it does more for each.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

from psycopg import Error, OperationalError, errors
from psycopg.pq import ExecStatus, TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg.abc import Buffer
    from psycopg.pq.abc import PGconn, PGresult

AS_BYTES = 1
"""Format of a value: text goes so too, since libpq would cut it at a NUL."""
READERS: dict[int, Callable[[bytes], Any]] = {16: lambda text: text == b"t", 20: int, 21: int, 23: int, 1700: int}
"""By the number of a type: boolean, three sizes of whole numbers, and sums of these. All else is text."""
BAD = {ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED, ExecStatus.BAD_RESPONSE}


class Asked:
    """A statement, and its rows once somebody has asked for them or for an end of the transaction."""

    def __init__(self, pipeline: Pipeline, name: bytes, values: Sequence[Any]) -> None:
        self._pipeline = pipeline
        self.name, self.values = name, values
        self.found: list[Any] = []
        self.is_answered = False

    def rows(self) -> list[Any]:
        """Return its rows, after sending what was asked. Raises Error of psycopg."""
        if not self.is_answered:
            self._pipeline.finish()
        return self.found


class Pipeline:
    """What is asked on one connection; nothing is sent before somebody wants an answer."""

    def __init__(self, libpq: PGconn, answer_s: float) -> None:
        self._libpq = libpq
        self._answer_s = answer_s
        self._names: dict[str, bytes] = {}
        self._prepared: set[bytes] = set()
        self._asked: list[Asked] = []
        self._socket = select.poll()
        self._socket.register(libpq.socket, select.POLLIN)

    def ask(self, text: str, values: Sequence[Any] = ()) -> Asked:
        """Note a statement with values in the order of its `$1`, `$2` and so on."""
        name = self._names.get(text)
        if name is None:
            name = self._names[text] = b"klingkit_%d" % len(self._names)
        asked = Asked(self, name, values)
        self._asked.append(asked)
        return asked

    def finish(self) -> None:
        """Send what was asked, and wait for all answers. Raises the first Error of psycopg that comes of it."""
        if not (asked := self._asked):
            return
        self._asked = []
        libpq = self._libpq
        libpq.enter_pipeline_mode()
        new = [each.name for each in asked if each.name not in self._prepared]
        texts = {name: text for text, name in self._names.items()} if new else {}
        for name in dict.fromkeys(new):
            libpq.send_prepare(name, texts[name].encode())
        for each in asked:
            _send(libpq, each)
        libpq.pipeline_sync()
        self._flush()
        problem = self._read(asked, list(dict.fromkeys(new)))
        libpq.exit_pipeline_mode()
        if problem:
            raise problem

    def undo(self) -> None:
        """Forget what was asked and not sent, and roll back what was."""
        self._asked = []
        if self._libpq.transaction_status != TransactionStatus.IDLE:
            self.ask("ROLLBACK").rows()

    def _flush(self) -> None:
        while self._libpq.flush():
            self._wait(select.POLLIN | select.POLLOUT)

    def _wait(self, events: int = select.POLLIN) -> None:
        """Wait until the server has said something, or takes more."""
        if events != select.POLLIN:
            self._socket.modify(self._libpq.socket, events)
        ready = self._socket.poll(self._answer_s * 1000)
        if events != select.POLLIN:
            self._socket.modify(self._libpq.socket, select.POLLIN)
        if not ready:
            self._libpq.finish()
            raise OperationalError(f"the server did not answer within {self._answer_s:g} s")
        if ready[0][1] & ~select.POLLOUT:
            self._libpq.consume_input()

    def _next(self) -> PGresult | None:
        while self._libpq.is_busy():
            self._wait()
        return self._libpq.get_result()

    def _read(self, asked: list[Asked], new: list[bytes]) -> Error | None:
        """Read all answers, each of which ends with none, and the last one of all; return the first error."""
        problem: Error | None = None
        for name in new:
            if (error := self._error_of(self._next())) is None:
                self._prepared.add(name)
            problem = problem or error
            self._next()
        for each in asked:
            result = self._next()
            problem = problem or self._error_of(result)
            if result is not None and result.status == ExecStatus.TUPLES_OK:
                each.found = _rows(result)
            each.is_answered = True
            self._next()
        self._next()
        return problem

    def _error_of(self, result: PGresult | None) -> Error | None:
        if result is not None and result.status not in BAD:
            return None
        if result is None:  # the connection is lost
            return OperationalError(self._libpq.get_error_message() or "the connection is lost")
        code = (result.error_field(67) or b"").decode()  # PG_DIAG_SQLSTATE
        message = (result.error_field(77) or result.error_message or b"").decode("utf-8", "replace")  # its first line
        try:
            return errors.lookup(code)(message)
        except KeyError:
            return OperationalError(message)


def _send(libpq: PGconn, asked: Asked) -> None:
    values: list[Buffer | None] = []
    formats: list[int] = []
    for value in asked.values:
        kind = type(value)
        formats.append(AS_BYTES if kind is str or kind is bytes else 0)
        if kind is str:
            values.append(value.encode())
        elif kind is int:
            values.append(b"%d" % value)
        elif kind is bool:
            values.append(b"t" if value else b"f")
        else:
            values.append(value)
    libpq.send_query_prepared(asked.name, values, formats)


def _rows(result: PGresult) -> list[Any]:
    columns = [(column, READERS.get(result.ftype(column), bytes.decode)) for column in range(result.nfields)]
    get = result.get_value
    return [
        tuple([None if (value := get(row, column)) is None else read(value) for column, read in columns])
        for row in range(result.ntuples)
    ]
