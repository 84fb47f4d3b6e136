"""Receives callbacks on this machine while a target is tested."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """A callback that came."""

    content_type: str
    content: bytes

    @property
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
            length = self.headers.get("Content-Length", "")
            content = self.rfile.read(min(int(length), MAX_BODY)) if length.isdecimal() else b""
            received.append(Received(self.headers.get("Content-Type", ""), content))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
