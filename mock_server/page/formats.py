"""How values are written on the page: filters of its templates. Times are ms since 1970."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000))

STATUS_KINDS = {"succeed": "good", "failed": "bad", "processing": "busy"}


def status_kind(status: str) -> str:
    """Return the kind of badge and mark that a status of a task has."""
    return STATUS_KINDS.get(status, "plain")


def clock_time(moment: int) -> str:
    """Return a time as `HH:MM:SS.mmm` in UTC."""
    return f"{datetime.fromtimestamp(moment / 1000, UTC):%H:%M:%S}.{moment % 1000:03d}"


def day(moment: int) -> str:
    """Return the date of a time in UTC."""
    return f"{datetime.fromtimestamp(moment / 1000, UTC):%Y-%m-%d}"


def span(ms: int) -> str:
    """Return a length of time with its two largest units, such as `2 m 5 s`."""
    if abs(ms) < 10_000:
        return f"{ms / 1000:.1f} s"
    rest = abs(ms)
    parts: list[str] = []
    for unit, factor in UNITS:
        if rest >= factor or parts:
            parts.append(f"{rest // factor} {unit}")
            rest %= factor
    return ("-" if ms < 0 else "") + " ".join(parts[:2])


def clipped(text: Any, most: int = 200) -> str:
    """Return a text of at most so many characters, which says how many more there are."""
    whole = str(text)
    return whole if len(whole) <= most else f"{whole[:most]}… ({len(whole) - most} more characters)"
