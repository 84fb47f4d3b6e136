"""Faults on the wire, as a WSGI middleware under granian.

granian hands no socket to a WSGI application, and closes the connection of an answer that ends before its announced length. A
socket that does not linger then ends with a reset, and what a corked one has not sent yet is thrown away: so for a reset, all
connections of the server are put into that state for a moment, and the one whose answer fails is reset before its first byte.
Tried beside it: a front that passes all bytes on, and granian's RSGI, which tells a client's port; both cost every request
about a half more.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..request_state import FAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..scenarios import Fault
    from ..simulator import Simulator

    Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

FLUSH_S = 0.05
"""Time for the first bytes to leave, and for granian to close what failed."""
MOST_FLUSHES = 40
"""How often that time is given to a machine that has too much to do."""
NO_LINGER, LINGER = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)


class Faults:
    """Passes requests on, and carries out the fault that the application asks for."""

    def __init__(self, wsgi: Wsgi, simulator: Simulator) -> None:
        self._wsgi = wsgi
        self._simulator = simulator
        self._resets = Resets()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        chunks = self._wsgi(environ, start_response)
        try:
            body = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        fault: Fault | None = environ.get(FAULT)
        port = int(environ["SERVER_PORT"])
        if fault and fault.kind == "reset":
            self._resets.arm(port)  # before granian gets the answer, and with it the head
            return iter(())
        if fault and fault.kind == "delay":
            time.sleep((self._simulator.ids.spread(fault.ms) if fault.spread else fault.ms) / 1000)
        elif fault:
            return self._piecemeal(fault, body, port)
        return [body]  # a list is sent at once, which is faster than an iterator

    def _piecemeal(self, fault: Fault, body: bytes, port: int) -> Iterator[bytes]:
        if fault.kind == "drip":
            for index in range(len(body)):
                yield body[index : index + 1]
                time.sleep(fault.ms / 1000 / len(body))
            return
        yield body[: len(body) // 2]  # less than was announced, so that granian closes the connection
        time.sleep(FLUSH_S)
        if fault.kind == "reset-within":
            self._resets.arm(port)
        else:
            self._resets.leave_in_peace()


class Resets:
    """Lets every connection of the server be reset when it is closed, for a moment: many at once share it.

    An answer that is cut waits until such a moment is over, and the next one waits for it. One that is whole needs no such care:
    after it granian ends the stream before it closes the connection.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._wanted = 0
        self._armed = 0
        self._running = False
        self._quiet_until = 0.0

    def arm(self, port: int) -> None:
        """Return when all connections of a port that there are now will be reset when they are closed."""
        with self._changed:
            self._wanted += 1
            mine = self._wanted
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, args=(port,), name="resets", daemon=True).start()
            self._changed.wait_for(lambda: self._armed >= mine)

    def leave_in_peace(self) -> None:
        """Return when no connection is reset, for as long as it takes to close one."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running)
            self._quiet_until = time.monotonic() + FLUSH_S

    def _run(self, port: int) -> None:
        while True:
            time.sleep(max(0.0, self._quiet_until - time.monotonic()))
            with self._changed:
                wanted = self._wanted
            others = _fail_hard(port, on=True) - (wanted - self._armed)
            with self._changed:
                self._armed = wanted
                self._changed.notify_all()
            for _ in range(MOST_FLUSHES):
                time.sleep(FLUSH_S)
                if _failing_hard(port) <= others:
                    break
            _fail_hard(port, on=False)
            with self._changed:
                if self._armed == self._wanted:
                    self._running = False
                    self._changed.notify_all()
                    return


def _connections(port: int) -> Iterator[socket.socket]:
    """Yield a second handle of each connection that this process has on a port of its own."""
    for name in os.listdir("/dev/fd"):
        try:
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            connection = socket.socket(fileno=os.dup(int(name)))
        except OSError:  # closed since
            continue
        with connection, suppress(OSError, IndexError):
            if connection.getsockname()[1] == port and connection.getpeername():
                yield connection


def _failing_hard(port: int) -> int:
    """Return how many connections of a port will be reset when they are closed."""
    size = len(NO_LINGER)
    return sum(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, size) == NO_LINGER
        for connection in _connections(port)
    )


def _fail_hard(port: int, *, on: bool) -> int:
    """Let every connection of a port be reset when it is closed, with what it has not sent yet; or as usual again.

    Return how many there are.
    """
    number = 0
    for connection in _connections(port):
        number += 1
        with suppress(OSError):  # closed since
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER if on else LINGER)
            if hasattr(socket, "TCP_CORK"):  # Linux; elsewhere the head of the answer arrives before the reset
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)
    return number
