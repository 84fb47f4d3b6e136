"""All state of the simulator, as values: tasks, accounts, deliveries, queued scenarios, journal, pictures.

Bounded; each method is one atomic operation.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .accounts import AccountSettings, Money
from .cache import ByteCache
from .journal import Journal
from .tasks import snapshot

if TYPE_CHECKING:
    from .deliveries import Attempt, Delivery
    from .scenarios import Scenario
    from .settings import Settings
    from .tasks import Task

MAX_POLLS_KEPT = 200
MAX_AT_ONCE = 8
"""Attempts of one account, so that its slow receiver does not hold up the others."""


class RefusedError(Exception):
    """A new task is refused by the rule of that id."""

    def __init__(self, rule_id: str) -> None:
        super().__init__(rule_id)
        self.rule_id = rule_id


@dataclass(slots=True)
class Record:
    """A task and what happened to it."""

    task: Task
    polls: int = 0
    polled: list[tuple[int, int]] = field(default_factory=list)  # a deque takes 600 bytes even when it is empty
    """Time in ms and journal number of the last queries."""
    deliveries: list[str] = field(default_factory=list)
    line: list[str] = field(default_factory=list)
    """Deliveries that are pending, in the order in which they are made; only the first can be due."""
    end_seen: bool = False
    """Whether a query has shown the end."""
    fetched: bool = False
    """Whether a result picture was fetched."""


class MemoryStore:
    """State in the memory of one process."""

    def __init__(self, settings: Settings) -> None:
        self._lock = threading.RLock()
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._records: OrderedDict[str, Record] = OrderedDict()
            self._external_ids: dict[tuple[str, str], str] = {}
            self._server = self._settings.account
            self._overrides: dict[str, dict[str, Any]] = {}
            self._effective: dict[str, AccountSettings] = {}
            self._money: dict[str, Money] = {}
            self._active: dict[str, dict[str, int]] = {}
            self._windows: dict[str, tuple[int, int]] = {}
            self._queues: dict[tuple[str, str], deque[list[Any]]] = {}
            self._deliveries: dict[str, Delivery] = {}
            self._due: list[tuple[int, int, str]] = []
            self._claimed: set[str] = set()
            self._busy: Counter[str] = Counter()
            self._resends: deque[str] = deque()
            self._order = itertools.count()
            self.created = 0
            """How many tasks there have been."""
            self.journal = Journal(self._settings.max_journal)
            self.inputs = ByteCache(self._settings.max_input_bytes)
            self.results = ByteCache(self._settings.max_result_bytes)

    def reset_account(self, account: str) -> None:
        """Forget everything of one account."""
        with self._lock:
            for task_id in [each.task.task_id for each in self._records.values() if each.task.account == account]:
                self._drop(task_id)
            self._overrides.pop(account, None)
            self._effective.pop(account, None)
            self._money.pop(account, None)
            self._active.pop(account, None)
            self._windows.pop(account, None)
            for key in [key for key in self._queues if key[0] == account]:
                del self._queues[key]
            self.journal.forget(account)

    # Tasks

    def add(self, task: Task, now: int, deliveries: list[Delivery]) -> bool:
        """Keep a new task with its callbacks, and drop the oldest if there are too many; tell whether one was dropped.

        Raises RefusedError, and leaves nothing behind, if the `external_task_id` is taken or the account's money or
        slots do not allow it.
        """
        name = (task.account, task.external_task_id)
        with self._lock:
            if task.external_task_id and name in self._external_ids:
                raise RefusedError("external_task_id.unique")
            money = self._money.get(task.account) or self._money.setdefault(task.account, Money())
            self._check_limits(task, now)
            money.charged += task.cost
            if task.plan.rule and task.plan.ends:
                money.refunds_due[task.task_id] = task.cost
            record = self._records[task.task_id] = Record(task)
            self._active.setdefault(task.account, {})[task.task_id] = task.n
            self.created += 1
            if task.external_task_id:
                self._external_ids[name] = task.task_id
            if deliveries:
                self._deliveries |= {delivery.id: delivery for delivery in deliveries}
                record.deliveries = [delivery.id for delivery in deliveries]
                record.line = list(record.deliveries)
                self._push_head(record)
            if len(self._records) <= self._settings.max_tasks:
                return False
            self._drop(next(iter(self._records)))
            return True

    def get(self, task_id: str) -> Task | None:
        """Return a task of any account."""
        record = self._records.get(task_id)
        return record.task if record else None

    def record(self, task_id: str) -> Record | None:
        """Return a task with what happened to it: to be read, not changed."""
        return self._records.get(task_id)

    def tasks(self) -> list[Task]:
        """Return all tasks, oldest first."""
        with self._lock:
            return [record.task for record in self._records.values()]

    def poll(self, task_id: str, account: str, now: int, number: int) -> Task | None:
        """Count a query of a task and move the task if queries do that; return it, or None if it is not visible."""
        with self._lock:
            record = self._records.get(task_id)
            if record is None or record.task.account != account:
                return None
            record.polls += 1
            record.polled.append((now, number))
            if len(record.polled) > MAX_POLLS_KEPT:
                del record.polled[0]
            hidden = record.task.scenario.hidden_polls if record.task.scenario else 0
            if record.polls <= hidden:
                return None
            target = record.polls - hidden - 1
            if record.task.progression == "polls" and snapshot(record.task, now).step < target:
                self.move(task_id, now)
            return record.task

    def move(self, task_id: str, now: int) -> Task | None:
        """Bring a task one step further along its plan, if there is one more; None if there is no such task."""
        with self._lock:
            record = self._records.get(task_id)
            if record is None:
                return None
            task = record.task
            step = snapshot(task, now).step
            if step + 1 < len(task.plan.steps):
                times = [task.reached_at(each) or now for each in range(1, step + 1)]
                record.task = replace(task, moved_at=(*times, now))
                for delivery_id in record.line:
                    delivery = self._deliveries[delivery_id]
                    if delivery.trigger == step + 1 and not delivery.attempts:
                        late = task.scenario.callback_late_ms if task.scenario else 0
                        self._deliveries[delivery_id] = replace(delivery, due_at=now + late)
                self._push_head(record)
            return record.task

    def see_end(self, task_id: str) -> bool:
        """Note that a query shows the end; tell whether an earlier one did."""
        with self._lock:
            record = self._records.get(task_id)
            seen = bool(record and record.end_seen)
            if record:
                record.end_seen = True
            return seen

    def near_id(self, account: str, task_id: str) -> str:
        """Return the id of a task of the account that becomes the given one when it passes through a float; else empty."""
        if not (task_id.isascii() and task_id.isdigit() and len(task_id) < 25):
            return ""
        with self._lock:
            mine = [each for each, record in self._records.items() if record.task.account == account]
        return next((each for each in mine if each != task_id and float(each) == float(task_id)), "")

    def mark_fetched(self, task_id: str) -> None:
        """Note that a result picture was fetched."""
        record = self._records.get(task_id)
        if record:
            record.fetched = True

    def _drop(self, task_id: str) -> None:
        record = self._records.pop(task_id)
        task = record.task
        self._external_ids.pop((task.account, task.external_task_id), None)
        self._active.get(task.account, {}).pop(task_id, None)
        for delivery_id in record.deliveries:
            self._deliveries.pop(delivery_id, None)
        money = self._money.get(task.account)
        if money and task_id in money.refunds_due:
            money.refunded += money.refunds_due.pop(task_id)

    # Accounts

    def settings(self, account: str) -> AccountSettings:
        """Return what holds for an account: its own settings, else the server's."""
        found = self._effective.get(account)
        if found is None:
            with self._lock:
                found = replace(self._server, **self._overrides.get(account, {}))
                self._effective[account] = found
        return found

    def default_source(self, account: str, name: str) -> str:
        """Tell whether a setting of an account is its own (`account`) or the server's (`server`)."""
        return "account" if name in self._overrides.get(account, {}) else "server"

    def configure(self, account: str | None, changes: dict[str, Any], now: int) -> None:
        """Set what holds for an account, or (None) for every account without a setting of its own."""
        with self._lock:
            if account is None:
                self._server = replace(self._server, **changes)
            else:
                spent = self.spent(account, now)
                for name in ("balance", "quota"):  # kept as the sum paid in, of which everything spent is taken away
                    if changes.get(name) is not None:
                        changes = {**changes, name: changes[name] + spent}
                self._overrides.setdefault(account, {}).update(changes)
            self._effective.clear()

    def spent(self, account: str | None, now: int) -> Decimal:
        """What an account, or (None) everybody, has paid, less what came back."""
        with self._lock:
            accounts = list(self._money) if account is None else [account]
            return sum((self._settle(name, now) for name in accounts), Decimal(0))

    def slots(self, account: str, now: int) -> int:
        """How many slots the tasks of an account hold."""
        with self._lock:
            active = self._active.get(account, {})
            for task_id in [each for each in active if snapshot(self._records[each].task, now).ended]:
                del active[task_id]
            return sum(active.values())

    def count_request(self, account: str, now: int) -> bool:
        """Count a request in its window; False if there have been too many."""
        limits = self.settings(account)
        if limits.requests is None:
            return True
        with self._lock:
            start, count = self._windows.get(account, (now, 0))
            if now >= start + limits.window_ms:
                start, count = now, 0
            self._windows[account] = (start, count + 1)
            return count < limits.requests

    def windows(self) -> list[tuple[int, str]]:
        """Return the time in ms at which each begun window ends, with its account."""
        with self._lock:
            return [
                (start + self.settings(account).window_ms, account) for account, (start, _) in self._windows.items()
            ]

    def accounts(self) -> list[str]:
        """Return every account that has made a task or has settings of its own."""
        with self._lock:
            return sorted(self._money.keys() | self._overrides.keys())

    def _check_limits(self, task: Task, now: int) -> None:
        limits = self.settings(task.account)
        if limits.quota is not None or limits.balance is not None:
            total = self._settle(task.account, now) + task.cost
            if limits.quota is not None and total > limits.quota:
                raise RefusedError("account.quota")
            if limits.balance is not None and total > limits.balance:
                raise RefusedError("account.balance")
        if limits.concurrency is not None and self.slots(task.account, now) + task.n > limits.concurrency:
            raise RefusedError("account.concurrency")

    def _settle(self, account: str, now: int) -> Decimal:
        money = self._money.get(account)
        if money is None:
            return Decimal(0)
        for task_id in [each for each in money.refunds_due if snapshot(self._records[each].task, now).ended]:
            money.refunded += money.refunds_due.pop(task_id)
        return money.spent

    # Queued scenarios

    def queue_scenario(self, account: str, operation_id: str, scenario: Scenario, times: int) -> None:
        """Let a scenario apply to the next requests for an operation, of one account or (empty) of all."""
        with self._lock:
            self._queues.setdefault((account, operation_id), deque()).append([scenario, times])

    def take_scenario(self, account: str, operation_id: str) -> tuple[Scenario, str] | None:
        """Use up one turn of the first scenario in the queue of the account, else of all; with the queue's account."""
        if not self._queues:
            return None
        with self._lock:
            for owner in (account, ""):
                queue = self._queues.get((owner, operation_id))
                if queue:
                    queue[0][1] -= 1
                    scenario: Scenario = queue[0][0]
                    if not queue[0][1]:
                        queue.popleft()
                    return scenario, owner
        return None

    def give_back_scenario(self, owner: str, operation_id: str, scenario: Scenario) -> None:
        """Put a turn back that did not come to pass."""
        with self._lock:
            queue = self._queues.setdefault((owner, operation_id), deque())
            if queue and queue[0][0] is scenario:
                queue[0][1] += 1
            else:
                queue.appendleft([scenario, 1])

    def queued(self, account: str) -> list[tuple[str, Scenario, int]]:
        """Return operation, scenario and turns left of each entry in the queue of an account (empty: of all)."""
        with self._lock:
            return [
                (operation, scenario, times)
                for (owner, operation), queue in self._queues.items()
                if owner == account
                for scenario, times in queue
            ]

    # Deliveries

    def claim(self, now: int) -> tuple[Delivery, Task] | None:
        """Take the delivery that has been due the longest, with its task; `finish` gives it back."""
        with self._lock:
            put_aside = []
            found: Delivery | None = None
            while found is None and (self._resends or (self._due and self._due[0][0] <= now)):
                again = bool(self._resends)
                entry = (0, 0, self._resends.popleft()) if again else heapq.heappop(self._due)
                delivery = self._deliveries.get(entry[2])
                # An entry is out of date when its delivery was hastened, settled or dropped since.
                if delivery and delivery.id not in self._claimed and (again or delivery.due_at == entry[0]):
                    if again or self._busy[delivery.account] < MAX_AT_ONCE:
                        found = delivery
                    else:
                        put_aside.append(entry)
            for entry in put_aside:
                heapq.heappush(self._due, entry)
            if found is None:
                return None
            self._claimed.add(found.id)
            self._busy[found.account] += 1
            return found, self._records[found.task_id].task

    def next_due(self) -> int | None:
        """Time in ms of the next attempt; None if there is none."""
        with self._lock:
            if self._resends:
                return 0
            while self._due and self._due[0][2] not in self._deliveries:
                heapq.heappop(self._due)
            if not self._due or not self._busy_beyond(self._due[0][2]):
                return self._due[0][0] if self._due else None
            return min((due for due, _, delivery_id in self._due if not self._busy_beyond(delivery_id)), default=None)

    def finish(self, delivery: Delivery, attempt: Attempt, *, retry_at: int | None, outcome: str) -> None:
        """Note an attempt of a claimed delivery: another one follows at `retry_at` (ms), or it is settled as `outcome`."""
        with self._lock:
            if delivery.id in self._claimed:
                self._claimed.discard(delivery.id)
                self._busy[delivery.account] -= 1
            record = self._records.get(delivery.task_id)
            if record is None:
                return
            settled_before = bool(delivery.outcome)
            self._deliveries[delivery.id] = replace(
                delivery,
                due_at=retry_at,
                attempts=(*delivery.attempts, attempt),
                outcome=delivery.outcome if settled_before and outcome != "delivered" else outcome,
            )
            if settled_before:
                return
            if retry_at is None and record.line and record.line[0] == delivery.id:
                del record.line[0]
            self._push_head(record)

    def resend(self, delivery_id: str) -> bool:
        """Make a settled delivery due once more; False if there is none of that id, or it is pending."""
        with self._lock:
            delivery = self._deliveries.get(delivery_id)
            if delivery is None or not delivery.outcome:
                return False
            self._resends.append(delivery_id)
            return True

    def deliveries(self, account: str | None = None) -> list[Delivery]:
        """Return the ledger of an account or of all, oldest first."""
        with self._lock:
            return [each for each in self._deliveries.values() if account is None or each.account == account]

    def delivery(self, delivery_id: str) -> Delivery | None:
        """Return one delivery."""
        return self._deliveries.get(delivery_id)

    def delivery_counts(self) -> dict[str, int]:
        """How many deliveries there are, by outcome."""
        return {"pending": 0, **Counter(delivery.outcome or "pending" for delivery in self.deliveries())}

    def _busy_beyond(self, delivery_id: str) -> bool:
        delivery = self._deliveries.get(delivery_id)
        return delivery is None or self._busy[delivery.account] >= MAX_AT_ONCE

    def _push_head(self, record: Record) -> None:
        if record.line:
            delivery = self._deliveries[record.line[0]]
            if delivery.due_at is not None and delivery.id not in self._claimed:
                heapq.heappush(self._due, (delivery.due_at, next(self._order), delivery.id))
