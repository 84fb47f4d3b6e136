"""Travel in time: the clock is moved, and everything that falls due on the way happens, in order, before it returns."""

from __future__ import annotations

import heapq
import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from .clock import LATEST
from .tasks import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from klingkit.contract import Contract

    from .callbacks import Callbacks
    from .clock import Clock
    from .deliveries import Attempt, Delivery
    from .store import Store
    from .tasks import Task

LONGEST_S = 60.0
"""Of the machine's time, for a journey on a server, where others wait for its end."""
MAX_EVENTS = 100_000
"""In one journey: a receiver that makes a new task for each callback cannot keep it going for ever."""

Event = dict[str, Any]
"""`at` (ms), `event` (`status`, `attempt`, `expiry` or `window`), and what it is about."""


class JourneyEndedError(Exception):
    """A reset ended a journey before its destination."""


class _Due(NamedTuple):
    """Something ahead; a tuple, so that a heap puts the earliest first, and of the same moment the older task."""

    at: int
    """Time in ms."""
    order: int
    kind: Literal["status", "expiry", "window"]
    whose: str
    """Id of the task; of a window, its account."""


class Traveller:
    """Moves the clock of one simulator. Once it was moved, it stands still between two journeys."""

    def __init__(
        self, clock: Clock, store: Store, callbacks: Callbacks, contract_of: Callable[[Task], Contract]
    ) -> None:
        self._clock = clock
        self._store = store
        self._callbacks = callbacks
        self._contract_of = contract_of
        self._turn = threading.Condition()
        self._busy = False
        """Whether a journey or a reset is under way."""
        self._closed = False
        self.longest_s = LONGEST_S
        self._resets = 0
        """How many are under way or wait: a journey that is under way ends where it is, and the next waits for all of them."""

    def advance(self, ms: int, account: str | None = None) -> list[Event]:
        """Move the clock forward and return what happened on the way, in order.

        The journey of an account does not wait for the callbacks of others, whose receivers may take their time: where threads
        deliver callbacks, these are left to them. Raises ValueError, with nothing changed, if it cannot go there, and
        JourneyEndedError; so do the others.
        """
        return self._travel(lambda now: now + ms, account)

    def advance_to(self, moment: int, account: str | None = None) -> list[Event]:
        """Move the clock to a moment in ms. Raises ValueError, with nothing changed, if it cannot go there."""
        return self._travel(lambda _: moment, account)

    def advance_to_next(self, account: str | None = None) -> list[Event]:
        """Move the clock to the next moment at which something is due; where nothing is, it stays where it is."""
        return self._travel(lambda now: max(now, self._next(self._agenda(now), account) or now), account)

    def run_until_idle(self, account: str | None = None) -> list[Event]:
        """Move the clock until every task and every callback has come to its end, or cannot by time alone."""
        return self._travel(lambda _: LATEST, account, lambda: False)

    def run_until(self, done: Callable[[], bool]) -> list[Event]:
        """Move the clock until `done`, which is asked before each event, or as `run_until_idle` does."""
        return self._travel(lambda _: LATEST, None, done)

    def resume(self) -> None:
        """Let the clock run again; after a journey that is under way, since a clock that runs would overtake it."""
        with self._taking_turn(lambda: not self._busy and not self._resets):
            self._clock.resume()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """End a journey that is under way where it is, and let none begin meanwhile: it waits, and then sets out."""
        with self._turn:
            self._resets += 1
        try:
            with self._taking_turn(lambda: not self._busy), self._callbacks.held():
                yield
        finally:
            with self._turn:
                self._resets -= 1
                self._turn.notify_all()

    def close(self) -> None:
        """End a journey that is under way, and those that wait for their turn."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()

    @property
    def stopping(self) -> bool:
        """Whether a journey that is under way is to end where it is."""
        return self._resets > 0

    @contextmanager
    def _taking_turn(self, may_begin: Callable[[], bool], end: float | None = None) -> Iterator[None]:
        with self._turn:
            left = None if end is None else max(0, end - monotonic())
            if not self._turn.wait_for(lambda: self._closed or may_begin(), left):
                self._check_time(end)
            self._busy = True
        try:
            yield
        finally:
            with self._turn:
                self._busy = False
                self._turn.notify_all()

    def _travel(
        self, destination: Callable[[int], int], account: str | None, done: Callable[[], bool] | None = None
    ) -> list[Event]:
        clock = self._clock
        due = monotonic() + self.longest_s if self._callbacks.in_background else None
        with self._taking_turn(lambda: not self._busy and not self._resets, due):
            frozen = clock.frozen
            clock.freeze()  # before attempts that have begun are waited for: that takes time
            moment = destination(clock.now())
            try:
                clock.check(moment)
            except ValueError:
                if not frozen:
                    clock.resume()
                raise
            with self._callbacks.held(account):
                return self._go(moment, account, done, due)

    def _go(self, moment: int, account: str | None, done: Callable[[], bool] | None, end: float | None) -> list[Event]:
        """Let the earliest of what is ahead happen, again and again: on the agenda or a callback, the agenda first."""
        clock, store = self._clock, self._store
        events: list[Event] = []
        known = -1
        while len(events) < MAX_EVENTS:
            if self.stopping:
                raise JourneyEndedError("a reset has ended the journey before its destination; ask for it again")
            self._check_time(end)
            if known != store.created:  # a receiver of a callback may have made a task
                known = store.created
                agenda = self._agenda(clock.now())
                heapq.heapify(agenda)
                changes = sum(entry.kind == "status" for entry in agenda)
            due = self._callbacks.next_due(account)
            if done and ((not changes and due is None) or done()):
                return events
            if agenda and agenda[0].at <= moment and (due is None or agenda[0].at <= due):
                entry = heapq.heappop(agenda)
                changes -= entry.kind == "status"
                clock.move_to(max(entry.at, clock.now()))
                events += self._happen(entry)
            elif due is not None and due <= moment:
                clock.move_to(max(due, clock.now()))
                events += [_attempt_event(*made) for made in self._callbacks.deliver_due(account)]
            else:
                break
        clock.move_to(moment)
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

    def _next(self, agenda: list[_Due], account: str | None) -> int | None:
        due = self._callbacks.next_due(account)
        return min([entry.at for entry in agenda] + ([] if due is None else [due]), default=None)

    def _agenda(self, now: int) -> list[_Due]:
        """Return everything but callbacks that will happen after `now`."""
        agenda: list[_Due] = []
        for order, task in enumerate(self._store.tasks()):
            agenda += self._agenda_of(task, order, now)
        for at, account in self._store.windows():
            if at > now:
                agenda.append(_Due(at, len(agenda), "window", account))
        return agenda

    def _agenda_of(self, task: Task, order: int, now: int) -> list[_Due]:
        lifecycle = self._contract_of(task).lifecycle
        view = snapshot(task, now)
        # A task that queries move keeps its plan too: the clock brings it there when somebody moves the clock.
        ahead = range(view.step + 1, len(task.plan.steps)) if task.progression != "manual" else range(0)
        times = [task.reached_at(step) or max(now, task.plan.steps[step][1]) for step in ahead]
        found = [_Due(at, order, "status", task.task_id) for at in times]
        status, at = (task.plan.steps[-1][0], times[-1]) if times else (view.status, view.updated_at)
        if status == lifecycle.succeeded and at + lifecycle.result_ms > now:
            found.append(_Due(at + lifecycle.result_ms, order, "expiry", task.task_id))
        return found

    def _happen(self, due: _Due) -> list[Event]:
        at, task_id = due.at, due.whose
        if due.kind == "window":
            return [{"at": at, "event": "window", "account": due.whose}]
        task = self._store.get(task_id)
        if task is None:
            return []
        if due.kind == "expiry":
            return [{"at": at, "event": "expiry", "task_id": task_id}]
        before = snapshot(task, at - 1)
        if task.progression == "polls" and not before.ended:
            task = self._store.move(task_id, at) or task
        after = snapshot(task, at)
        return [{"at": at, "event": "status", "task_id": task_id, "status": after.status}]


def _attempt_event(delivery: Delivery, attempt: Attempt) -> Event:
    return {
        "at": attempt.at,
        "event": "attempt",
        "task_id": delivery.task_id,
        "delivery": delivery.id,
        "http_status": attempt.status,
        "problem": attempt.problem,
    }
