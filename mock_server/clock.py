"""Where all time of the simulator comes from, in ms since 1970."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """A source of time that never goes back."""

    def now(self) -> int:
        """Unix time in ms."""
        ...


class SystemClock:
    """The machine's clock, held where it is when somebody sets it back."""

    def __init__(self) -> None:
        self._latest = 0
        self._lock = threading.Lock()

    def now(self) -> int:
        """Unix time in ms."""
        with self._lock:
            self._latest = max(self._latest, time.time_ns() // 1_000_000)
            return self._latest


class VirtualClock:
    """A clock that moves only when it is told to."""

    def __init__(self, start: int = 1_767_225_600_000) -> None:
        self._now = start

    def now(self) -> int:
        """Unix time in ms; starts at 2026-01-01 00:00 UTC."""
        return self._now

    def advance(self, ms: int) -> None:
        """Move forward by `ms`. Raises ValueError if that is negative."""
        if ms < 0:
            raise ValueError(f"a clock does not go back: advance by 0 ms or more, not {ms}")
        self._now += ms
