"""The leases that this process holds are renewed while it lives, so that what a dead one held is soon taken over."""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from ..store import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

BEAT_S = 1.0
"""Between two renewals."""


class Held:
    """Leases by number, with the moment up to which each is renewed: who forgets to let one go does not hold it for ever."""

    def __init__(self, renew: Callable[[list[int]], object]) -> None:
        self._renew = renew
        self._changed = threading.Condition()
        self._until: dict[int, float] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def hold(self, fence: int, longest_s: float) -> None:
        """Renew a lease from now on."""
        with self._changed:
            self._until[fence] = monotonic() + longest_s
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()
            self._changed.notify()

    def let_go(self, fence: int) -> None:
        """Renew a lease no more."""
        with self._changed:
            self._until.pop(fence, None)

    def close(self) -> None:
        """Renew nothing any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._until or self._closed)
                self._changed.wait_for(lambda: self._closed, BEAT_S)
                if self._closed:
                    return
                now = monotonic()
                self._until = {fence: until for fence, until in self._until.items() if until > now}
                held = list(self._until)
            with suppress(StoreUnavailableError):  # the log says so
                if held:
                    self._renew(held)
