"""Receives callbacks on this machine: while a target is tested, for `klingkit listen`, and in tests."""

from __future__ import annotations

import io
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from ..strict_json import read_json

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from email.message import Message

MAX_BODY = 1024 * 1024
"""Bytes that are read of a body; the rest is dropped."""
MOST_CALLBACKS = 20_000
MOST_BYTES = 32 * 1024 * 1024
"""Of the callbacks of a run: what comes beyond one of these is answered 413 and dropped."""
MAX_CONTENT_TYPE = 200
"""Characters."""
DEADLINE_S = 10.0
"""Time for a whole request, however slowly it drips; who takes longer gets no answer."""


@dataclass(frozen=True)
class Received:
    """A callback that came."""

    content_type: str
    content: bytes
    url: str
    """Where it was posted to."""

    @cached_property
    def body(self) -> dict[str, Any]:
        """The JSON object of the body; empty if it is none."""
        try:
            body = read_json(self.content)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}


class CallbackReceiver(ThreadingHTTPServer):
    """Gives headers, body and path (with its query) of each callback that comes to `take`, in a thread of its own, and answers the status that it returns.

    What does not arrive whole in time has not been received. Raises OSError if the port is taken.
    """

    def __init__(
        self, take: Callable[[Message, bytes, str], int], port: int = 0, deadline_s: float = DEADLINE_S
    ) -> None:
        self.take = take
        self.deadline_s = deadline_s
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that broke off."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextmanager
def receiving(received: list[Received], deadline_s: float = DEADLINE_S) -> Iterator[str]:
    """Add what comes to a list, up to MOST_CALLBACKS and MOST_BYTES, and give the URL to post to."""
    room, origin = MOST_BYTES, ""

    def take(headers: Message, content: bytes, target: str) -> int:
        nonlocal room
        if len(content) > room or len(received) >= MOST_CALLBACKS:
            return 413
        room -= len(content)
        received.append(Received(headers.get("Content-Type", "")[:MAX_CONTENT_TYPE], content, origin + target))
        return 204

    with CallbackReceiver(take, deadline_s=deadline_s) as receiver:
        origin = receiver.url.rstrip("/")
        threading.Thread(target=receiver.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield receiver.url
        finally:
            receiver.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server: CallbackReceiver

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_UntilDeadline(self.connection, self.server.deadline_s))

    def do_POST(self) -> None:
        try:
            content = self._body()
        except ValueError:  # what are to be chunks are none
            status = 400
        else:
            status = self.server.take(self.headers, content, self.path)
        self.send_response(status)
        self.end_headers()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        length = self.headers.get("Content-Length", "0")[:10]
        return self.rfile.read(min(int(length), MAX_BODY)) if length.isdecimal() else b""

    def _chunks(self) -> Iterator[bytes]:
        left = MAX_BODY
        while size := min(max(int(self.rfile.readline(20).split(b";")[0] or b"0", 16), 0), left):
            left -= size
            yield self.rfile.read(size)
            self.rfile.readline(3)
        self.rfile.readline(3)

    def log_message(self, *_: object) -> None:
        pass


class _UntilDeadline(io.RawIOBase):
    """What comes on a connection until a deadline; the timeout of a socket alone begins anew with each byte."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._end = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what there is, into a buffer. Raises TimeoutError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)
