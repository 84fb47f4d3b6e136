"""When a request is sent again, and after what pause: decided here, without sending or sleeping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .codes import Retry, meaning_of
from .errors import ApiError, ConnectError, KlingError, TaskExistsError, TransportError, UnknownFateError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 8.0


class Attempts:
    """Attempts until a deadline. The pauses grow, and have jitter, so that many clients do not come at once."""

    def __init__(self, deadline: float, monotonic: Callable[[], float], rng: random.Random) -> None:
        self.deadline = deadline
        self._monotonic = monotonic
        self._rng = rng
        self._next = FIRST_PAUSE

    def next_pause(self, error: KlingError | None = None) -> float | None:
        """Return s before another attempt, at least as many as the service asked for; None if there is no time for it."""
        pause = self._next * self._rng.uniform(0.75, 1.25)
        self._next = min(self._next * 1.5, LONGEST_PAUSE)
        asked = error.retry_after if isinstance(error, ApiError) else 0.0
        left = self.deadline - self._monotonic()
        if left <= 0 or asked > left:
            return None
        return min(max(pause, asked), left)

    def pause_after(self, error: KlingError) -> float:
        """Return s before a query is sent again. Raises the error if it is not."""
        __tracebackhide__ = True
        if not may_pass(error) or (pause := self.next_pause(error)) is None:
            raise error
        return pause


class CreateAttempts(Attempts):
    """Attempts at one create, which must not be paid for twice."""

    def __init__(
        self, external_task_id: str | None, deadline: float, monotonic: Callable[[], float], rng: random.Random
    ) -> None:
        super().__init__(deadline, monotonic, rng)
        self._external_task_id = external_task_id
        self._broken_off: KlingError | None = None
        """Why it is not known whether an earlier attempt made the task."""

    def pause_after(self, error: KlingError) -> float:
        """Return s before the create is sent again.

        Raises the error if it is not; UnknownFateError if it may have made the task, TaskExistsError if it has.
        """
        __tracebackhide__ = True
        if self._broken_off and isinstance(error, ApiError) and "already exists" in error.message:
            raise TaskExistsError(
                f"the task with external_task_id {self._external_task_id!r} exists, made by an attempt that broke "
                "off; its task_id is not known, and nothing was paid twice"
            ) from self._broken_off
        if _fate_unknown(error):
            self._broken_off = error
            if not self._external_task_id:
                raise UnknownFateError(
                    f"the create broke off: {error}. The task may exist and cost money; it was not sent again, since "
                    "without an external_task_id it could be paid for twice"
                ) from error
        elif not _surely_not_made(error):
            raise error
        if (pause := self.next_pause(error)) is None:
            if self._broken_off is None:
                raise error
            raise UnknownFateError(
                f"the create broke off: {self._broken_off}. The task may exist and cost money; to find out, create again "
                f"with the same external_task_id {self._external_task_id!r}"
            ) from error
        return pause


def may_pass(error: KlingError) -> bool:
    """Tell whether a query that failed may succeed later."""
    return isinstance(error, TransportError) or (isinstance(error, ApiError) and error.retryable)


def _surely_not_made(error: KlingError) -> bool:
    """Tell whether a create can be repeated freely: nothing was made, and it may succeed later."""
    return isinstance(error, ConnectError) or _retry(error) is Retry.ANYTHING


def _fate_unknown(error: KlingError) -> bool:
    """Tell whether a create may have been carried out although it failed."""
    broken_off = isinstance(error, TransportError) and not isinstance(error, ConnectError)
    return broken_off or _retry(error) is Retry.QUERIES


def _retry(error: KlingError) -> Retry:
    return meaning_of(error.code, error.http_status).retry if isinstance(error, ApiError) else Retry.NOTHING
