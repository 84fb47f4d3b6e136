"""All state of the simulator in the memory of one process, as values. Bounded; each method is one atomic operation."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from ..cache import ByteCache
from ..journal import Journal
from .account_states import AccountStates, RefusedError
from .delivery_queue import DeliveryQueue
from .scenario_queues import QueueEntry, ScenarioQueues
from .task_records import Record, TakenIdError, TaskRecords

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from ..accounts import AccountSettings
    from ..deliveries import Attempt, Delivery, Outcome
    from ..scenarios import Scenario
    from ..settings import Settings
    from ..tasks import Task


class MemoryStore:
    """The state by concern, behind one lock.

    The parts have no lock, so that what touches several of them (a new task has money, slots and callbacks) happens at once. A
    method without the lock does one look-up in one dict, which Python makes whole.
    """

    def __init__(self, settings: Settings) -> None:
        self._lock = threading.Lock()
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._tasks = TaskRecords()
            self._accounts = AccountStates(self._settings.account, self._tasks.has_ended)
            self._queues = ScenarioQueues()
            self._deliveries = DeliveryQueue()
            self.created = 0
            """How many tasks there have been."""
            self.journal = Journal(self._settings.max_journal)
            self.inputs = ByteCache(self._settings.max_input_bytes)
            self.results = ByteCache(self._settings.max_result_bytes)

    def reset_account(self, account: str) -> None:
        """Forget everything of one account."""
        with self._lock:
            for task in self._tasks.tasks(account):
                self._drop(task.task_id)
            self._accounts.forget(account)
            self._queues.forget(account)
            self.journal.forget(account)

    # Tasks

    def add(self, task: Task, now: int, deliveries: list[Delivery]) -> bool:
        """Keep a new task with its callbacks, and drop the oldest if there are too many; tell whether one was dropped.

        Raises RefusedError, and leaves nothing behind, if the `external_task_id` is taken or the account's money or
        slots do not allow it; TakenIdError likewise.
        """
        with self._lock:
            if self._tasks.get(task.task_id):
                raise TakenIdError
            if self._tasks.has_external_id(task):
                raise RefusedError("external_task_id.unique")
            self._accounts.charge(task, now)
            self._tasks.add(Record(task, deliveries=[delivery.id for delivery in deliveries]))
            self._deliveries.add(deliveries)
            self.created += 1
            if len(self._tasks) <= self._settings.max_tasks:
                return False
            self._drop(self._tasks.oldest())
            return True

    def get(self, task_id: str) -> Task | None:
        """Return a task of any account."""
        record = self._tasks.get(task_id)
        return record.task if record else None

    def record(self, task_id: str) -> Record | None:
        """Return a task with what happened to it: to be read, not changed."""
        return self._tasks.get(task_id)

    def tasks(self) -> list[Task]:
        """Return all tasks, oldest first."""
        with self._lock:
            return self._tasks.tasks()

    def poll(self, task_id: str, account: str, now: int, number: int) -> Task | None:
        """Count a query of a task and move the task if queries do that; return it, or None if it is not visible."""
        with self._lock:
            record = self._tasks.get(task_id)
            if record is None or record.task.account != account:
                return None
            record.poll(now, number)
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
            known = [task.task_id for task in self._tasks.tasks(account) if task.task_id != task_id]
        return next((near for near in known if float(near) == float(task_id)), "")

    def mark_fetched(self, task_id: str) -> None:
        """Note that a result picture was fetched."""
        record = self._tasks.get(task_id)
        if record:
            record.fetched = True

    def _move(self, record: Record, now: int) -> None:
        step = record.move(now)
        if step is not None:
            self._deliveries.reach(record.task, step, now)

    def _drop(self, task_id: str) -> None:
        record = self._tasks.remove(task_id)
        self._accounts.release(record.task)
        self._deliveries.remove(task_id, record.deliveries)

    # Accounts

    def settings(self, account: str) -> AccountSettings:
        """Return what holds for an account: its own settings, else the server's."""
        known = self._accounts.known_settings(account)  # every request asks several times
        if known is not None:
            return known
        with self._lock:
            return self._accounts.settings(account)

    def default_source(self, account: str, name: str) -> str:
        """Tell whether a setting of an account is its own (`account`) or the server's (`server`)."""
        return "account" if self._accounts.has_own(account, name) else "server"

    def configure(self, account: str | None, changes: dict[str, Any], now: int) -> None:
        """Set what holds for an account, or (None) for every account without a setting of its own."""
        with self._lock:
            self._accounts.configure(account, changes, now)

    def spent(self, account: str | None, now: int) -> Decimal:
        """What an account, or (None) everybody, has paid, less what came back."""
        with self._lock:
            return self._accounts.spent(account, now)

    def slots(self, account: str, now: int) -> int:
        """How many slots the tasks of an account hold."""
        with self._lock:
            return self._accounts.slots(account, now)

    def count_request(self, account: str, now: int) -> bool:
        """Count a request in its window; False if there have been too many."""
        if self.settings(account).requests is None:
            return True
        with self._lock:
            return self._accounts.count_request(account, now)

    def windows(self) -> list[tuple[int, str]]:
        """Return the time in ms at which each begun window ends, with its account."""
        with self._lock:
            return self._accounts.windows()

    def accounts(self) -> list[str]:
        """Return every account that has made a task or has settings of its own."""
        with self._lock:
            return self._accounts.names()

    # Queued scenarios

    def queue_scenario(self, account: str, operation_id: str, scenario: Scenario, times: int) -> None:
        """Let a scenario apply to the next requests for an operation, of one account or (empty) of all."""
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

    def queued(self, account: str) -> list[tuple[str, QueueEntry]]:
        """Return operation and entry of all that an account (empty: all) has queued."""
        with self._lock:
            return self._queues.waiting(account)

    # Deliveries

    def claim(self, now: int, may: Callable[[str], bool]) -> tuple[Delivery, Task] | None:
        """Take the delivery that has been due the longest, of an account that may, with its task; `finish` gives it back."""
        with self._lock:
            delivery = self._deliveries.claim(now, may)
            record = self._tasks.get(delivery.task_id) if delivery else None
            return (delivery, record.task) if delivery and record else None

    def next_due(self, may: Callable[[str], bool] = lambda _: True) -> int | None:
        """Time in ms of the next attempt of an account that may; None if there is none."""
        with self._lock:
            return self._deliveries.next_due(may)

    def finish(self, delivery: Delivery, attempt: Attempt, *, retry_at: int | None, outcome: Outcome) -> None:
        """Note an attempt of a claimed delivery: another one follows at `retry_at` (ms), or it is settled as `outcome`."""
        with self._lock:
            self._deliveries.finish(delivery, attempt, retry_at=retry_at, outcome=outcome)

    def resend(self, delivery_id: str) -> bool:
        """Make a settled delivery due once more; False if there is none of that id, or it is pending."""
        with self._lock:
            return self._deliveries.resend(delivery_id)

    def deliveries(self, account: str | None = None) -> list[Delivery]:
        """Return the callbacks of an account or of all, oldest first."""
        with self._lock:
            return self._deliveries.all(account)

    def delivery(self, delivery_id: str) -> Delivery | None:
        """Return one delivery."""
        return self._deliveries.get(delivery_id)

    def delivery_counts(self) -> dict[str, int]:
        """How many deliveries there are, by outcome."""
        return {"pending": 0, **Counter(delivery.outcome or "pending" for delivery in self.deliveries())}
