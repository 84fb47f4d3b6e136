"""Log lines on stderr: one a record, and never in the way of an answer."""

from __future__ import annotations

import logging
import select
import sys
import threading
import time

from ..foreign_text import BUG, OneLine, log
from .json_lines import json_line

LONGEST = 4000
"""Bytes of a line: so many a pipe takes whole, or says that it does not (POSIX: 4096)."""


class LogHandler(logging.Handler):
    """Writes each record as a line with its time, or as a JSON object; drops lines, and says how many, while nobody reads them.

    A pipe that is full would stop whoever writes to it, and with it the server.
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

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or count it as dropped."""
        try:
            self._write(record)
        except OSError:
            self._dropped += 1

    def _write(self, record: logging.LogRecord) -> None:
        if self._poll and not any(event & select.POLLOUT for _, event in self._poll.poll(0)):
            self._dropped += 1
            return
        if record.name != log.name:
            self._foreign.filter(record)
        line = self._line(record)
        if self._dropped:
            line = self._told_of_dropped(record) + line
            self._dropped = 0
        self._out.write(line.encode("utf-8", "backslashreplace")[:LONGEST])

    def _told_of_dropped(self, record: logging.LogRecord) -> str:
        told = f"({self._dropped} lines were dropped, since nobody read them)"
        return f"{told}\n" if self._line == self._text else json_line(record.created, "warning", told, {})

    def _json(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        return json_line(record.created, record.levelname, record.getMessage(), fields, record.exc_text or "")

    def _text(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:  # formatted once a second: it costs more than all the rest
            self._second, self._time = second, time.strftime("%H:%M:%S", time.localtime(second))
        trace = f"\n{record.exc_text}" if record.exc_text else ""
        return f"{self._time} {record.getMessage()}"[: LONGEST - 200 - len(trace)] + trace + "\n"


def log_to_stderr(form: str) -> None:
    """Let this process write its log as `text` or `json`: requests and callbacks, and what goes wrong in libraries and threads."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # each costs, and no line shows it
    logging.getLogger().addHandler(LogHandler(form))
    log.setLevel(logging.INFO)
    threading.excepthook = _crashed


def _crashed(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value:
        log.error(BUG, exc_info=crash.exc_value)
