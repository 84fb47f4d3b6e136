"""Faults on the wire: what a scenario does to an answer below the API. Each touches its own connection alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from ..scenario import Fault
    from .connection import Connection
    from .wire_answer import WireAnswer

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

FLUSH_S = 0.05
"""Time for the first bytes to be read before a reset, which would overtake them."""
DRIP_S = 0.005
"""Between two pieces of a drip, at least."""
MOST_PIECES = 1000
"""Pieces a second of all drips together: so many cost others a few per cent of the time."""


class WireFaults:
    """Carries out the faults of one server."""

    def __init__(self) -> None:
        self._dripping = 0
        """Answers that are dripped now."""

    async def carry_out(
        self, fault: Fault, answer: WireAnswer, connection: Connection, receive: Receive, send: Send
    ) -> bool:
        """Carry out a fault; tell whether the answer is still to be sent as usual.

        Whatever is waited for ends when the client has gone.
        """
        if fault.kind == "delay":
            return not await _gone_within(fault.ms / 1000, receive)
        if fault.kind == "drip":
            await send(answer.start)
            await self._drip(fault.ms / 1000, answer.body, receive, send)
            return False
        if fault.kind == "reset":
            connection.reset()
        else:
            await _break_off(fault, answer, connection, send)
        # uvicorn takes an answer without an end for a bug, for as long as it has not noticed that the connection is closed
        await _gone_within(FLUSH_S, receive)
        return False

    async def _drip(self, seconds: float, body: bytes, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_disconnected(receive))
        self._dripping += 1
        try:
            sent = 0
            while not gone.done() and sent < len(body):
                pause = max(DRIP_S, self._dripping / MOST_PIECES)
                size = max(1, int(len(body) * pause / seconds)) if seconds else len(body)
                piece = body[sent : sent + size]
                sent += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": sent < len(body)})
                if sent < len(body):
                    await asyncio.wait({gone}, timeout=seconds * len(piece) / len(body))
        finally:
            self._dripping -= 1
            gone.cancel()


async def _break_off(fault: Fault, answer: WireAnswer, connection: Connection, send: Send) -> None:
    await send(answer.start)
    half = answer.body[: len(answer.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    if fault.kind == "cut":
        connection.transport.close()
    else:
        await asyncio.sleep(FLUSH_S)
        connection.reset()


async def _gone_within(seconds: float, receive: Receive) -> bool:
    """Wait; tell whether the client has gone meanwhile, and then at once."""
    try:
        async with asyncio.timeout(seconds):
            await _disconnected(receive)
    except TimeoutError:
        return False
    return True


async def _disconnected(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
