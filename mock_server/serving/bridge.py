"""The WSGI application inside an event loop: what computes runs one at a time, and what waits holds no thread.

A request is answered by the thread of the loop itself: at 16 connections, threads that fight for the interpreter cost a half
more than the answer. What computes long (large bodies, pictures) and what blocks (the control API, fetched inputs, state in PostgreSQL)
goes to a few threads of its own. Delays and drips are timers (`faults.py`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from ..control.guard import PREFIX
from ..counts import CONNECTIONS
from ..request_state import CRASH, FAULT
from .connection import BODY_S, HANDED_OVER, LARGE
from .faults import WireFaults
from .trimming import Trimming
from .wire_answer import WireAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from ..scenario import Fault
    from ..simulator import Simulator
    from .connection import Connection
    from .faults import Receive, Send

    Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

GRACE_S = 3.0
SLOWEST = 128 * 1024
"""Bytes a second, after that time, that a large body must come with while others may wait for its room."""
READ_S = 60.0
"""Time for a client to take an answer."""
DRAINED_LIMITS = 4
"""How many times the limit of a body is read and thrown away: a client that still sends would get a reset, not the answer."""
UPLOADED_LIMITS = 2
"""How many bodies of the largest size are held in memory at a time; the next one waits."""
STORING = 4
"""Threads for requests whose state lies in another process: else the loop would wait for each commit. More fight for the interpreter.

