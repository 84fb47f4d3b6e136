"""Travel in time: the clock is moved, and everything that falls due on the way happens, in order, before it returns."""

from __future__ import annotations

import threading
from collections import Counter, deque
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from .agenda import just_after
from .clock import LATEST
from .clocks import SERVER
from .tasks import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .agenda import Due, Place
    from .callbacks import Callbacks
    from .clocks import Clocks
    from .deliveries import Attempt, Delivery
    from .store import Store

LONGEST_S = 60.0
"""Of the machine's time, for a journey on a server, where others wait for its end."""
MAX_EVENTS = 100_000
"""In one journey: a receiver that makes a new task for each callback cannot keep it going for ever."""
AT_ONCE = 100
"""Entries of the agenda that are read together."""

Event = dict[str, Any]
"""`at` (ms), `event` (`status`, `attempt`, `expiry` or `window`), and what it is about."""


class JourneyEndedError(Exception):
    """A reset ended a journey before its destination."""


class Traveller:
    """Moves the clocks of one simulator, each by itself. One that was moved stands still between two journeys.

    `owner` is whose clock it is: an account, which gets one of its own with its first journey, or (empty) the server, on whose
    journey everything happens to all accounts that have none. Journeys by two clocks do not wait for each other.
    """

    def __init__(self, clocks: Clocks, store: Store, callbacks: Callbacks) -> None:
        self._clocks = clocks
        self._store = store
        self._callbacks = callbacks
        self._turn = threading.Condition()
        self._busy: set[str | None] = set()
        """Whose journey or reset is under way; None: a reset of all."""
        self._closed = False
        self.longest_s = LONGEST_S
        self._resets: Counter[str | None] = Counter()
        """How many are under way or wait: a journey that is under way ends where it is, and the next waits for all of them."""

    def advance(self, ms: int, owner: str = SERVER) -> list[Event]:
        """Move a clock forward and return what happened on the way, in order.

        Raises ValueError, with nothing changed, if it cannot go there, TooManyError if there are too many clocks, and
        JourneyEndedError; so do the others.
        """
        return self._travel(lambda now: now + ms, owner)

    def advance_to(self, moment: int, owner: str = SERVER) -> list[Event]:
        """Move a clock to a moment in ms."""
        return self._travel(lambda _: moment, owner)

    def advance_to_next(self, owner: str = SERVER) -> list[Event]:
        """Move a clock to the next moment at which something is due; where nothing is, it stays where it is."""
        return self._travel(lambda now: max(now, self._next(owner, now) or now), owner)

    def run_until_idle(self, owner: str = SERVER) -> list[Event]:
        """Move a clock until every task and every callback has come to its end, or cannot by time alone."""
        return self._travel(lambda _: LATEST, owner, lambda: False)

    def run_until(self, done: Callable[[], bool], owner: str = SERVER) -> list[Event]:
        """Move a clock until `done`, which is asked before each event, or as `run_until_idle` does."""
        return self._travel(lambda _: LATEST, owner, done)

    def resume(self, owner: str = SERVER) -> None:
        """Let a clock run again; after a journey that is under way, since a clock that runs would overtake it."""
        with self._taking_turn(owner):
            self._clocks.resume(owner)

    @contextmanager
    def stopped(self, whose: str | None) -> Iterator[None]:
        """End the journeys of an account, or (None) all that are under way where they are, and let none begin meanwhile: they wait."""
        with self._turn:
            self._resets[whose] += 1
        try:
            with self._taking_turn(whose, is_reset=True), self._callbacks.held(whose):
                yield
        finally:
            with self._turn:
                self._resets[whose] -= 1
                self._turn.notify_all()

    def close(self) -> None:
        """End journeys that are under way, and those that wait for their turn."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()

    def stopping(self, owner: str = SERVER) -> bool:
        """Tell whether a journey that is under way is to end where it is."""
        return self._resets[None] > 0 or self._resets[owner] > 0

    @contextmanager
    def _taking_turn(self, whose: str | None, end: float | None = None, *, is_reset: bool = False) -> Iterator[None]:
        def may_begin() -> bool:
            if not is_reset and self.stopping(whose or SERVER):
                return False
            return not self._busy if whose is None else self._busy.isdisjoint({None, whose})

        with self._turn:
            left = None if end is None else max(0, end - monotonic())
            if not self._turn.wait_for(lambda: self._closed or may_begin(), left):
                self._check_time(end)
            self._busy.add(whose)
        try:
            yield
        finally:
            with self._turn:
                self._busy.discard(whose)
                self._turn.notify_all()

    def _travel(
        self, destination: Callable[[int], int], owner: str, done: Callable[[], bool] | None = None
    ) -> list[Event]:
        clocks = self._clocks
        end = monotonic() + self.longest_s if self._callbacks.in_background else None
        with self._taking_turn(owner, end):
            clocks.check(destination(clocks.now(owner)), owner)
            now = clocks.freeze(owner)  # before attempts that have begun are waited for: that takes time
            moment = max(now, destination(now))
            with self._callbacks.held(owner):
                return self._go(owner, now, moment, done, end)

    def _go(self, owner: str, now: int, moment: int, done: Callable[[], bool] | None, end: float | None) -> list[Event]:
        """Let the earliest of what is ahead happen, again and again: on the agenda or a callback, the agenda first."""
        events: list[Event] = []
        place = just_after(now)
        agenda: deque[Due] = deque()
        known = -1
        while len(events) < MAX_EVENTS:
            if self.stopping(owner):
                raise JourneyEndedError("a reset has ended the journey before its destination; ask for it again")
            self._check_time(end)
            if known != self._store.created or not agenda:  # a receiver of a callback may have made a task
                known = self._store.created
                agenda = deque(self._store.ahead(owner, place, AT_ONCE))
            due = self._callbacks.next_due(owner)
            if done and ((due is None and not self._changes_ahead(owner, place, agenda)) or done()):
                return events
            if agenda and agenda[0].at <= moment and (due is None or agenda[0].at <= due):
                entry = agenda.popleft()
                place = max(place, entry.place)
                now = max(now, entry.at)
                self._clocks.move_to(now, owner)
                happened, moved = self._happen(owner, entry, now)
                events += happened
                if moved:  # its next step was not on the agenda
                    agenda.clear()
            elif due is not None and due <= moment:
                now = max(now, due)
                self._clocks.move_to(now, owner)
                events += [_attempt_event(*made) for made in self._callbacks.deliver_due(owner)]
                agenda.clear()
            else:
                break
        self._clocks.move_to(moment, owner)
        return events

    def _check_time(self, end: float | None) -> None:
        """Raise JourneyEndedError at the end of a journey's time, and when the simulator is closed."""
        if self._closed:
            raise JourneyEndedError("the simulator is closed")
        if end is not None and monotonic() >= end:
            raise JourneyEndedError(
                f"the journey takes longer than {self.longest_s:g}s of the machine's time, and ended before its destination; "
                "ask for it again, and it goes on from here"
            )

    def _changes_ahead(self, owner: str, place: Place, agenda: Iterable[Due]) -> bool:
        """Tell whether a task changes by itself, further on than the agenda was read too."""
        if any(entry.kind == "status" for entry in agenda):
            return True
        return bool(self._store.ahead(owner, place, 1, changes_only=True))

    def _next(self, owner: str, now: int) -> int | None:
        ahead = self._store.ahead(owner, just_after(now), 1)
        moments = [due.at for due in ahead] + [due for due in [self._callbacks.next_due(owner)] if due is not None]
        return min(moments, default=None)

    def _happen(self, owner: str, due: Due, now: int) -> tuple[list[Event], bool]:
        """Return what happens, and whether that has moved a task which would have stayed where it was."""
        if due.kind == "window":
            return [{"at": now, "event": "window", "account": due.whose}], False
        task = self._store.get(due.whose)
        if task is None or self._clocks.owner(task.account) != owner:
            return [], False
        if due.kind == "expiry":
            return [{"at": now, "event": "expiry", "task_id": task.task_id}], False
        by_polls = task.progression == "polls"
        if by_polls and snapshot(task, now).step < due.step:
            self._store.move(task.task_id, now)
        status = task.plan.steps[due.step][0]
        return [{"at": now, "event": "status", "task_id": task.task_id, "status": status}], by_polls


def _attempt_event(delivery: Delivery, attempt: Attempt) -> Event:
    return {
        "at": attempt.at,
        "event": "attempt",
        "task_id": delivery.task_id,
        "delivery": delivery.id,
        "http_status": attempt.status,
        "problem": attempt.problem,
    }
