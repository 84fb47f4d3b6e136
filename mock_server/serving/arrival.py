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
End = Literal["", "reset", "cut", "timeout", "overdue"]
"""`timeout`: nothing came for too long; `overdue`: all in all it took too long."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What of an answer arrives at a caller with a read timeout."""

    body: bytes
    """Empty if not even the head arrives."""
    end: End = ""
    """What happens after that; nothing if all of it arrives."""


def arrival(reply: WsgiAnswer, timeout: float | None, total: float | None = None) -> Arrival:
    """Return what arrives of a reply at a caller that waits `timeout` s for the next byte, and `total` s in all; nobody waits in truth."""
    fault, body = reply.fault, reply.body
    limit_ms, total_ms = _ms(timeout), _ms(total)
    if fault and fault.kind in {"cut", "reset-within"}:
        return Arrival(body[: len(body) // 2], "cut" if fault.kind == "cut" else "reset")
    if fault and fault.kind == "reset":
        return Arrival(b"", "reset")
    if fault and fault.kind == "delay" and fault.ms >= min(limit_ms, total_ms):
        return Arrival(b"", "timeout" if limit_ms <= total_ms else "overdue")
    pause_ms = fault.ms / max(len(body), 1) if fault and fault.kind == "drip" else 0
    if pause_ms and pause_ms >= limit_ms:
        return Arrival(body[:1], "timeout")
    if pause_ms and fault and fault.ms >= total_ms:
        return Arrival(body[: max(int(total_ms / pause_ms), 1)], "overdue")
    return Arrival(body)


def _ms(seconds: float | None) -> float:
    return float("inf") if seconds is None else seconds * 1000
