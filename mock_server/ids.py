"""Ids and durations, drawn from one seed."""

from __future__ import annotations

import hashlib
import random
import string
import threading
from datetime import UTC, datetime

from .scenario import LONGEST_FAULT_MS

ALPHANUMERIC = string.ascii_letters + string.digits
PAIRS = [ALPHANUMERIC[number // 62 % 62] + ALPHANUMERIC[number % 62] for number in range(4096)]


class Ids:
    """The one source of randomness; safe to use from many threads."""

    def __init__(self, seed: int, *, epoch_ms: int, shift: int) -> None:
        self._lock = threading.Lock()
        self._epoch_ms = epoch_ms
        self._shift = shift
        self._second = (0, "")  # formatting a date is most of the cost of an id
        self.begin(seed)

    def begin(self, seed: int) -> None:
        """Begin as a new simulator does: the same run from here gives the same ids."""
        with self._lock:
            self.seed = seed
            self._random = random.Random(seed)  # noqa: S311 - reproducible on purpose, nothing secret is drawn
            self._latest = self._random.getrandbits(self._shift)
            self._reseeds = 0
            self._salt = 0

    def reseed(self, seed: int) -> None:
        """Begin all chance anew from a seed; ids stay different from those of before."""
        with self._lock:
            self.seed = seed
            self._random = random.Random(seed)  # noqa: S311
            self._reseeds += 1
            # The same seed draws the same numbers again: what ids are made of is told apart by how often that was.
            self._salt = int.from_bytes(hashlib.sha256(str(self._reseeds).encode()).digest()[:16])

    def task_id(self, now: int) -> str:
        """Return a snowflake: ms since the epoch of the contract, then the next number of one sequence.

        The sequence goes on whatever the seed and the clock, so that a moment that comes twice does not give an id twice. It begins
        again after 2 to the power of `shift` ids; `store.add` finds an id that is still taken.
        """
        with self._lock:
            self._latest = low = (self._latest + 1) % (1 << self._shift)
        return str((now - self._epoch_ms << self._shift) | low)

    def request_id(self) -> str:
        """Return a UUID v4, the `request_id` of Kling's bodies."""
        with self._lock:
            digits = f"{self._bits(128):032x}"
        variant = "89ab"[int(digits[16], 16) % 4]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"

    def gateway_request_id(self, now: int) -> str:
        """Return UTC time to the ns and 8 letters or digits, as recorded of CometAPI."""
        seconds, ms = divmod(now, 1000)
        with self._lock:
            if seconds != self._second[0]:
                self._second = (seconds, f"{datetime.fromtimestamp(seconds, UTC):%Y%m%d%H%M%S}")
            below_ms = self._bits(32) % 1_000_000
            bits = self._bits(48)
            tail = "".join([PAIRS[bits >> shift & 4095] for shift in (0, 12, 24, 36)])
            return f"{self._second[1]}{ms:03}{below_ms:06}{tail}"

    def _bits(self, number: int) -> int:
        return self._random.getrandbits(number) ^ (self._salt & ((1 << number) - 1))

    def happens(self, probability: float) -> bool:
        """Draw whether something happens."""
        if probability >= 1:
            return True
        with self._lock:
            return self._random.random() < probability

    def spread(self, median: int) -> int:
        """Draw the ms of a fault from a log-normal distribution with that median, which has no longest one of its own."""
        with self._lock:
            return min(int(median * self._random.lognormvariate(0, 0.5)), LONGEST_FAULT_MS)

    def duration(self, low: int, high: int) -> int:
        """Draw a number of ms evenly between two."""
        with self._lock:
            return self._random.randint(low, high)
