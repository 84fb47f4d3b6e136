"""All state of the simulator in the memory of one process, as values. Bounded; each method is one atomic operation."""

from __future__ import annotations

import heapq
import threading
from contextlib import nullcontext
from itertools import chain
from typing import TYPE_CHECKING, Any
from zlib import crc32

from ..agenda import LAST_ORDER, Due
from ..cache import ByteCache
from ..clock import ClockState
from ..clocks import SERVER
from .accounts import AccountStates
from .agenda import Agenda
from .clock_states import ClockStates
from .delivery_queue import DeliveryQueue
from .leases import OneProcess
from .memory_journal import MemoryJournal
from .rubbish import throw_away
from .scenario_queues import ScenarioQueues
from .store import PAGE, QueueEntry, RefusedError, StaleChanceError, TakenIdError, UnknownCursorError
from .task_records import Record, TaskRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from contextlib import AbstractContextManager
    from decimal import Decimal

    from ..account_settings import AccountSettings, Changes
    from ..agenda import Place
    from ..chance import ChanceState
    from ..clock import Move
    from ..deliveries import Attempt, Delivery, Outcome
    from ..scenario import Scenario
    from ..settings import Settings
    from ..tasks import Task
    from .journal import Journal
    from .leases import Leases

_NOTHING = nullcontext()
MANY = 200
"""Tasks that are forgotten in one go."""
OTHER_BYTES = 5000
"""What an account with settings, one that is only remembered, a window of requests and a queued scenario take together."""


