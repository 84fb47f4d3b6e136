"""Sleeping that takes no time: `time.sleep` and `asyncio.sleep` move a virtual clock, for as long as a test asks for it."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from klingkit.mock_server.clock import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def in_ms(seconds: float) -> int:
    """Return whole ms, no less than were asked for: else a loop of very short pauses would never get anywhere."""
    return math.ceil(round(seconds * 1000, 6))


@contextmanager
def sleep_skipped(move: Callable[[int], object], limit: str, note: Callable[[BaseException], object]) -> Iterator[None]:
    """Let sleeping call `move` with the ms, rounded up, and `note` an AssertionError, which is raised, beyond `limit` in all.

    Raises ValueError for a limit that is no duration.
    """
    left = parse_duration(limit)
    really_sleep, really_sleep_async = time.sleep, asyncio.sleep
    over = False  # a module that was imported meanwhile may have kept the replacement under a name of its own

    def skip(seconds: float) -> None:
        nonlocal left
        ms = in_ms(seconds)
        left -= ms
        if left < 0:
            error = AssertionError(
                f"the code under test has slept longer than {limit}: if it does not wait for what never comes, "
                'skip_sleep(limit="2h") lets it'
            )
            note(error)
            raise error
        move(ms)

    def sleep(seconds: float) -> None:
        if over:
            really_sleep(seconds)
            return
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        skip(seconds)

    async def sleep_async(delay: float, result: Any = None) -> Any:
        if over or getattr(threading.current_thread(), "keeps_real_time", False):
            return await really_sleep_async(delay, result)
        skip(max(delay, 0))
        return await really_sleep_async(0, result)

    with patch.object(time, "sleep", sleep), patch.object(asyncio, "sleep", sleep_async):
        try:
            yield
        finally:
            over = True
