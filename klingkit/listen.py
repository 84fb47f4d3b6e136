"""A receiver of callbacks: `klingkit listen`."""

from __future__ import annotations

import itertools
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import click

from klingkit.client import CallbackSignatureError, KlingError, parse_callback
from klingkit.client.callbacks import decode_secret

MAX_BODY = 1024 * 1024


class Listener(ThreadingHTTPServer):
    """Prints each callback that comes, and answers 204; the first `fail` of them with 500.

    Raises OSError if the port is taken, ValueError if the secret is no Base64.
    """

    def __init__(self, port: int, secret: str | None, fail: int) -> None:
        if secret is not None:
            decode_secret(secret)
        self.secret = secret
        self.fail = fail
        self.numbers = itertools.count(1)
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    timeout = 30

    def do_POST(self) -> None:
        """Take a callback."""
        number = next(self.server.numbers)
        length = self.headers.get("Content-Length", "")
        body = self.rfile.read(min(int(length), MAX_BODY)) if length.isdecimal() else b""
        status, line = self._judge(body)
        if number <= self.server.fail:
            status, line = 500, f"{line}; answered 500, as --fail wants"
        click.echo(f"{time.strftime('%H:%M:%S')} {line}")
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _judge(self, body: bytes) -> tuple[int, str]:
        try:
            task = parse_callback(body, dict(self.headers.items()), self.server.secret)
        except CallbackSignatureError as error:
            return 401, f"refused: {error}"
        except KlingError as error:
            return 400, f"refused: {error}"
        signed = "; the signature holds" if self.server.secret else ""
        pictures = f", pictures: {len(task.image_urls)}" if task.image_urls else ""
        reason = f", {task.message}" if task.message else ""
        return 204, ascii(f"task {task.task_id}: {task.status}{pictures}{reason}")[1:-1] + signed

    def log_message(self, *_: object) -> None:
        """Say nothing: each callback has its line."""