class MemoryStore:
    """The state by concern, behind one lock; all of it takes at most `max_memory` bytes.

    Each concern has its share, so that nobody's pictures push out the journal: three eighths for the pictures that were sent, two
    for tasks with their callbacks, one each for the journal, rendered pictures, and accounts and queued scenarios, which are counted.
    Of everything but the last the oldest goes first.

    The parts have no lock, so that what touches several of them (a new task has money, slots and callbacks) happens at once. A
    method without the lock does one look-up in one dict, which Python makes whole.
    """

    waits = False
    """Whether an operation waits for another process."""
    is_near = True

    def __init__(self, settings: Settings, start: ClockState | None = None) -> None:
        self._lock = threading.Lock()
        self._settings = settings
        self._start = start or ClockState()
        self._share = settings.max_memory // 8
        self.leases: Leases = OneProcess()
        self.journal: Journal = MemoryJournal(settings.max_journal, self._share)
        self._begin()

    def refresh(self) -> None:
        """Nobody else changes anything."""

    def close(self) -> None:
        """Let nobody wait any more."""
        self.journal.close()

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            old = [self._agenda, self._deliveries, self._tasks]
            many = len(self._tasks) > MANY
            self._begin()
            self.journal.clear()
        if many:
            throw_away(old)

    def _begin(self) -> None:
        most = self._share // OTHER_BYTES
        self._tasks = TaskRecords()
        self._accounts = AccountStates(self._settings.account, self._settings.seed, most)
        self._queues = ScenarioQueues(most)
        self._clocks = ClockStates(self._start, most)
        self._agenda = Agenda()
        self._deliveries = DeliveryQueue(self._clocks)
        self.created = 0
        """How many tasks there have been."""
        self._inputs = ByteCache(3 * self._share)
        self.results = ByteCache(self._share)

    def reset_account(self, account: str) -> None:
        """Forget everything of one account, its clock and its seed too; of very many tasks piece by piece, lest others wait."""
        more = True
        while more:
            with self._lock:
                some = self._tasks.after(account, 0, MANY)
                for record in some:
                    self._drop(record.task.task_id)
                more = len(some) == MANY
                if not more:
                    self._clocks.forget(account)
                    self._deliveries.follow(account)
                    self._accounts.forget(account)
                    self._queues.forget(account)
                    self.journal.forget(account)

    # Tasks

    def add(
        self,
        task: Task,
        now: int,
        deliveries: list[Delivery],
        *,
        freed_by: str = "",
        inputs: Mapping[int, bytes] | None = None,
        expected: ChanceState | None = None,
    ) -> bool:
        """Keep a new task with its callbacks, and drop the oldest if there are too many; tell whether one was dropped."""
        with self._lock:
            if expected and expected != self._accounts.chance(task.account):
                raise StaleChanceError
            if self._tasks.get(task.task_id):
                raise TakenIdError
            if self._tasks.has_external_id(task, now, freed_by):
                raise RefusedError("external_task_id.unique")
            self._settle(self._clocks.owner(task.account), now)
            self._accounts.charge(task)
            record = Record(task, self._tasks.next_number(), deliveries=[delivery.id for delivery in deliveries])
            self._tasks.add(record)
            self._look_ahead(record, now)
            self._deliveries.add(deliveries)
            for place, data in (inputs or {}).items():
                self._inputs.put((task.task_id, place), data)
            self.created += 1
            return self._make_room()

    def alone(self, account: str) -> AbstractContextManager[Any]:  # noqa: ARG002 - what is drawn in vain costs little here
        """Return what does nothing."""
        return _NOTHING

    def get(self, task_id: str) -> Task | None:
        """Return a task of any account."""
        record = self._tasks.get(task_id)
        return record.task if record else None

    def input(self, task_id: str, number: int) -> bytes | None:
        """Return the bytes of a picture that a task was made from; None if they are not known, or not kept any more."""
        return self._inputs.get((task_id, number))

    def kept_inputs(self, task_ids: Iterable[str]) -> set[tuple[str, int]]:
        """Return of which pictures of these tasks there are bytes, by task id and number."""
        records = filter(None, map(self._tasks.get, task_ids))
        keys = ((record.task.task_id, number) for record in records for number in range(len(record.task.pictures)))
        return {key for key in keys if self._inputs.has(key)}

    def record(self, task_id: str) -> Record | None:
        """Return a task with what happened to it: to be read, not changed."""
        return self._tasks.get(task_id)

    def tasks(
        self, account: str | None = None, *, after: str = "", limit: int = PAGE, newest_first: bool = False
    ) -> list[Task]:
        """Return at most `limit` tasks of an account or of all, in order, after that of an id. Raises UnknownCursorError."""
        with self._lock:
            last = self._last(account, after)
            if newest_first:
                found = self._tasks.before(account, last.number if last else None, limit)
            else:
                found = self._tasks.after(account, last.number if last else 0, limit)
            return [record.task for record in found]

    def find(self, account: str, path: str, external_task_id: str) -> str:
        """Return the id of the task that an account has made at a path with an external id; empty if there is none."""
        with self._lock:
            return self._tasks.find(account, path, external_task_id)

    def page(self, account: str, path: str, first: int, size: int, *, oldest_first: bool = False) -> list[Task]:
        """Return `size` tasks that an account has made at a path, but for the `first`, from the newest on or from the oldest."""
        with self._lock:
            records = self._tasks.page(account, path, first, size, oldest_first=oldest_first)
            return [record.task for record in records if not record.hidden_in_lists]

    def look_through(
        self,
        account: str | None,
        texts: Collection[str],  # noqa: ARG002 - what is at hand need not be passed over
        *,
        after: str,
        limit: int,
        newest_first: bool,
    ) -> list[tuple[str, Task | None]]:
        """Return the same with their ids."""
        return [
            (task.task_id, task) for task in self.tasks(account, after=after, limit=limit, newest_first=newest_first)
        ]

    def records(self, account: str | None = None, *, after: str = "", limit: int = PAGE) -> list[Record]:
        """Return the same with what happened to them: to be read, not changed. Raises UnknownCursorError."""
        with self._lock:
            last = self._last(account, after)
            return self._tasks.after(account, last.number if last else 0, limit)

    def _last(self, account: str | None, after: str) -> Record | None:
        """Return the task that a page begins after. Raises UnknownCursorError."""
        last = self._tasks.get(after)
        if after and (last is None or account not in {None, last.task.account}):
            raise UnknownCursorError(after)
        return last

    def count_statuses(self, machine: int) -> dict[str, int]:
        """Return how many tasks have which status, each by the clock of its account."""
        with self._lock:
            self._settle_all(machine)
            return self._tasks.count_statuses()

    def count_tasks(self, account: str | None = None) -> int:
        """Return how many tasks of an account or of all are kept."""
        if account is None:
            return len(self._tasks)
        with self._lock:
            return self._accounts.tasks(account)

    def poll(self, task_id: str, account: str, path: str, now: int) -> Task | None:
        """Count a query of a task that an account has made at a path, and move it if queries do that; None if it is not visible."""
        with self._lock:
            record = self._tasks.get(task_id)
            if record is None or (record.task.account, record.task.path) != (account, path):
                return None
            record.polls += 1
            if record.hidden:
                return None
            if record.polls_ask_for_more(now):
                self._move(record, now)
            return record.task

    def move(self, task_id: str, now: int) -> Task | None:
        """Bring a task one step further along its plan, if there is one more; None if there is no such task."""
        with self._lock:
            record = self._tasks.get(task_id)
            if record is None:
                return None
            self._move(record, now)
            return record.task

    def see_end(self, task_id: str) -> bool:
        """Note that a query shows the end; tell whether an earlier one did."""
        with self._lock:
            record = self._tasks.get(task_id)
            if record is None:
                return False
            seen, record.end_seen = record.end_seen, True
            return seen

    def near_id(self, account: str, task_id: str) -> str:
        """Return the id of a task of the account that becomes the given one when it passes through a float; else empty."""
        if not (task_id.isascii() and task_id.isdigit() and len(task_id) < 25):
            return ""
        with self._lock:
            near = self._tasks.near(account, task_id)
        return "" if near == task_id else near

    def mark_fetched(self, task_id: str) -> None:
        """Note that a result picture was fetched."""
        record = self._tasks.get(task_id)
        if record:
            record.fetched = True

    def _move(self, record: Record, now: int) -> None:
        before = record.task
        step = record.move(now)
        if step is not None:
            self._agenda.remove(self._clocks.owner(before.account), before, record.number)
            self._look_ahead(record, now)
            self._deliveries.reach(record.task, step, now)

    def _look_ahead(self, record: Record, now: int) -> None:
        """Note what is ahead of a task, and count it as it stands."""
        owner = self._clocks.owner(record.task.account)
        self._agenda.add(owner, record.task, record.number)
        self._count(record, max(now, self._agenda.passed(owner)))

    def _count(self, record: Record, now: int) -> None:
        """Count a task under its status at a time in ms; at its end give back what it holds."""
        if self._tasks.count(record, now).ended:
            self._accounts.end(record.task)

    def _settle(self, owner: str, now: int) -> None:
        """Let the changes of status have happened that have come by time."""
        for due in self._agenda.pass_on(owner, now):
            if record := self._tasks.get(due.whose):
                self._count(record, due.at)

    def _settle_all(self, machine: int) -> None:
        for owner in self._agenda.owners():
            self._settle(owner, self._clocks.of(owner)[1].at(machine))

    def _make_room(self) -> bool:
        """Drop the oldest tasks while there is too much; tell whether there was."""
        before = len(self._tasks)
        while len(self._tasks) > self._settings.max_tasks or (
            self._tasks.size > 2 * self._share and len(self._tasks) > 1
        ):
            self._drop(self._tasks.oldest())
        return len(self._tasks) < before

    def _drop(self, task_id: str) -> None:
        record = self._tasks.remove(task_id)
        task = record.task
        self._agenda.remove(self._clocks.owner(task.account), task, record.number)
        self._accounts.release(task)
        self._deliveries.remove(task.account, task_id, record.deliveries)
        for number in range(len(task.pictures) if self._inputs else 0):
            self._inputs.discard((task_id, number))
        for index in range(task.n if self.results else 0):
            self.results.discard((task_id, index))
            self.results.discard((task_id, index, "watermark"))

    # Time and chance

    def clock(self, account: str) -> tuple[str, ClockState]:
        """Return whose clock an account follows, its own or (`""`) the server's, and how it goes."""
        return self._clocks.of(account)

    def own_clocks(self) -> int:
        """Return how many accounts have a clock of their own."""
        return len(self._clocks.own)

    def note_move(self, owner: str, move: Move) -> None:
        """Note what was done to a clock."""
        with self._lock:
            self._clocks.note(owner, move)

    def moves(self, owner: str) -> list[Move]:
        """Return what was done to a clock, oldest first."""
        with self._lock:
            return self._clocks.moves(owner)

    def change_clock(self, owner: str, machine: int, change: Callable[[ClockState], ClockState]) -> ClockState:
        """Change a clock; an account that has none of its own gets one, which begins as the server's. Raises as `change` does, and TooManyError."""
        with self._lock:
            state = self._clocks.changed(owner, change)
            if self._clocks.owner(owner) != owner:
                self._part(owner, machine)
            self._clocks.put(owner, state)
            self._deliveries.follow(owner)
            return state

    def _part(self, account: str, machine: int) -> None:
        """Let what is ahead of an account go by a clock of its own."""
        now = self._clocks.server.at(machine)
        self._settle(SERVER, now)
        records = self._tasks.after(account, 0, self._settings.max_tasks)
        for record in records:
            self._agenda.remove(SERVER, record.task, record.number)
        self._clocks.put(account, self._clocks.server)
        for record in records:
            self._agenda.add(account, record.task, record.number)
        self._settle(account, now)

    def ahead(self, owner: str, after: Place, limit: int, *, changes_only: bool = False) -> list[Due]:
        """Return at most `limit` of what lies ahead of the accounts that follow a clock, from a place on."""
        with self._lock:
            found = self._agenda.after(owner, after, limit, changes_only=changes_only)
            if changes_only:
                return found
            windows = (
                Due(at, LAST_ORDER, crc32(account.encode()), "window", account)
                for at, account in self._accounts.windows(owner or None)
                if self._clocks.owner(account) == owner
            )
            return heapq.nsmallest(limit, chain(found, (due for due in windows if due.place > after)))

    def chance(self, account: str) -> ChanceState:
        """Return from what the next task of an account is drawn."""
        with self._lock:
            return self._accounts.chance(account)

    def put_seed(self, account: str, seed: int) -> None:
        """Begin all chance of an account, or (empty) of all without a seed of their own, anew. Raises TooManyError."""
        with self._lock:
            self._accounts.put_seed(account, seed)

    def next_draw(self, account: str) -> int:
        """Count what an account leaves to chance that belongs to no task; return how often it had before."""
        with self._lock:
            return self._accounts.next_draw(account)

    # Accounts

    def settings(self, account: str) -> AccountSettings:
        """Return what holds for an account: its own settings, else the server's."""
        return self._accounts.settings(account)

    def own_settings(self, account: str) -> Mapping[str, Any]:
        """Return what an account has set for itself."""
        return self._accounts.own(account)

    def configure(self, account: str | None, changes: Changes, now: int) -> None:
        """Set what holds for an account, or (None) for every account without a setting of its own. Raises TooManyError."""
        with self._lock:
            if account is not None:
                self._settle(self._clocks.owner(account), now)
            self._accounts.configure(account, changes)

    def spent(self, account: str | None, machine: int) -> Decimal:
        """What an account, or (None) everybody, has paid, less what came back."""
        with self._lock:
            self._settle_for(account, machine)
            return self._accounts.spent(account)

    def slots(self, account: str | None, machine: int) -> int:
        """How many slots the tasks of an account, or (None) of everybody, hold."""
        with self._lock:
            self._settle_for(account, machine)
            return self._accounts.slots(account)

    def _settle_for(self, account: str | None, machine: int) -> None:
        if account is None:
            self._settle_all(machine)
        else:
            owner, clock = self._clocks.of(account)
            self._settle(owner, clock.at(machine))

    def count_request(self, account: str, now: int) -> bool:
        """Count a request in its window; False if there have been too many."""
        if self.settings(account).requests is None:
            return True
        with self._lock:
            return self._accounts.count_request(account, now)

    def followers(self) -> int:
        """Return how many of `accounts` go by the server's clock, counted up to PAGE."""
        with self._lock:
            names = self._accounts.names("", PAGE)
            return sum(self._clocks.owner(name) == SERVER for name in names)

    def requests_used(self, account: str, now: int) -> int:
        """Return how many requests the window of an account has counted; 0 where none is limited."""
        with self._lock:
            return 0 if self.settings(account).requests is None else self._accounts.requests_used(account, now)

    def accounts(self, *, after: str = "", limit: int = PAGE) -> list[str]:
        """Return at most `limit` accounts that have made a task or have settings of their own. Raises UnknownCursorError."""
        with self._lock:
            return self._accounts.names(after, limit)

    # Queued scenarios

    def queue_scenario(self, account: str, operation_id: str, scenario: Scenario, times: int) -> None:
        """Let a scenario apply to the next requests for an operation, of one account or (empty) of all. Raises TooManyError."""
        with self._lock:
            self._queues.add(account, operation_id, QueueEntry(scenario, times))

    def take_scenario(self, account: str, operation_id: str) -> tuple[Scenario, str] | None:
        """Use up one turn of the first scenario in the queue of the account, else of all; with the queue's account."""
        if not self._queues:
            return None
        with self._lock:
            return self._queues.take(account, operation_id)

    def give_back_scenario(self, owner: str, operation_id: str, scenario: Scenario) -> None:
        """Put a turn back that did not come to pass."""
        with self._lock:
            self._queues.give_back(owner, operation_id, scenario)

    def unqueue(self, account: str, operation_id: str, scenario: str) -> int:
        """Take what an account (empty: all) has queued out of its queues, and return how many entries that were."""
        with self._lock:
            return self._queues.remove(account, operation_id, scenario)

    def queued(self, account: str | None) -> list[tuple[str, str, QueueEntry]]:
        """Return owner, operation and entry of what is queued for an account, for all (empty), or for whomever (None)."""
        with self._lock:
            return self._queues.waiting(account)

    # Deliveries

    def claim(
        self, machine: int, *, only: str | None = None, without: Collection[str] = ()
    ) -> tuple[Delivery, Task] | None:
        """Take the delivery that has been due the longest by the clock of its account, with its task; `finish` gives it back.

        `only` of an account, or (empty) of those that follow the server's clock; or `without` some of these.
        """
        with self._lock:
            delivery = self._deliveries.claim(machine, only=only, without=without)
            record = self._tasks.get(delivery.task_id) if delivery else None
            return (delivery, record.task) if delivery and record else None

    def next_due(self, only: str) -> int | None:
        """Return the time of the next attempt by the clock of an account, or (empty) of those that follow the server's."""
        with self._lock:
            return self._deliveries.next_due(only)

    def next_wake(self, without: Collection[str] = ()) -> int | None:
        """Return the machine's time of the next attempt of all; None if no clock comes to one by itself."""
        with self._lock:
            return self._deliveries.next_wake(without)

    def finish(self, delivery: Delivery, attempt: Attempt, *, retry_at: int | None, outcome: Outcome) -> None:
        """Note an attempt of a claimed delivery: another one follows at `retry_at` (ms), or it is settled as `outcome`."""
        with self._lock:
            grown = self._deliveries.finish(delivery, attempt, retry_at=retry_at, outcome=outcome)
            if grown and (record := self._tasks.get(delivery.task_id)):
                self._tasks.grow(record, grown)
                self._make_room()

    def resend(self, delivery_id: str) -> bool:
        """Make a settled delivery due once more; False if there is none of that id, or it is pending."""
        with self._lock:
            return self._deliveries.resend(delivery_id)

    def deliveries(
        self,
        account: str | None = None,
        *,
        after: str = "",
        limit: int = PAGE,
        newest_first: bool = False,
        outcome: str | None = None,
    ) -> list[Delivery]:
        """Return at most `limit` callbacks of an account or of all, after one. Raises UnknownCursorError."""
        with self._lock:
            return self._deliveries.after(account, after, limit, newest_first=newest_first, outcome=outcome)

    def upcoming_deliveries(self, whose: str, limit: int) -> list[Delivery]:
        """Return at most `limit` callbacks that are next of an account, or (empty) by the server's clock, in order."""
        with self._lock:
            return self._deliveries.upcoming(whose, limit)

    def deliveries_of(self, task_ids: Iterable[str]) -> dict[str, list[Delivery]]:
        """Return the callbacks of each of these tasks that has some, in the order in which they are made."""
        with self._lock:
            records = filter(None, map(self._tasks.get, task_ids))
            found = {record.task.task_id: self._deliveries.among(record.deliveries) for record in records}
        return {task_id: deliveries for task_id, deliveries in found.items() if deliveries}

    def pending(self, limit: int) -> list[str]:
        """Return the ids of at most `limit` tasks of which a callback is pending."""
        with self._lock:
            return self._deliveries.pending(limit)

    def delivery(self, delivery_id: str) -> Delivery | None:
        """Return one delivery."""
        return self._deliveries.get(delivery_id)

    def delivery_counts(self) -> dict[str, int]:
        """How many deliveries there are, by outcome."""
        with self._lock:
            return {
                outcome: count for outcome, count in self._deliveries.counts.items() if count or outcome == "pending"
            }
