"""The same for httpx, sync and async: its own transports, which pass on all that is not for a host of the contract.

What wraps such a transport (retries, caches) or stands in its place keeps doing what it does.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

import httpx

from .arrival import arrival

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator

    from .arrival import AnswerRequest, Arrival, End, Passing
    from .in_process import WsgiAnswer


@contextmanager
def httpx_intercepted(answer: AnswerRequest, hosts: Collection[str], passing: Passing) -> Iterator[None]:
    """Let `answer` answer every request to one of the hosts that httpx sends meanwhile."""
    send, send_async = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

    def ask(request: httpx.Request) -> httpx.Response:
        reply = answer(request.method, str(request.url), request.headers, request.content)
        return _response(request, reply)

    def handle(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if request.url.host in hosts:
            request.read()
            return ask(request)
        passing(request.method, str(request.url))
        return send(transport, request)

    async def handle_async(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        if request.url.host in hosts:
            await request.aread()
            return ask(request)
        passing(request.method, str(request.url))
        return await send_async(transport, request)

    with (
        patch.object(httpx.HTTPTransport, "handle_request", handle),
        patch.object(httpx.AsyncHTTPTransport, "handle_async_request", handle_async),
    ):
        yield


class _Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body, up to the failure that ends it."""

    def __init__(self, arrives: Arrival, announced: int) -> None:
        self._arrives = arrives
        self._announced = announced

    def __iter__(self) -> Iterator[bytes]:
        yield self._arrives.body
        self._fail()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._arrives.body
        self._fail()

    def _fail(self) -> None:
        if self._arrives.end == "cut":
            raise httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body "
                f"(received {len(self._arrives.body)} bytes, expected {self._announced})"
            )
        _fail(self._arrives.end)


def _response(request: httpx.Request, reply: WsgiAnswer) -> httpx.Response:
    arrives = arrival(reply, request.extensions.get("timeout", {}).get("read"))
    if not arrives.body:
        _fail(arrives.end)
    stream = _Stream(arrives, len(reply.body))
    return httpx.Response(reply.status, headers=reply.headers, stream=stream, extensions={"http_version": b"HTTP/1.1"})


def _fail(end: End) -> None:
    """Raise what httpx raises; it adds the request."""
    if end == "reset":
        raise httpx.ReadError("[Errno 104] Connection reset by peer")
    if end == "timeout":
        raise httpx.ReadTimeout("The read operation timed out")
