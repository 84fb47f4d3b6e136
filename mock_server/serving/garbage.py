"""Python looks through everything that is kept for garbage, again and again: with a million tasks for seconds, while nobody is answered."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_S = 0.005


class LongCollections:
    """Sets what was looked through aside for good when that took long, so that the next time it is not looked at again.

    It is freed all the same when nobody uses it any more; only what holds itself, and was in use just then, would stay.
    """

    def __init__(self, timer: Callable[[], float] = time.perf_counter) -> None:
        self._timer = timer
        self._began = 0.0

    def watch(self) -> None:
        """Do so from now on, in all of this process."""
        gc.callbacks.append(self)

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        """Note what Python says of a collection."""
        if info["generation"] < 2:
            return
        if phase == "start":
            self._began = self._timer()
        elif self._timer() - self._began > LONG_S:
            gc.freeze()
