"""Lead code in this process that calls the service with requests, httpx or aiohttp to a simulator: no socket.

Only the hosts of the contract go to the simulator. requests gets an adapter of ours for them, whose `exchange` is answered by
`responses`: so mocks of others, by `responses` too, keep what they have, in whatever order the two begin and end.
"""

from __future__ import annotations

import io
import re
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import urlsplit

import requests
import responses
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPSConnectionPool, Timeout
from urllib3.exceptions import MaxRetryError, ProtocolError, ReadTimeoutError

from .arrival import arrival

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from .arrival import AnswerRequest, Arrival, Passing

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
ANY_URL = re.compile("")
KNOWN = ("requests.", "responses", "klingkit.")
"""Modules whose functions may stand in the places that are patched here."""


class AlreadyPatchedError(RuntimeError):
    """Another tool has replaced what would be replaced here; the message names both."""


@contextmanager
def intercepted(answer: AnswerRequest, hosts: Collection[str], passing: Passing) -> Iterator[None]:
    """Let `answer` answer every request to one of the hosts that requests, httpx or aiohttp sends meanwhile.

    Raises AlreadyPatchedError.
    """
    with ExitStack() as stack:
        stack.enter_context(_requests_intercepted(answer, hosts, passing))
        if _is_installed("httpx"):
            from .intercept_httpx import httpx_intercepted  # noqa: PLC0415 - not everybody has httpx

            stack.enter_context(httpx_intercepted(answer, hosts, passing))
        if _is_installed("aiohttp"):
            from .intercept_aiohttp import aiohttp_intercepted  # noqa: PLC0415 - nor aiohttp

            stack.enter_context(aiohttp_intercepted(answer, hosts, passing))
        yield


@cache
def _is_installed(library: str) -> bool:
    """Tell whether there is a library; to look for one that there is not takes as long as a tenth of a test."""
    return find_spec(library) is not None


class SimulatorAdapter(HTTPAdapter):
    """What a session of requests gets for a host of the contract; it tries again as the session's own adapter would."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request to the simulator; raises what requests raises when the connection breaks."""
        retries = self.max_retries
        while True:
            try:
                return self.exchange(request, *args, **kwargs)
            except (ProtocolError, ReadTimeoutError) as error:
                try:
                    retries = retries.increment(request.method, request.url, error=error)
                except ReadTimeoutError as final:
                    raise requests.ReadTimeout(final, request=request) from None
                except (ProtocolError, MaxRetryError) as final:
                    raise requests.ConnectionError(final, request=request) from None

    def exchange(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Answer, while `responses` puts the simulator here; an adapter that somebody kept for longer answers nothing."""
        raise requests.ConnectionError("the simulator that this session was led to has ended", request=request)


def _led(adapter: BaseAdapter) -> BaseAdapter:
    """Return what an adapter of a session is to be meanwhile: one of a class of the caller's own keeps what it does."""
    if not isinstance(adapter, HTTPAdapter):
        return adapter  # it answers by itself
    kind: Any = type(adapter)
    is_plain = kind.send is HTTPAdapter.send
    led_class: Any = SimulatorAdapter if is_plain else _led_class(kind)
    led: BaseAdapter = object.__new__(led_class)
    led.__dict__ = adapter.__dict__  # one state, so that what it counts is counted
    return led


@cache
def _led_class(kind: Any) -> type[BaseAdapter]:
    """Return a class whose `super().send` leads to the simulator."""
    return type(kind.__name__, (kind, SimulatorAdapter), {"__module__": kind.__module__})


class _Arriving(io.RawIOBase):
    """A body that is read like one from a socket, up to the failure that ends it."""

    def __init__(self, arrives: Arrival) -> None:
        self._rest = io.BytesIO(arrives.body)
        self._end = arrives.end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = self._rest.readinto(buffer)
        if not read and self._end == "reset":
            raise ConnectionResetError(104, "Connection reset by peer")
        if not read and self._end == "timeout":
            raise TimeoutError("timed out")
        return read


@contextmanager
def _requests_intercepted(answer: AnswerRequest, hosts: Collection[str], passing: Passing) -> Iterator[None]:
    _check_unpatched()
    original = requests.Session.get_adapter

    def get_adapter(session: requests.Session, url: str) -> BaseAdapter:
        found = original(session, url)
        if urlsplit(url).hostname in hosts:
            return _led(found)
        passing("request", url)
        return found

    def call(request: Any) -> tuple[int, Any, Any]:
        reply = answer(request.method, request.url, request.headers, _body(request.body))
        arrives = arrival(reply, _read_timeout(request.req_kwargs.get("timeout")))
        if not arrives.end:
            return reply.status, reply.headers, reply.body
        if not arrives.body and arrives.end == "timeout":
            raise ReadTimeoutError(
                HTTPSConnectionPool(urlsplit(request.url).hostname or ""), request.url, "Read timed out."
            )
        if not arrives.body:
            raise ProtocolError("Connection aborted.", ConnectionResetError(104, "Connection reset by peer"))
        return reply.status, reply.headers, io.BufferedReader(_Arriving(arrives))

    mock = responses.RequestsMock(assert_all_requests_are_fired=False, target=f"{__name__}.SimulatorAdapter.exchange")
    for method in METHODS:
        mock.add_callback(method, ANY_URL, call, content_type=None)
    with patch.object(requests.Session, "get_adapter", get_adapter), mock:
        yield


def _check_unpatched() -> None:
    """Raise AlreadyPatchedError if a tool that cannot stand beside us has replaced a method of requests."""
    places = (requests.Session.send, requests.Session.request, requests.Session.get_adapter, HTTPAdapter.send)
    for place in places:
        if not place.__module__.startswith(KNOWN):
            raise AlreadyPatchedError(
                f"requests is already patched by {place.__module__}, and kling_mock cannot stand beside it: mock the other hosts "
                "of this test with responses, or take kling_server"
            )
    if requests.Session.get_adapter.__module__ == __name__:
        raise AlreadyPatchedError("a simulator answers in this process already: one at a time can")


def _body(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, (bytes, bytearray)) else b"".join(body)


def _read_timeout(timeout: Any) -> float | None:
    """Return the read timeout in s of what requests takes as one; None: it waits for ever."""
    if isinstance(timeout, tuple):
        timeout = timeout[1]
    if isinstance(timeout, Timeout):
        timeout = timeout.clone()
        timeout.start_connect()  # what is left of a total timeout
        timeout = timeout.read_timeout
    return timeout if isinstance(timeout, (int, float)) else None
