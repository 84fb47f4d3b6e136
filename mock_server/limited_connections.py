"""Connections of urllib3 with a total deadline and a bound on what is read; its own timeouts begin anew with each byte."""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

MAX_HEAD = 64 * 1024
"""Bytes of status line and headers that are read of an answer."""


class Limits:
    """What one outgoing request, with its redirects, may take in all: time, and for each answer bytes."""

    def __init__(self, timeout_ms: int, max_bytes: int) -> None:
        self._due = time.monotonic() + timeout_ms / 1000
        self._max_bytes = max_bytes + MAX_HEAD

    def left(self) -> float:
        """Return how many s are left. Raises TimeoutError if none are."""
        seconds = self._due - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the time for the whole request is over")
        return seconds

    def hasten(self, seconds: float) -> None:
        """Leave no more than so many s."""
        self._due = min(self._due, time.monotonic() + seconds)

    def read(self, connection: Any, received: int) -> int:
        """Count bytes that came through a connection and return them. Raises OSError if they are too many."""
        connection.received = getattr(connection, "received", 0) + received
        if connection.received > self._max_bytes:
            raise OSError("the answer is too long")
        return received


def pool(scheme: str, host: str, address: str, port: int, limits: Limits) -> HTTPConnectionPool:
    """Return a pool for one request to an address, as `host`."""
    if scheme == "http":
        plain: HTTPConnectionPool = HTTPConnectionPool(address, port, timeout=limits.left())
        plain.ConnectionCls = type("Plain", (_Limited, HTTPConnection), {"limits": limits})
        return plain
    context = ssl.create_default_context()
    context.sslsocket_class = type("TlsSocket", (_TlsSocket,), {"limits": limits})  # made by the context, not by us
    secure = HTTPSConnectionPool(
        address, port, timeout=limits.left(), ssl_context=context, server_hostname=host, assert_hostname=host
    )
    secure.ConnectionCls = type("Secure", (_Limited, HTTPSConnection), {"limits": limits})
    return secure


class _Limited:
    """Makes the socket of a connection a limited one."""

    limits: Limits

    def _new_conn(self) -> socket.socket:
        connected: socket.socket = super()._new_conn()  # type: ignore[misc]
        limited = _PlainSocket(fileno=connected.detach())
        limited.limits = self.limits
        limited.settimeout(self.limits.left())  # for a handshake, whose time is a total one
        return limited


class _PlainSocket(socket.socket):
    limits: Limits

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(self.limits.left())
        return self.limits.read(self, super().recv_into(*arguments))

    def sendall(self, *arguments: Any) -> None:
        self.settimeout(self.limits.left())
        super().sendall(*arguments)


class _TlsSocket(ssl.SSLSocket):
    limits: Limits

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(self.limits.left())
        return self.limits.read(self, super().recv_into(*arguments))

    def send(self, *arguments: Any) -> int:
        self.settimeout(self.limits.left())
        return super().send(*arguments)
