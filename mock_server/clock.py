"""Where all time of the simulator comes from, in ms since 1970."""

from __future__ import annotations

import threading
import time

LATEST = 7_258_118_400_000
"""2200-01-01 00:00 UTC, as far as a clock goes."""
START = 1_767_225_600_000
"""2026-01-01 00:00 UTC, where the clocks of tests begin."""


class Clock:
    """The machine's time, or a time that stands still until it is moved. It never goes back.

    With `start` (ms) it stands there from the beginning, else it runs; `reset` puts it back to how it began.
    """

    def __init__(self, start: int | None = None) -> None:
        self._start = start
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin anew: the only way back."""
        self._standing = self._start
        self._offset = 0
        self._latest = 0

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        return self._standing is not None

    def now(self) -> int:
        """Unix time in ms."""
        with self._lock:
            if self._standing is not None:
                return self._standing
            self._latest = max(self._latest, time.time_ns() // 1_000_000 + self._offset)
            return self._latest

    @property
    def ahead(self) -> int:
        """By how many ms it is ahead of the machine's time; negative if it is behind, exactly 0 if nobody has touched it."""
        with self._lock:
            return self._offset if self._standing is None else self._standing - time.time_ns() // 1_000_000

    def freeze(self) -> None:
        """Stand still from now on."""
        now = self.now()
        with self._lock:
            self._standing = now

    def check(self, moment: int) -> None:
        """Raise ValueError if the clock cannot go to a moment (ms)."""
        now = self.now()
        if moment < now:
            raise ValueError(f"the clock does not go back: it is {now} ms, later than {moment} ms")
        if moment > LATEST:
            raise ValueError(f"the clock goes as far as 2200, {LATEST} ms, and not to {moment} ms")

    def move_to(self, moment: int) -> None:
        """Stand still at a moment (ms). Raises ValueError if that lies in the past, or after LATEST."""
        self.check(moment)
        with self._lock:
            self._standing = moment

    def resume(self) -> None:
        """Go on from where it is, as fast as the machine's time."""
        now = self.now()
        with self._lock:
            self._offset = now - time.time_ns() // 1_000_000
            self._latest = now
            self._standing = None


def duration_text(ms: int) -> str:
    """Return a duration as `parse_duration` reads it, with the largest unit that leaves no rest."""
    unit = next((unit for unit in reversed(UNITS) if ms and ms % UNITS[unit] == 0), "ms")
    return f"{ms // UNITS[unit]}{unit}"


UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_duration(text: str) -> int:
    """Return the ms that a text such as `500ms`, `1.5s`, `2m`, `1h` or `30d` means.

    Raises ValueError for anything else, and for what is longer than 100 years.
    """
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyz")
    factor = UNITS.get(text.strip()[len(number) :])
    if factor and number.replace(".", "", 1).isdecimal() and number.isascii():
        ms = round(float(number) * factor)
        if ms <= 36_525 * UNITS["d"]:
            return ms
        raise ValueError(f"{text[:40]!r} is longer than 100 years")
    raise ValueError(f"{text[:40]!r} is not a duration: give a number with ms, s, m, h or d, such as 90s or 2m")
