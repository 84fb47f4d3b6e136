"""Receives callbacks, and fails now and then, so that they are tried again."""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAILURES = 0.1
"""Of the first tries of a callback."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A callback that came."""

    at: float
    """On the monotonic clock."""
    delivery_id: str
    task_id: str
    status: str
    answered: int


class Receiver:
    """A server in threads of this process."""

    def __init__(self, seed: str) -> None:
        self.receipts: list[Receipt] = []
        self._random = random.Random(seed)
        self._failed: set[str] = set()
        self._lock = threading.Lock()
        receive = self._receive

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                at = time.monotonic()
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(receive(at, self.headers["webhook-id"], body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/callback"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._server.server_close()

    def _receive(self, at: float, delivery_id: str, body: dict[str, str]) -> int:
        with self._lock:
            fails = delivery_id not in self._failed and self._random.random() < FAILURES
            self._failed.add(delivery_id)  # one that failed, or was not to fail, will not
            status = 500 if fails else 200
            self.receipts.append(Receipt(at, delivery_id, body["task_id"], body["task_status"], status))
            return status


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, *_: object) -> None:
        """Say nothing of a sender that was killed while it sent."""
