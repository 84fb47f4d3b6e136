"""Faults on the wire: what a scenario does to an answer below the API. Each touches its own connection alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from ..scenarios import Fault
    from .connection import Connection

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

FLUSH_S = 0.05
"""Time for the first bytes to be read before a reset, which would overtake them."""
DRIP_S = 0.005
"""Between two pieces of a drip, at least."""


class WireAnswer(NamedTuple):
    """What the application answered."""

    http: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    fault: Fault | None

    @property
    def start(self) -> dict[str, Any]:
        """Status and headers, for ASGI."""
        return {"type": "http.response.start", "status": self.http, "headers": self.headers}


async def carry_out(fault: Fault, answer: WireAnswer, connection: Connection, receive: Receive, send: Send) -> bool:
    """Carry out a fault; tell whether the answer is still to be sent as usual.

    Whatever is waited for ends when the client has gone.
    """
    if fault.kind == "delay":
        return not await _gone_within(fault.ms / 1000, receive)
    if fault.kind == "drip":
        await send(answer.start)
        await _drip(fault.ms / 1000, answer.body, receive, send)
        return False
    if fault.kind == "reset":
        connection.reset()
    else:
        await _break_off(fault, answer, connection, send)
    # uvicorn takes an answer without an end for a bug, for as long as it has not noticed that the connection is closed
    await _gone_within(FLUSH_S, receive)
    return False


async def _break_off(fault: Fault, answer: WireAnswer, connection: Connection, send: Send) -> None:
    await send(answer.start)
    half = answer.body[: len(answer.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    if fault.kind == "cut":
        connection.transport.close()
    else:
        await asyncio.sleep(FLUSH_S)
        connection.reset()


async def _drip(seconds: float, body: bytes, receive: Receive, send: Send) -> None:
    pieces = max(1, min(len(body), int(seconds / DRIP_S)))
    for number in range(pieces):
        piece = body[len(body) * number // pieces : len(body) * (number + 1) // pieces]
        await send({"type": "http.response.body", "body": piece, "more_body": number + 1 < pieces})
        if number + 1 < pieces and await _gone_within(seconds / pieces, receive):
            return


async def _gone_within(seconds: float, receive: Receive) -> bool:
    """Wait; tell whether the client has gone meanwhile, and then at once."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True
