"""A time and a number of bytes for one whole exchange, whatever comes in it and however slowly."""

from __future__ import annotations

import io
import time
from contextvars import ContextVar
from functools import partial
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

HEAD = 1024 * 1024
"""Bytes that may come besides the body: headers, and how it is cut into chunks."""
PIECE = 16 * 1024
"""Bytes of a TLS record."""
current: ContextVar[Bounds | None] = ContextVar("bounds of the exchange that goes on", default=None)


class OverlongError(Exception):
    """More comes than may."""


class Bounds:
    """What is left of the seconds and bytes that an exchange may take.

    Time is the client's and the machine's, whichever ends sooner: a clock in a test may stand still, or run ahead.
    """

    def __init__(self, seconds: float, max_bytes: int, monotonic: Callable[[], float]) -> None:
        self._ends = [(clock, clock() + seconds) for clock in (monotonic, time.monotonic)]
        self.max_bytes = max_bytes
        self._came = 0

    def left(self) -> float:
        """Return the seconds that are left. Raises TimeoutError if there are none."""
        left = min(end - clock() for clock, end in self._ends)
        if left <= 0:
            raise TimeoutError
        return left

    def take(self, number: int) -> None:
        """Count bytes that came on the connection. Raises OverlongError for too many."""
        self._came += number
        if self._came > self.max_bytes + HEAD:
            raise OverlongError


class BoundedSession(requests.Session):
    """A session whose answers are read within the current bounds; it keeps no cookies, which nothing here needs."""

    def __init__(self) -> None:
        super().__init__()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter())

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Say that there is none: requests, when it looks for one, reads the body to its end, however long it is."""


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = POOLS
        return manager


class _Pool(HTTPConnectionPool):
    def _new_conn(self) -> Any:
        return _bounded(super()._new_conn())


class _TlsPool(HTTPSConnectionPool):
    def _new_conn(self) -> Any:
        return _bounded(super()._new_conn())


POOLS = {"http": _Pool, "https": _TlsPool}


def _bounded(connection: Any) -> Any:
    """Let a connection send and read within bounds; its class stays what it is, since other tools put theirs there."""
    connection.response_class = _BoundedResponse
    connection.send = partial(_send, connection, connection.send)
    return connection


def _send(connection: Any, send: Callable[[Any], None], data: Any) -> None:
    """Send in pieces: over TLS the timeout of a socket begins anew with each record that a slow reader takes."""
    bounds = current.get()
    if bounds is None or not isinstance(data, bytes):
        send(data)
        return
    for start in range(0, len(data), PIECE):
        if connection.sock is not None:
            connection.sock.settimeout(bounds.left())
        send(data[start : start + PIECE])


class _BoundedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        if (bounds := current.get()) and isinstance(self.fp, io.BufferedReader):  # else it comes from no socket
            self.fp = io.BufferedReader(_Reader(sock, self.fp.detach(), bounds))

    def begin(self) -> None:
        """Read the head, and drop what others would stumble over, or log as it came: cookies, and lines that are no headers."""
        super().begin()
        for name in ("Set-Cookie", "Set-Cookie2"):
            del self.headers[name]
        self.headers.defects.clear()
        self.headers.set_payload("")


class _Reader(io.RawIOBase):
    """What comes on a connection, within bounds; the timeout of a socket alone begins anew with each byte."""

    def __init__(self, connection: socket.socket, raw: io.RawIOBase, bounds: Bounds) -> None:
        self._connection = connection
        self._raw = raw
        self._bounds = bounds

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._connection.fileno()

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()

    def readinto(self, buffer: Any) -> int | None:
        """Read what there is. Raises TimeoutError and OverlongError."""
        self._connection.settimeout(self._bounds.left())
        number: int | None = self._raw.readinto(buffer)
        self._bounds.left()
        self._bounds.take(number or 0)
        return number
