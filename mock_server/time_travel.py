"""Travel in time: the clock is moved, and everything that falls due on the way happens, in order, before it returns."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .agenda import just_after
from .clock import LATEST
from .clocks import SERVER
from .tasks import snapshot
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .agenda import Due, Place
    from .callbacks import Callbacks
    from .clocks import Clocks
    from .deliveries import Attempt, Delivery
    from .store import Store
    from .turns import Journey

MAX_EVENTS = 100_000
"""In one journey: a receiver that makes a new task for each callback cannot keep it going for ever."""
AT_ONCE = 100
"""Entries of the agenda that are read together."""

Event = dict[str, Any]
"""`at` (ms), `event` (`status`, `attempt`, `expiry` or `window`), and what it is about."""


class Traveller:
    """Moves the clocks of one simulator, each by itself. One that was moved stands still between two journeys.

    `owner` is whose clock it is: an account, which gets one of its own with its first journey, or (empty) the server, on whose
    journey everything happens to all accounts that have none. Journeys by two clocks do not wait for each other.
    """

    def __init__(self, clocks: Clocks, store: Store, callbacks: Callbacks) -> None:
        self._clocks = clocks
        self._store = store
        self._callbacks = callbacks
        self.turns = Turns(store.leases)

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
        with self.turns.journey(owner, bounded=False):
            self._clocks.resume(owner)

    @contextmanager
    def stopped(self, whose: str | None) -> Iterator[None]:
        """End the journeys of an account, or (None) all that are under way where they are, and let none begin meanwhile: they wait."""
        with self.turns.reset(whose), self._callbacks.held(whose):
            yield

    def close(self) -> None:
        """End journeys that are under way, and those that wait for their turn."""
        self.turns.close()

    def _travel(
        self, destination: Callable[[int], int], owner: str, done: Callable[[], bool] | None = None
    ) -> list[Event]:
        clocks = self._clocks
        with self.turns.journey(owner, bounded=self._callbacks.in_background) as journey:
            self._store.refresh()  # the turn may have come late
            clocks.check(destination(clocks.now(owner)), owner)
            now = clocks.stop(owner)  # before attempts that have begun are waited for: that takes time
            moment = max(now, destination(now))
            try:
                with self._callbacks.held(owner):
                    return self._go(journey, now, moment, done)
            finally:
                clocks.note_journey(owner, now)

    def _go(self, journey: Journey, now: int, moment: int, done: Callable[[], bool] | None) -> list[Event]:
        """Let the earliest of what is ahead happen, again and again: on the agenda or a callback, the agenda first."""
        owner = journey.owner
        events: list[Event] = []
        place = just_after(now)
        agenda: deque[Due] = deque()
        known = -1
        while len(events) < MAX_EVENTS:
            journey.check()
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
                made = self._callbacks.deliver_due(owner, journey.check_again)  # each may take its time
                events += [_attempt_event(*each) for each in made]
                agenda.clear()
            else:
                break
        self._clocks.move_to(moment, owner)
        return events

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