A query of a state on this machine needs none: it waits for no disk, and less than a thread costs."""


class Bridge:
    """An ASGI application that calls a WSGI one, and carries out the faults that it asks for."""

    def __init__(self, wsgi: Wsgi, simulator: Simulator, crashed: Callable[[Exception], None] = lambda _: None) -> None:
        self._wsgi = wsgi
        self._simulator = simulator
        self._crashed = crashed
        self._computing = ThreadPoolExecutor(2, "computing")
        self._blocking = ThreadPoolExecutor(32, "blocking")
        self._storing = ThreadPoolExecutor(STORING, "storing") if simulator.store.waits else None
        self._faults = WireFaults()
        self._drawing = ThreadPoolExecutor(2, "drawing")  # apart: one draws, one gives what is drawn, or waits for it
        self._uploads = Uploads(UPLOADED_LIMITS * simulator.settings.max_body)
        self._trimming = Trimming(self._computing)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request; if the server stops before, the connection ends, and no answer is made up."""
        connection, environ, answer = scope[HANDED_OVER]
        try:
            answer = answer or await self._answer_of(environ, receive, connection)
            await self._send(answer, receive, send, connection)
        except asyncio.CancelledError:
            connection.abort()

    async def _answer_of(self, environ: dict[str, Any], receive: Receive, connection: Connection) -> WireAnswer:
        if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            return await self._upload(environ, receive, connection)
        return await self._answer(environ, b"")

    async def _send(self, answer: WireAnswer, receive: Receive, send: Send, connection: Connection) -> None:
        if answer.fault and not await self._faults.carry_out(answer.fault, answer, connection, receive, send):
            return
        await send(answer.start)
        if len(answer.body) <= LARGE:
            await send({"type": "http.response.body", "body": answer.body})
            return
        due = connection.loop.call_later(READ_S, connection.abort)
        try:
            for start in range(0, len(answer.body), LARGE):
                piece = answer.body[start : start + LARGE]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            due.cancel()

    def count_connections(self, change: int) -> None:
        """Note that one has come (1) or gone (-1)."""
        self._simulator.counts.add((CONNECTIONS,), change)

    def end_waits(self) -> None:
        """Answer those who wait for something to happen."""
        self._simulator.close()

    def close(self) -> None:
        """Begin nothing more."""
        self._trimming.close()
        self._computing.shutdown(wait=False, cancel_futures=True)
        self._blocking.shutdown(wait=False, cancel_futures=True)
        self._drawing.shutdown(wait=False, cancel_futures=True)
        if self._storing:
            self._storing.shutdown(wait=False, cancel_futures=True)

    async def _upload(self, environ: dict[str, Any], receive: Receive, connection: Connection) -> WireAnswer:
        """Answer a request with a body, which must come in time and holds its room in memory until then."""
        due = connection.loop.call_later(BODY_S, connection.abort)
        try:
            async with AsyncExitStack() as held:
                body = await self._read(environ, receive, connection, held)
                due.cancel()
                return await self._answer(environ, body)
        finally:
            due.cancel()

    async def _read(
        self, environ: dict[str, Any], receive: Receive, connection: Connection, held: AsyncExitStack
    ) -> bytes:
        """Return the body; of one that is too large only so much that the application sees it."""
        limit = self._simulator.settings.max_body
        length = environ.get("CONTENT_LENGTH", "")
        announced = int(length) if length.isdecimal() else limit
        kept: list[bytes] = []
        size = 0
        pace: Pace | None = None
        more = True
        while more and size <= DRAINED_LIMITS * limit:
            message = await receive()
            if message["type"] == "http.disconnect":
                environ["CONTENT_LENGTH"] = str(size + 1)  # what came is not all, though it may be whole JSON
                break
            more = message["more_body"]
            if size <= limit:
                kept.append(message["body"])
            if size <= LARGE < size + len(message["body"]):
                await held.enter_async_context(self._uploads.room(min(announced, limit)))
                pace = Pace(connection)
                held.callback(pace.stop)
            size += len(message["body"])
            if pace:
                pace.keep(size)
        return kept[0] if len(kept) == 1 else b"".join(kept)

    def at_once(self, environ: dict[str, Any], body: bytes) -> WireAnswer | None:
        """Answer a request whose body is whole; None if that may take long or wait."""
        return None if self._pool(environ, body) else self._call(environ, body)

    async def _answer(self, environ: dict[str, Any], body: bytes) -> WireAnswer:
        if pool := self._pool(environ, body):
            answer = await asyncio.get_running_loop().run_in_executor(pool, self._call, environ, body)
            if max(len(body), len(answer.body)) > LARGE:
                self._trimming.soon()
            return answer
        return self._call(environ, body)

    def _pool(self, environ: dict[str, Any], body: bytes) -> ThreadPoolExecutor | None:
        """Return the threads for what computes long or blocks."""
        path = environ["PATH_INFO"]
        if path.startswith(PREFIX):
            return self._drawing if path.startswith(f"{PREFIX}/pictures/") else self._blocking
        if body and self._simulator.settings.fetch_inputs:
            return self._blocking
        if len(body) > LARGE:
            return self._computing
        return None if not body and self._simulator.store.is_near else self._storing

    def _call(self, head: dict[str, Any], body: bytes) -> WireAnswer:
        environ = {**head, "wsgi.input": BytesIO(body)}
        try:
            return self._answer_to(environ)
        finally:
            environ.clear()  # what was put into it holds it in turn, and the body with it, until somebody collects garbage

    def _answer_to(self, environ: dict[str, Any]) -> WireAnswer:
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> None:
            started[:] = [int(status[:3]), headers]

        chunks = self._wsgi(environ, start_response)
        try:
            body = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        if crash := environ.get(CRASH):
            self._crashed(crash)
        fault: Fault | None = environ.get(FAULT)
        http, headers = started
        return WireAnswer(http, headers, body, fault)


class Pace:
    """Ends a connection that holds room for a body and does not fill it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._began = connection.loop.time()
        self._due = connection.loop.call_later(GRACE_S, connection.abort)

    def keep(self, size: int) -> None:
        """Note how many bytes have come."""
        self._due.cancel()
        due = self._began + GRACE_S + size / SLOWEST
        self._due = self._connection.loop.call_at(due, self._connection.abort)

    def stop(self) -> None:
        """End nothing any more."""
        self._due.cancel()


class Uploads:
    """The memory that large bodies may take at a time, in bytes; in the order in which they came."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def room(self, size: int) -> AsyncIterator[None]:
        """Hold room for a body, and wait for it before."""
        if self._waiting or size > self._left:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((size, turn))
            await turn  # whoever gives room back takes it for us, so that nobody comes in between
        else:
            self._left -= size
        try:
            yield
        finally:
            self._left += size
            while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= self._left):
                next_size, turn = self._waiting.popleft()
                if not turn.done():  # else its task was cancelled, as the server stops
                    self._left -= next_size
                    turn.set_result(None)
