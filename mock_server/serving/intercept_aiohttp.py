"""The same for aiohttp: a connection of ours for the hosts of the contract, which aiohttp writes to and reads from as from a socket.

So all that stands above a connection is aiohttp's own: sessions, redirects, middlewares, retries, and what is raised when it breaks. No
proxy, resolver or pool of its own is asked, nor is a connection of ours ever kept for later.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from http.client import responses as REASONS  # noqa: N812 - it is a constant
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import aiohttp
import httptools
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from .arrival import arrival

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from aiohttp.client_reqrep import ClientRequest

    from .arrival import AnswerRequest, Arrival, Passing
    from .in_process import WsgiAnswer

BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@contextmanager
def aiohttp_intercepted(answer: AnswerRequest, hosts: Collection[str], passing: Passing) -> Iterator[None]:
    """Let `answer` answer every request to one of the hosts that aiohttp sends meanwhile."""
    connect = aiohttp.TCPConnector.connect

    async def connect_led(
        connector: aiohttp.TCPConnector, req: ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        if req.url.raw_host not in hosts:
            passing(req.method, str(req.url))
            return await connect(connector, req, traces, timeout)
        loop = asyncio.get_running_loop()
        protocol = ResponseHandler(loop)
        protocol.force_close()
        protocol.connection_made(_Wire(loop, protocol, req, timeout, answer))
        return Connection(connector, req.connection_key, protocol, loop)

    with ExitStack() as stack:
        stack.enter_context(patch.object(aiohttp.TCPConnector, "connect", connect_led))
        if find_spec("aioresponses"):
            stack.enter_context(_passed_by_aioresponses(hosts))
        yield


@contextmanager
def _passed_by_aioresponses(hosts: Collection[str]) -> Iterator[None]:
    """Let mocks made with aioresponses, which stand above the connection, pass on what is for the hosts, whichever began first."""
    kind = import_module("aioresponses").aioresponses
    ours = [
        f"{scheme}://{host}{end}" for scheme in ("http", "https") for host in hosts for end in ("/", ":", "./", ".:")
    ]

    def passed(mocks: Any) -> list[str]:
        return [*vars(mocks)["_passthrough"], *ours]

    def keep(mocks: Any, own: list[str]) -> None:
        vars(mocks)["_passthrough"] = own

    with patch.object(kind, "_passthrough", property(passed, keep), create=True):
        yield


class _Wire(asyncio.Transport):
    """What one connection is made of: reads the request that is written to it, and then hands over what arrives of the answer."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: ResponseHandler,
        req: ClientRequest,
        timeout: aiohttp.ClientTimeout,
        answer: AnswerRequest,
    ) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._method, self._url = req.method, str(req.url.with_fragment(None))
        self._timeout = timeout
        self._ask = answer
        self._parser = httptools.HttpRequestParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._is_closing = False

    # What aiohttp does to it

    def write(self, data: Any) -> None:
        """Read a piece of the request."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # it is answered all the same
        except httptools.HttpParserError:
            self._later(self._protocol.data_received, BAD_REQUEST)

    def is_closing(self) -> bool:
        """Tell whether aiohttp needs no more of it."""
        return self._is_closing

    def close(self) -> None:
        """Arrive no more."""
        self._is_closing = True

    abort = close

    def pause_reading(self) -> None:
        """Keep nothing back: all that arrives has arrived."""

    resume_reading = pause_reading

    # What the parser finds

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers[name.decode("latin-1")] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Ask for the body of who waits to be asked."""
        if any(name.lower() == "expect" for name in self._headers):
            self._later(self._protocol.data_received, CONTINUE)

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(data)

    def on_message_complete(self) -> None:
        """Answer."""
        self._later(self._answer)

    def _later(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call as a loop does when a socket can be read, unless aiohttp has gone."""
        self._loop.call_soon(lambda: None if self._is_closing else function(*arguments))

    def _answer(self) -> None:
        try:
            reply = self._ask(self._method, self._url, self._headers, b"".join(self._body))
        except Exception as error:  # noqa: BLE001 - the caller gets it, as from the other doors
            self._protocol.set_exception(error)
            return
        arrives = arrival(reply, self._timeout.sock_read or None, self._timeout.total or None)
        if arrives.body or not arrives.end:
            self._protocol.data_received(_head(reply) + arrives.body)
        self._end(arrives)

    def _end(self, arrives: Arrival) -> None:
        """Do what happens to a connection after all that arrives."""
        protocol = self._protocol
        payload = protocol._payload
        if arrives.end == "timeout":
            protocol._on_read_timeout()
        elif arrives.end == "overdue":
            (payload if arrives.body and payload else protocol).set_exception(TimeoutError())
        elif arrives.end == "reset":
            protocol.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
        elif arrives.end == "cut":
            protocol.eof_received()
            protocol.connection_lost(None)


def _head(reply: WsgiAnswer) -> bytes:
    """Return the head of an answer as it stands on the wire."""
    headers = list(reply.headers)
    if not any(name.lower() == "content-length" for name, _ in headers):
        headers.append(("Content-Length", str(len(reply.body))))
    lines = [
        f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, '')}",
        *(f"{name}: {value}" for name, value in headers),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1")
