"""Receives callbacks on this machine while a target is tested."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BODY = 1024 * 1024


@dataclass(frozen=True)
class Received:
    """A callback that came."""

    content_type: str
    content: bytes

    @cached_property
    def body(self) -> dict[str, Any]:
        """The JSON object of the body; empty if it is none."""
        try:
            body = json.loads(self.content)
        except (ValueError, RecursionError):
            return {}
        return body if isinstance(body, dict) else {}


@contextmanager
def receiving(received: list[Received]) -> Iterator[str]:
    """Add what comes to a list, and give the URL to post to."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                content = b"".join(self._chunks())
            else:
                length = self.headers.get("Content-Length", "0")[:10]
                content = self.rfile.read(min(int(length), MAX_BODY)) if length.isdecimal() else b""
            received.append(Received(self.headers.get("Content-Type", ""), content))
            self.send_response(204)
            self.end_headers()

        def _chunks(self) -> Iterator[bytes]:
            left = MAX_BODY
            while size := min(max(int(self.rfile.readline(20).split(b";")[0] or b"0", 16), 0), left):
                left -= size
                yield self.rfile.read(size)
                self.rfile.readline(3)
            self.rfile.readline(3)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing: what does not arrive whole has not been received."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
