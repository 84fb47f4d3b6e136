"""A receiver of callbacks: `klingkit listen`."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import click

from klingkit.client import CallbackSignatureError, KlingError, parse_callback
from klingkit.client.callbacks import decode_secret
from klingkit.contract.printable import printable
from klingkit.contract.targets.callback_receiver import CallbackReceiver

if TYPE_CHECKING:
    from email.message import Message


class Listener(CallbackReceiver):
    """Prints each callback that comes, and answers 204; the first `fail` of them with 500.

    Raises OSError if the port is taken, ValueError if the secret is no Base64.
    """

    def __init__(self, port: int, secret: str | None, fail: int) -> None:
        if secret is not None:
            decode_secret(secret)
        self._secret = secret
        self._fail = fail
        self._numbers = itertools.count(1)
        super().__init__(self._print, port)

    def _print(self, headers: Message, body: bytes, _: str) -> int:
        """Print a callback, and return the status of the answer."""
        number = next(self._numbers)
        status, line = self._judge(headers, body)
        if number <= self._fail:
            status, line = 500, f"{line}; answered 500, as --fail wants"
        line = line.encode("ascii", "backslashreplace").decode()  # whatever the terminal can show
        click.echo(f"{time.strftime('%H:%M:%S')} {printable(line)}")
        return status

    def _judge(self, headers: Message, body: bytes) -> tuple[int, str]:
        try:
            task = parse_callback(body, dict(headers.items()), self._secret)
        except CallbackSignatureError as error:
            return 401, f"refused: {error}"
        except KlingError as error:
            return 400, f"refused: {error}"
        signed = "; the signature holds" if self._secret else ""
        pictures = f", pictures: {len(task.image_urls)}" if task.image_urls else ""
        reason = f", {task.message}" if task.message else ""
        return 204, f"task {task.task_id}: {task.status}{pictures}{reason}{signed}"
