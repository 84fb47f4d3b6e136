"""Travel in time: the clock is moved, and everything that falls due on the way happens, in order, before it returns."""

from __future__ import annotations

import heapq
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .clock import LATEST
from .tasks import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .clock import Clock
    from .simulator import Simulator
    from .store import MemoryStore
    from .tasks import Task

MAX_EVENTS = 100_000
"""In one journey: a receiver that makes a new task for each callback cannot keep it going for ever."""

Event = dict[str, Any]
"""`at` (ms), `event` (`status`, `attempt`, `expiry` or `window`), and what it is about."""


class Traveller:
    """Moves the clock of one simulator. Whoever moves it first stands still from then on."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._one_at_a_time = threading.Lock()
        self.stopping = False
        """Whether a journey that is under way is to end where it is."""

    def advance(self, ms: int) -> list[Event]:
        """Move the clock forward and return what happened on the way, in order.

        Raises ValueError, with nothing changed, if it cannot go there.
        """
        return self._travel(lambda now: now + ms)

    def advance_to(self, moment: int) -> list[Event]:
        """Move the clock to a moment in ms. Raises ValueError, with nothing changed, if it cannot go there."""
        return self._travel(lambda _: moment)

    def advance_to_next(self) -> list[Event]:
        """Move the clock to the next moment at which something is due; where nothing is, it stays where it is."""
        return self._travel(lambda now: max(now, self._next(self._agenda(now)) or now))

    def run_until_idle(self) -> list[Event]:
        """Move the clock until every task and every callback has come to its end, or cannot by time alone."""
        return self.run_until(lambda: False)

    def run_until(self, done: Callable[[], bool]) -> list[Event]:
        """Move the clock until `done`, which is asked before each event, or as `run_until_idle` does."""
        return self._travel(lambda _: LATEST, done)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """End a journey that is under way where it is, and let none begin meanwhile."""
        self.stopping = True
        with self._one_at_a_time:
            self.stopping = False
            with self._simulator.callbacks.held():
                yield

    def _travel(self, destination: Callable[[int], int], done: Callable[[], bool] | None = None) -> list[Event]:
        simulator = self._simulator
        clock, store = simulator.clock, simulator.store
        with self._one_at_a_time:
            frozen = clock.frozen
            clock.freeze()  # before attempts that have begun are waited for: that takes time
            moment = destination(clock.now())
            try:
                clock.check(moment)
            except ValueError:
                if not frozen:
                    clock.resume()
                raise
            with simulator.callbacks.held():
                return self._go(clock, store, moment, done)

    def _go(self, clock: Clock, store: MemoryStore, moment: int, done: Callable[[], bool] | None) -> list[Event]:
        simulator = self._simulator
        events: list[Event] = []
        known = -1
        while len(events) < MAX_EVENTS and not self.stopping:
            if known != store.created:  # a receiver of a callback may have made a task
                known = store.created
                agenda = self._agenda(clock.now())
                heapq.heapify(agenda)
                changes = sum(kind == "status" for _, _, kind, _ in agenda)
            due = store.next_due()
            if done and ((not changes and due is None) or done()):
                return events
            if agenda and agenda[0][0] <= moment and (due is None or agenda[0][0] <= due):
                at, _, kind, subject = heapq.heappop(agenda)
                changes -= kind == "status"
                clock.move_to(max(at, clock.now()))
                events += self._happen(at, kind, subject)
            elif due is not None and due <= moment:
                clock.move_to(max(due, clock.now()))
                for delivery, attempt in simulator.callbacks.deliver_due():
                    events.append(
                        {
                            "at": attempt.at,
                            "event": "attempt",
                            "task_id": delivery.task_id,
                            "delivery": delivery.id,
                            "http_status": attempt.status,
                            "problem": attempt.problem,
                        }
                    )
            else:
                break
        if not self.stopping:
            clock.move_to(moment)
        return events

    def _next(self, agenda: list[tuple[int, int, str, str]]) -> int | None:
        due = self._simulator.store.next_due()
        return min([entry[0] for entry in agenda] + ([] if due is None else [due]), default=None)

    def _agenda(self, now: int) -> list[tuple[int, int, str, str]]:
        """Return time, order, kind and subject of everything but callbacks that will happen after `now`."""
        simulator = self._simulator
        agenda: list[tuple[int, int, str, str]] = []
        for order, task in enumerate(simulator.store.tasks()):
            agenda += self._agenda_of(task, order, now)
        for at, account in simulator.store.windows():
            if at > now:
                agenda.append((at, len(agenda), "window", account))
        return agenda

    def _agenda_of(self, task: Task, order: int, now: int) -> list[tuple[int, int, str, str]]:
        lifecycle = self._simulator.contract.lifecycle
        view = snapshot(task, now)
        # A task that queries move keeps its plan too: the clock brings it there when somebody moves the clock.
        ahead = range(view.step + 1, len(task.plan.steps)) if task.progression != "manual" else range(0)
        times = [task.reached_at(step) or max(now, task.plan.steps[step][1]) for step in ahead]
        found = [(at, order, "status", task.task_id) for at in times]
        status, at = (task.plan.steps[-1][0], times[-1]) if times else (view.status, view.updated_at)
        if status == lifecycle.succeeded and at + lifecycle.result_ms > now:
            found.append((at + lifecycle.result_ms, order, "expiry", task.task_id))
        return found

    def _happen(self, at: int, kind: str, subject: str) -> list[Event]:
        simulator = self._simulator
        if kind == "window":
            return [{"at": at, "event": "window", "account": subject}]
        task = simulator.store.get(subject)
        if task is None:
            return []
        if kind == "expiry":
            return [{"at": at, "event": "expiry", "task_id": subject}]
        before = snapshot(task, at - 1)
        if task.progression == "polls" and not before.ended:
            task = simulator.store.move(subject, at) or task
        after = snapshot(task, at)
        return [{"at": at, "event": "status", "task_id": subject, "status": after.status}]
