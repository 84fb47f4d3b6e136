"""The clock of the control API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..clock import parse_duration
from ..clocks import SERVER
from .asking import change_time
from .bodies import clock_body, whole_clock_body

if TYPE_CHECKING:
    from ..simulator import Simulator
    from ..time_travel import Event


def get_clock(simulator: Simulator, account: str | None) -> dict[str, Any]:
    """Tell the time, and what lies ahead."""
    return whole_clock_body(simulator, account)


def freeze_clock(simulator: Simulator, account: str | None) -> dict[str, Any]:
    """Let the clock stand still."""
    change_time(lambda: simulator.clocks.freeze(account or SERVER))
    return clock_body(simulator, account, [])


def resume_clock(simulator: Simulator, account: str | None) -> dict[str, Any]:
    """Let the clock go on."""
    change_time(lambda: simulator.traveller.resume(account or SERVER))
    simulator.callbacks.wake()
    return clock_body(simulator, account, [])


def advance_clock(
    simulator: Simulator, account: str | None, *, by: str | None = None, to: str | int | None = None
) -> dict[str, Any]:
    """Move the clock, and return what happened on the way."""
    events = change_time(lambda: _travel(simulator, account or SERVER, by, to))
    return clock_body(simulator, account, events)


def _travel(simulator: Simulator, owner: str, by: str | None, to: str | int | None) -> list[Event]:
    traveller = simulator.traveller
    if by is not None:
        return traveller.advance(parse_duration(by), owner)
    if to == "next":
        return traveller.advance_to_next(owner)
    if to == "idle":
        return traveller.run_until_idle(owner)
    return traveller.advance_to(to if isinstance(to, int) else _moment(str(to)), owner)


def _moment(text: str) -> int:
    try:
        return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text[:60]!r} is no moment: give next, idle, a time such as 2026-01-01T12:00:00Z, or Unix ms"
        ) from None
