"""One connection of the server: uvicorn's, with bounds for the head of a request, and a way to reset it."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

from httptools import HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers."""
HEAD_S = 30.0
"""Time for request line and headers to come."""
NO_LINGER = struct.pack("ii", 1, 0)
CONNECTION = "klingkit.connection"
"""Where the ASGI scope of a request holds its connection."""


class Connection(HttpToolsProtocol):
    """Ends itself when the head of a request is too long or too slow: neither has a bound in uvicorn."""

    _head_due: asyncio.TimerHandle | None = None
    _head: bytes | None = b""
    """What has come of a head, or of whatever comes where one should; None while the body is read."""
    _upgrades = False
    """Whether the head that was just read asks for another protocol."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Read on, unless too much has come without an end of the head."""
        if self._head is not None:
            self._head += data
        super().data_received(data)
        if self._upgrades:
            self._decline_upgrade(self._head or b"")
        elif self._head is not None and len(self._head) > MAX_HEAD:
            self._head_has_come()
            self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n")
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        scope: Any = self.scope
        scope[CONNECTION] = self
        if self._head_due is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Hand the request over."""
        if self.parser.should_upgrade():
            self._upgrades = True
            return
        self._head_has_come()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            self.app = _head_too_large
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the body is whole."""
        if not self._upgrades:
            self._head = b""
            super().on_message_complete()

    def _decline_upgrade(self, came: bytes) -> None:
        """Read the request again without its wish for another protocol, as RFC 9110 allows.

        Java's HttpClient asks for HTTP/2 in this way with each request; httptools then takes the body for the other protocol.
        """
        self._upgrades = False
        head, end, rest = came.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"upgrade:", b"connection:"))]
        if self.url not in lines[0]:  # it came in one piece with the end of another request: nobody does both
            self.transport.close()
            return
        self._head_has_come()
        self.parser = HttpRequestParser(self)
        super().data_received(b"\r\n".join(lines) + end + rest)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._head_has_come()
        super().connection_lost(exc)

    def abort(self) -> None:
        """End the connection at once."""
        self.transport.abort()

    def reset(self) -> None:
        """End the connection with a reset; what is not sent yet never will be."""
        connection: socket.socket | None = self.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    def _head_has_come(self) -> None:
        if self._head_due:
            self._head_due.cancel()
        self._head_due = None
        self._head = None

    def _expect_head(self) -> None:
        self._head_due = self.loop.call_later(HEAD_S, self.transport.close)


async def _head_too_large(_: Any, __: Any, send: Any) -> None:
    headers = [(b"connection", b"close"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
