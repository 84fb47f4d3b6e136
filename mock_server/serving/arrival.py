"""What of an answer arrives at a caller in this process, when its scenario breaks the connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .in_process import WsgiAnswer

AnswerRequest = Callable[[str, str, Mapping[str, str], bytes], "WsgiAnswer"]
"""From method, absolute URL, headers and body of a request."""
Passing = Callable[[str, str], None]
"""Told method and URL of each request that goes elsewhere."""
End = Literal["", "reset", "cut", "timeout"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What of an answer arrives at a caller with a read timeout."""

    body: bytes
    """Empty if not even the head arrives."""
    end: End = ""
    """What happens after that; nothing if all of it arrives."""


def arrival(reply: WsgiAnswer, timeout: float | None) -> Arrival:
    """Return what arrives of a reply at a caller that waits `timeout` s for the next byte; nobody waits in truth."""
    fault, body = reply.fault, reply.body
    limit_ms = float("inf") if timeout is None else timeout * 1000
    if fault and fault.kind in {"cut", "reset-within"}:
        return Arrival(body[: len(body) // 2], "cut" if fault.kind == "cut" else "reset")
    if fault and fault.kind == "reset":
        return Arrival(b"", "reset")
    if fault and fault.kind == "delay" and fault.ms >= limit_ms:
        return Arrival(b"", "timeout")
    if fault and fault.kind == "drip" and fault.ms / max(len(body), 1) >= limit_ms:
        return Arrival(body[:1], "timeout")
    return Arrival(body)
