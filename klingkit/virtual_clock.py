"""The clock of a simulator that a test holds."""

from __future__ import annotations

import contextvars
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .at_the_caller import at_the_caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.mock_server.control.client import Control

Json = dict[str, Any]
delivering = contextvars.ContextVar("klingkit_delivering", default=False)
"""Whether a callback is being delivered, and so the clock is moving: its receiver runs within, and must not move it again."""


class VirtualClock:
    """The simulator's time, which stands still until it is moved."""

    def __init__(self, control: Callable[[], Control]) -> None:
        self._control = control

    @property
    def now(self) -> datetime:
        """What time it is."""
        return datetime.fromtimestamp(self._control().clock()["now"] / 1000, UTC)

    def advance(self, by: str) -> list[Json]:
        """Move by a duration such as `2m`; return what happened on the way, callbacks included, in order.

        Raises ValueError, with nothing changed, for what is no duration or leads beyond the year 2200.
        """
        __tracebackhide__ = True
        if not isinstance(by, str):
            raise ValueError(f'{by!r:.60} is not a duration: write a text, such as "5s" or "2m"')  # noqa: TRY004 - as other durations
        return self._move(lambda control: control.advance(by))

    def advance_to(self, to: str | int) -> list[Json]:
        """Move to `next` (event), `idle`, a time, or Unix ms; return what happened on the way. Raises as `advance` does."""
        __tracebackhide__ = True
        return self._move(lambda control: control.advance_to(to))

    def _move(self, travel: Callable[[Control], list[Json]]) -> list[Json]:
        __tracebackhide__ = True
        if delivering.get():
            raise RuntimeError("the clock cannot be moved by the receiver of a callback, while it moves")
        return at_the_caller(lambda: travel(self._control()))
