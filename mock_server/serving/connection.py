"""One connection of the server: uvicorn's, with bounds for the head of a request, a short way for most, and a way to reset it.

A request that needs no waiting is answered as soon as it is whole: a task, its queue and its messages would cost as much as the
answer. All others go uvicorn's way.
"""

from __future__ import annotations

import socket
import struct
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from httptools import HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ..foreign_text import BUG, log
from .environ import environ_of

if TYPE_CHECKING:
    import asyncio

    from .wire_answer import WireAnswer

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers."""
HEAD_S = 30.0
"""Time for request line and headers to come."""
NO_LINGER = struct.pack("ii", 1, 0)
BODY_S = 120.0
"""Time for a whole body to come."""
LARGE = 256 * 1024
"""Bytes of a body that is read in another thread, since that takes more than some milliseconds."""
HANDED_OVER = "klingkit"
"""Where the ASGI scope of a request holds what `HandedOver` says."""


class Connection(HttpToolsProtocol):
    """Ends itself when the head of a request is too long or too slow: neither has a bound in uvicorn."""

    _deadline = inf
    """Time of the loop in s at which the connection ends, if what is waited for has not come."""
    _look: asyncio.TimerHandle | None = None
    """Looks whether it has: one that is not later. To begin one for each request would cost a third of a query."""
    _head: bytes | None = b""
    """What has come of a head, or of whatever comes where one should; None while the body is read."""
    _begun = False
    """Whether a head has begun that is not whole."""
    _body: bytearray | None = None
    """What has come of the body of a request that may be answered at once; None for one that uvicorn has got."""
    _environ: dict[str, Any]
    """Of the request (PEP 3333)."""
    _upgrades = False
    """Whether the head that was just read asks for another protocol."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._bridge.count_connections(1)
        self._expect(HEAD_S)

    def data_received(self, data: bytes) -> None:
        """Read on, unless too much has come without an end of the head."""
        if self._head is not None:
            self._head += data
        super().data_received(data)
        if self._upgrades:
            self._decline_upgrade(self._head or b"")
        elif self._head is not None and len(self._head) > MAX_HEAD:
            self._deadline = inf
            self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n")
            self.transport.close()
        elif self._deadline == inf:
            if self._begun:
                self._expect(HEAD_S)
            elif self._body is not None:
                self._expect(BODY_S)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._begun = True
        self._deadline = inf

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header as it came; its name is read where it is used."""
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Hand the request over, unless it may be answered as soon as it is whole."""
        if self.parser.should_upgrade():
            self._upgrades = True
            return
        self._deadline = inf
        self._head = None
        self._begun = False
        if len(self.url) + sum([len(name) + len(value) for name, value in self.headers]) > MAX_HEAD:
            self.app = _head_too_large
            self._environ = {}
            self._hand_over()
            return
        self._environ = environ = environ_of(self)
        self.expect_100_continue = environ.get("HTTP_EXPECT", "").lower() == "100-continue"
        if self.expect_100_continue or (self.cycle is not None and not self.cycle.response_complete):
            self._hand_over()
        else:
            self._body = bytearray()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        if self._body is None:
            super().on_body(body)
            return
        self._body += body
        if len(self._body) > LARGE:
            self._hand_over()

    def on_message_complete(self) -> None:
        """Answer the request, now that its body is whole."""
        if self._upgrades:
            return
        self._head = b""
        if self.transport.is_closing():  # its client was told that nothing more is answered
            self._body = None
            return
        if self._body is not None and self._answer_at_once(bytes(self._body)):
            return
        super().on_message_complete()

    def _answer_at_once(self, body: bytes) -> bool:
        """Answer a request without a task of its own; else hand it over, and return False."""
        if self.flow.write_paused:
            self._hand_over()
            return False
        try:
            answer: WireAnswer | None = self._bridge.at_once(self._environ, body)
        except Exception:  # noqa: BLE001 - the parser would take it for a fault of the client
            log.exception(BUG)
            self.transport.abort()
            return True
        if answer is None or answer.fault or len(answer.body) > LARGE:
            self._hand_over(answer)
            return False
        self._body = None
        keep_alive = self.parser.should_keep_alive() and self._environ["SERVER_PROTOCOL"] != "HTTP/1.0"
        with_body = self._environ["REQUEST_METHOD"] != "HEAD"
        self.transport.write(self._wire(answer, keep_alive=keep_alive, with_body=with_body))
        self.server_state.total_requests += 1
        if keep_alive:
            self._expect(self.timeout_keep_alive)
        else:
            self.transport.close()
        return True

    def _wire(self, answer: WireAnswer, *, keep_alive: bool, with_body: bool) -> bytes:
        """Return the bytes of an answer, as uvicorn puts them together."""
        default = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        own = [f"{name.lower()}: {value}\r\n" for name, value in answer.headers]
        head = "".join([*own, "\r\n" if keep_alive else "connection: close\r\n\r\n"])
        if head.count("\n") != len(own) + (1 if keep_alive else 2):
            raise ValueError("a header of an answer has more than one line")
        parts = [STATUS_LINE[answer.http], *default, head.encode("latin-1")]
        return b"".join([*parts, answer.body] if with_body else parts)

    def _hand_over(self, answer: WireAnswer | None = None) -> None:
        """Let uvicorn make a task of a request, which may be answered already."""
        body, self._body = self._body, None
        self._deadline = inf
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        cast("dict[str, Any]", self.scope)[HANDED_OVER] = HandedOver(self, self._environ, answer)
        super().on_headers_complete()
        if body:
            super().on_body(bytes(body))

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
        self._deadline = inf
        self._head = None
        self.parser = HttpRequestParser(self)
        super().data_received(b"\r\n".join(lines) + end + rest)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        if self._body is not None:
            self._hand_over()  # the application notes that it broke off
        self._deadline = inf
        self._look_again()
        self._bridge.count_connections(-1)
        super().connection_lost(exc)
        self.cycle = self.scope = None  # type: ignore[assignment]  # they hold it in turn

    @property
    def _bridge(self) -> Any:
        return self.config.app

    def shutdown(self) -> None:
        """Answer what has begun, and then end."""
        if self._body is not None:
            self._hand_over()
        super().shutdown()

    def abort(self) -> None:
        """End the connection at once."""
        self.transport.abort()

    def reset(self) -> None:
        """End the connection with a reset; what is not sent yet never will be."""
        connection: socket.socket | None = self.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    def _expect(self, seconds: float) -> None:
        """Wait so long for what comes next."""
        self._deadline = self.loop.time() + seconds
        if self._look is None or self._look.when() > self._deadline:
            self._look_again()

    def _look_again(self) -> None:
        """End the connection if it is time; else look when it may be."""
        if self._look:
            self._look.cancel()
            self._look = None
        if self._deadline <= self.loop.time():
            self.transport.abort()
        elif self._deadline < inf:
            self._look = self.loop.call_at(self._deadline, self._look_again)


class HandedOver(NamedTuple):
    """What is known of a request that has got a task."""

    connection: Connection
    environ: dict[str, Any]
    answer: WireAnswer | None
    """One that is there already, and is to be sent with a fault or in pieces."""


async def _head_too_large(_: Any, __: Any, send: Any) -> None:
    headers = [(b"connection", b"close"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
