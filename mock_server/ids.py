"""Ids: of tasks and of requests. Each is drawn from seed and account, so that no other account has a say in it."""

from __future__ import annotations

import hashlib
import itertools
import string
import threading
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from .chance import draw

if TYPE_CHECKING:
    from .chance import ChanceState

ALPHANUMERIC = string.ascii_letters + string.digits
PAIRS = [ALPHANUMERIC[number // 62 % 62] + ALPHANUMERIC[number % 62] for number in range(4096)]
MOST_COUNTED = 10_000
"""Accounts whose requests are counted."""
_first_number = lru_cache(MOST_COUNTED)(draw)
"""Of the sequence of an account."""


class Ids:
    """The ids that one process gives; safe to use from many threads.

    `apart` tells it from other processes with the same seed that keep their state in the same place.
    """

    def __init__(self, seed: int, *, epoch_ms: int, shift: int, apart: bytes = b"") -> None:
        self._epoch_ms = epoch_ms
        self._shift = shift
        self._apart = apart
        self._lock = threading.Lock()
        self._second = (0, "")  # formatting a date is most of the cost of an id
        self.begin(seed)

    def begin(self, seed: int) -> None:
        """Begin as a new process does: the same run from here gives the same ids."""
        self._seed = seed
        self._rounds = 0
        self._requests: dict[str, itertools.count[int]] = {}

    def go_on(self) -> None:
        """Begin anew, with other ids than before."""
        with self._lock:
            self._rounds += 1
            self._requests = {}

    def of_task(self, account: str, chance: ChanceState, now: int, tries: int = 0) -> str:
        """Return a snowflake: ms since the epoch of the contract, then the next number of the account's sequence.

        The sequence goes on whatever the account's seed and clock, so that a moment that comes twice does not give an id twice.
        Two sequences may meet, and each begins again after 2 to the power of `shift` ids: `store.add` finds an id that is taken,
        and another one is had by a higher number of `tries`.
        """
        low = _first_number(self._seed, self._rounds, account, "id", tries) + chance.ever
        return str((now - self._epoch_ms << self._shift) | low % (1 << self._shift))

    def of_request(self, account: str) -> int:
        """Return what the ids of the next request of an account are made of."""
        counter = self._requests.get(account)
        if counter is None:
            if len(self._requests) >= MOST_COUNTED:
                self.go_on()
            counter = self._requests.setdefault(account, itertools.count())
        text = f"{self._seed} {self._rounds} {account} {next(counter)}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(text, digest_size=32, key=self._apart).digest())

    def uuid(self, bits: int) -> str:
        """Return a UUID v4, the `request_id` of Kling's bodies."""
        digits = f"{bits & (1 << 128) - 1:032x}"
        variant = "89ab"[int(digits[16], 16) % 4]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"

    def gateway(self, bits: int, now: int) -> str:
        """Return UTC time to the ns and 8 letters or digits, as recorded of CometAPI."""
        bits >>= 128
        seconds, ms = divmod(now, 1000)
        second, text = self._second
        if seconds != second:
            text = f"{datetime.fromtimestamp(seconds, UTC):%Y%m%d%H%M%S}"
            self._second = (seconds, text)
        tail = "".join([PAIRS[bits >> shift & 4095] for shift in (0, 12, 24, 36)])
        return f"{text}{ms:03}{(bits >> 48) % 1_000_000:06}{tail}"
