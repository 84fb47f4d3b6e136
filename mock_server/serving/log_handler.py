"""Log lines on stderr: one a record, and never in the way of an answer."""

from __future__ import annotations

import logging
import select
import sys
import threading
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from ..foreign_text import BUG, OneLine, log
from .json_lines import json_line

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 4000
"""Bytes of a line: so many a pipe takes whole, or says that it does not (POSIX: 4096)."""
LONGEST_TRACE = 3000
"""Characters of a trace below a line; its end says more than its begin."""
TOGETHER_S = 0.05
"""For so long lines about what went well wait for others, to be written with them: to write each alone takes a tenth of a query."""
MOST_WAITING = 10_000


class LogHandler(logging.Handler):
    """Writes each record as a line with its time, or as a JSON object; drops lines, and says how many, while nobody reads them.

    A pipe that is full would stop whoever writes to it, and with it the server. A warning is written at once.
    """

    def __init__(self, form: str = "text") -> None:
        super().__init__()
        self._line = self._json if form == "json" else self._text
        self._foreign = OneLine()
        self._out = sys.stderr.buffer.raw if hasattr(sys.stderr.buffer, "raw") else sys.stderr.buffer
        self._poll = select.poll() if hasattr(select, "poll") else None  # Windows has none, and waits there
        if self._poll:
            self._poll.register(self._out.fileno(), select.POLLOUT)
        self._second = 0
        self._time = ""
        self._dropped = 0
        self._lines: list[bytes] = []
        """Those that wait."""
        self._some_wait = threading.Event()
        self._writer: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record soon, or at once if it is a warning."""
        if record.name != log.name:
            self._foreign.filter(record)
        if len(self._lines) == MOST_WAITING:
            self._dropped += 1
            return
        self._lines.append(self._line(record).encode("utf-8", "backslashreplace")[:LONGEST])
        if record.levelno > logging.INFO:
            self.flush()
        elif not self._some_wait.is_set():
            self._write_soon()

    def _write_soon(self) -> None:
        self._some_wait.set()
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_again_and_again, name="log", daemon=True)
            self._writer.start()

    def _write_again_and_again(self) -> None:
        while self._some_wait.wait():
            time.sleep(TOGETHER_S)
            self._some_wait.clear()
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait."""
        with self.lock or nullcontext():
            lines, self._lines = self._lines, []
            if self._dropped and self._write(self._told_of_dropped()):
                self._dropped = 0
            for some in _pieces(lines):
                if not self._write(b"".join(some)):
                    self._dropped += len(some)

    def _write(self, data: bytes) -> bool:
        """Write what a pipe takes whole; False if nobody reads it."""
        if self._poll and not any(event & select.POLLOUT for _, event in self._poll.poll(0)):
            return False
        try:
            self._out.write(data)
        except OSError:
            return False
        return True

    def _told_of_dropped(self) -> bytes:
        told = f"({self._dropped} lines were dropped, since nobody read them)"
        return (f"{told}\n" if self._line == self._text else json_line(time.time(), "warning", told, {})).encode()

    def _json(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        return json_line(record.created, record.levelname, record.getMessage(), fields, record.exc_text or "")

    def _text(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:  # formatted once a second: it costs more than all the rest
            self._second, self._time = second, time.strftime("%H:%M:%S", time.localtime(second))
        trace = f"\n{record.exc_text[-LONGEST_TRACE:]}" if record.exc_text else ""
        return f"{self._time} {record.getMessage()}"[: LONGEST - 200 - len(trace)] + trace + "\n"


def _pieces(lines: list[bytes]) -> Iterator[list[bytes]]:
    """Yield the lines in lists that a pipe takes whole."""
    some: list[bytes] = []
    size = 0
    for line in lines:
        if size + len(line) > LONGEST:
            yield some
            some, size = [], 0
        some.append(line)
        size += len(line)
    if some:
        yield some


def log_to_stderr(form: str) -> None:
    """Let this process write its log as `text` or `json`: requests and callbacks, and what goes wrong in libraries and threads."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # each costs, and no line shows it
    logging.getLogger().addHandler(LogHandler(form))
    log.setLevel(logging.INFO)
    threading.excepthook = _crashed


def _crashed(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value:
        log.error(BUG, exc_info=crash.exc_value)
