"""Where all time of the simulator comes from, in ms since 1970."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple

LATEST = 7_258_118_400_000
"""2200-01-01 00:00 UTC, as far as a clock goes."""
START = 1_767_225_600_000
"""2026-01-01 00:00 UTC, where the clocks of tests begin."""


KEPT_MOVES = 20
"""Of each clock; the oldest goes first."""


class Move(NamedTuple):
    """What somebody did to a clock. All in ms."""

    machine: int
    """The machine's time when it was done."""
    start: int
    """What the clock showed then."""
    end: int
    """What it showed when that was done; the same unless it was advanced."""
    by: Literal["freeze", "advance", "resume"]


@dataclass(frozen=True, slots=True)
class ClockState:
    """How a clock goes: it stands still, or it runs with the machine's, maybe ahead of it. It never goes back."""

    standing: int | None = None
    """Time in ms at which it stands; None: it runs."""
    offset: int = 0
    """By how many ms it is ahead of the machine's while it runs."""

    @property
    def untouched(self) -> bool:
        """Whether it shows the machine's time."""
        return self.standing is None and not self.offset

    def at(self, machine: int) -> int:
        """Return its time in ms when the machine's is `machine` (ms, as everywhere below)."""
        return machine + self.offset if self.standing is None else self.standing

    def when(self, moment: int) -> int | None:
        """Return the machine's time at which it shows a moment: 0 if it stands there or later, None if it never gets there by itself."""
        if self.standing is None:
            return moment - self.offset
        return 0 if moment <= self.standing else None

    def frozen(self, machine: int) -> ClockState:
        """Return it standing still."""
        return ClockState(self.at(machine))

    def running(self, machine: int) -> ClockState:
        """Return it going on from where it is, as fast as the machine's."""
        return ClockState(None, self.at(machine) - machine)

    def moved(self, moment: int, machine: int) -> ClockState:
        """Return it standing still at a moment. Raises ValueError if that lies in the past, or after LATEST."""
        if moment < (now := self.at(machine)):
            raise ValueError(f"the clock does not go back: it is {iso(now)}, {now} ms, later than {moment} ms")
        if moment > LATEST:
            raise ValueError(f"the clock goes as far as 2200, {LATEST} ms, and not to {moment} ms")
        return ClockState(moment)


class Machine:
    """The machine's time in ms, which does not go back when somebody sets it."""

    def __init__(self) -> None:
        self._latest = 0

    def now(self) -> int:
        """Return it."""
        now = time.time_ns() // 1_000_000
        if now < self._latest:
            return self._latest
        self._latest = now
        return now


def iso(moment: int) -> str:
    """Return a time in ms as ISO 8601 in UTC."""
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
