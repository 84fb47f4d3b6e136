"""Memory goes back to the system when large bodies have left it: the C library keeps what is freed for the next one, in each thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Executor

PAUSE_S = 1.0
"""Between two times; meanwhile the next large body is quicker for what the one before has left."""


class Trimming:
    """Lets glibc give back what it does not use, a moment after it was asked for; elsewhere it does nothing."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._due: asyncio.TimerHandle | None = None

    def soon(self) -> None:
        """Let it happen once within a second, however often it is asked for."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(PAUSE_S, self._begin)

    def close(self) -> None:
        """Let it happen no more."""
        if self._due:
            self._due.cancel()

    def _begin(self) -> None:
        self._due = None
        self._threads.submit(_trim)


def _trim() -> None:
    import ctypes  # noqa: PLC0415 - start-up does not wait for it

    with suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
