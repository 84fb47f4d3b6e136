"""The simulator on a port, in a thread of this process: for the tests of a subprocess or of another language."""

from __future__ import annotations

import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from time import sleep  # by name: a test may replace time.sleep, and a fault on a socket takes its time all the same
from typing import TYPE_CHECKING, Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from ..request_state import CRASH, FAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..scenarios import Fault
    from ..simulator import Simulator

    Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

POLL_S = 0.02
"""How long a stop takes at most; the default of the library is half a second."""
THREADS = 32
FLUSH_S = 0.05
"""Time for the first bytes to arrive before a reset."""
RESET = struct.pack("ii", 1, 0)


class ThreadServer:
    """Serves a simulator's application on a free port of 127.0.0.1 until it is stopped; tells of crashes."""

    def __init__(self, wsgi: Wsgi, simulator: Simulator, crashed: Callable[[Exception], None]) -> None:
        self._wsgi = wsgi
        self._simulator = simulator
        self._crashed = crashed
        self._server = _Pooled("127.0.0.1", 0, self._answer, _Quiet)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_S,), name="klingkit", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        chunks = self._wsgi(environ, start_response)
        body = b"".join(chunks)
        if hasattr(chunks, "close"):
            chunks.close()
        if crash := environ.get(CRASH):
            self._crashed(crash)
        fault: Fault | None = environ.get(FAULT)
        connection: socket.socket = environ["werkzeug.socket"]
        if fault is None:
            return [body]
        if fault.kind == "reset":
            _reset(connection)
        if fault.kind == "delay":
            sleep((self._simulator.ids.spread(fault.ms) if fault.spread else fault.ms) / 1000)
            return [body]
        return _drip(fault, body) if fault.kind == "drip" else _break_off(fault, body, connection)


class _Pooled(ThreadedWSGIServer):
    """Answers in threads that are kept: to start one takes longer than an answer."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._pool = ThreadPoolExecutor(THREADS, "klingkit")

    def process_request(self, request: Any, client_address: Any) -> None:
        self._pool.submit(self.process_request_thread, request, client_address)

    def server_close(self) -> None:
        super().server_close()
        self._pool.shutdown(wait=False)


class _Quiet(WSGIRequestHandler):
    """Logs nothing: the simulator does. One request a connection, so that one that breaks off ends with it."""

    protocol_version = "HTTP/1.0"

    def log(self, *_: Any) -> None:
        pass


def _drip(fault: Fault, body: bytes) -> Iterator[bytes]:
    for index in range(len(body)):
        yield body[index : index + 1]
        sleep(fault.ms / 1000 / len(body))


def _break_off(fault: Fault, body: bytes, connection: socket.socket) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    if fault.kind == "reset-within":
        sleep(FLUSH_S)
        _reset(connection)


def _reset(connection: socket.socket) -> None:
    """Let the connection be reset when it is closed, and end the request: raises ConnectionResetError, as the library expects."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()  # before the library would end the stream in peace
    raise ConnectionResetError
