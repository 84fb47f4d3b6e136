"""Chance: drawn from a seed, an account and the number of its task, so that neither the order of accounts nor a process matters."""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple

from .scenario import LONGEST_FAULT_MS

BITS = 62


class ChanceState(NamedTuple):
    """From what the next task of an account is drawn."""

    seed: int
    account: str
    """Empty for one with a seed of its own: then nothing but that and the number counts, whatever the account is called."""
    made: int
    """How many tasks it has made since its seed was set or it was reset: the number of the next one."""
    ever: int
    """How many it has ever made: no reset sets that back, so that no id comes twice."""

    @property
    def next_task(self) -> int:
        """What everything of the next task is drawn from."""
        return draw(self.seed, self.account, "task", self.made)


def draw(*origin: object) -> int:
    """Return a number of BITS bits for an origin: always the same for the same one."""
    text = "\0".join(map(str, origin)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> (64 - BITS)


def share(*origin: object) -> float:
    """Return a number from 0 to below 1."""
    return draw(*origin) / (1 << BITS)


def between(low: int, high: int, *origin: object) -> int:
    """Return a whole number from `low` to `high`."""
    return low + draw(*origin) % (high - low + 1)


def happens(probability: float, *origin: object) -> bool:
    """Tell whether something happens."""
    return probability >= 1 or share(*origin) < probability


def spread(median: int, *origin: object) -> int:
    """Return the ms of a fault from a log-normal distribution with that median, which has no longest one of its own."""
    first, second = share(*origin, 1), share(*origin, 2)
    normal = math.sqrt(-2 * math.log(1 - first)) * math.cos(2 * math.pi * second)
    return min(int(median * math.exp(0.5 * normal)), LONGEST_FAULT_MS)
