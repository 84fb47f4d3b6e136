"""Do something for many things, several at a time; stop all of it when one of them, or a Ctrl-C, ends it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


class Workers:
    """Threads for one run; with one, everything happens in the caller's own."""

    def __init__(self, number: int, stop: Callable[[], object]) -> None:
        self._pool = ThreadPoolExecutor(number) if number > 1 else None
        self._stop = stop
        """Lets those return soon that are at work."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def begin(self, function: Callable[[], T]) -> Callable[[], T]:
        """Call a function beside what comes next, and return what waits for its result. With one thread, who waits calls it."""
        return self._pool.submit(function).result if self._pool else function

    def for_each(self, function: Callable[[Any], object], things: Iterable[Any]) -> None:
        """Call a function with each thing. Raises what it raises, when nobody is at work any more."""
        if self._pool is None:
            for thing in things:
                function(thing)
            return
        futures = [self._pool.submit(function, thing) for thing in things]
        try:
            for future in futures:
                future.result()
        except BaseException:
            self._stop()
            for future in futures:
                future.cancel()
            wait(futures)
            raise
