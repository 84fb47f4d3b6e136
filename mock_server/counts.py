"""How often what has happened: numbers that each process of a server counts for itself, and that any of them can add up.

The parent of several workers makes the memory of each before it forks them, so that all see it, and that it outlives its worker: a
counter that fell with a dead one would show what never was. Prometheus' own client shares its numbers by files, and must be imported
before anything is counted, which takes a third of the whole start; it is told of its folder by an environment variable, for all who
use it in a process; and it costs several times as much for each request.
"""

from __future__ import annotations

import json
import mmap
import os
import threading
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Key = tuple[str, ...]
"""What is counted, and its labels: words of ours, of which there are few, and never what came from outside."""

MOST = 4096
"""Numbers of a process, of eight bytes each; the first is its id, and the last takes what there is no room for."""
VALUES = 8 * MOST
SIZE = VALUES + 64 * MOST
"""Bytes of numbers and keys together; the keys are lines of JSON."""
BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Upper bounds of the classes of a duration; above the last there is one more."""
CLASSES = tuple(map(str, range(len(BOUNDS_S) + 1)))

REQUESTS = "requests"
"""By contract, operation and HTTP status."""
DURATIONS = "durations"
"""By operation and class."""
SECONDS = "seconds"
"""By operation."""
REFUSALS = "refusals"
"""By rule, if there is one, and error."""
CREATED = "created"
"""By contract."""
ATTEMPTS = "attempts"
"""Of callbacks, by outcome."""
STORE_ERRORS = "store errors"
"""Requests for which the store was not available."""
CONNECTIONS = "connections"
"""That are open: counted up and down."""


def shared_memory() -> mmap.mmap:
    """Return memory for the numbers of one process, which those that are forked from now on share."""
    return mmap.mmap(-1, SIZE)


class Counts:
    """The numbers of one process, in memory of its own or in that of a dead one, whose numbers go on; safe to use from many threads."""

    def __init__(self, memory: mmap.mmap | None = None, of_all: Sequence[mmap.mmap] = ()) -> None:
        self._lock = threading.Lock()
        self._memory = memory or shared_memory()
        self._of_all = of_all or [self._memory]
        self._values = memoryview(self._memory)[:VALUES].cast("d")
        self._values[0] = os.getpid()
        self._slots = {key: slot for slot, key in _keys(self._memory[:])}
        self._end = max(VALUES, self._memory.rfind(b"\n", VALUES) + 1)
        if (CONNECTIONS,) in self._slots:
            self._values[self._slots[CONNECTIONS,]] = 0  # they ended with their process

    def add(self, key: Key, amount: float = 1) -> None:
        """Add to a number."""
        with self._lock:
            slot = self._slots.get(key)
            if slot is None:
                slot = self._begin(key)
            self._values[slot] += amount

    def add_duration(self, operation: str, seconds: float) -> None:
        """Count a duration in its class."""
        self.add((DURATIONS, operation, CLASSES[bisect_left(BOUNDS_S, seconds)]))
        self.add((SECONDS, operation), max(0.0, seconds))  # somebody may set the machine's time

    def of_processes(self) -> Iterator[tuple[int, dict[Key, float]]]:
        """Yield the id and the numbers of each process of the server."""
        for memory in self._of_all:
            data = memory[:]
            values = memoryview(data)[:VALUES].cast("d")
            yield int(values[0]), {key: values[slot] for slot, key in _keys(data)}

    def _begin(self, key: Key) -> int:
        line = json.dumps(key).encode()
        if len(self._slots) == MOST - 2 or self._end + len(line) >= SIZE:
            return MOST - 1
        self._memory[self._end : self._end + len(line)] = line
        self._memory[self._end + len(line)] = ord("\n")  # now the key is whole
        self._end += len(line) + 1
        slot = self._slots[key] = len(self._slots) + 1
        return slot


def _keys(data: bytes) -> Iterator[tuple[int, Key]]:
    """Yield slot and key of each number."""
    for slot, line in enumerate(data[VALUES:].split(b"\n")[:-1], 1):
        yield slot, tuple(json.loads(line))
