"""By many clocks at once, a store finds the same as whoever looks through everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from klingkit.mock_server.agenda import Due, ahead_of, just_after
from klingkit.mock_server.clock import ClockState
from klingkit.mock_server.deliveries import Attempt, Delivery
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.store import MemoryStore
from klingkit.mock_server.store.sql.opening import open_store
from klingkit.mock_server.tasks import Plan, Task, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.mock_server.store import Store
    from tests.states import States

ACCOUNTS = ("a", "b", "c", "d")
WHO = st.sampled_from(ACCOUNTS)
OWNERS = st.sampled_from(("", *ACCOUNTS))
MS = st.integers(0, 40)


class ClockOwners(RuleBasedStateMachine):
    """Accounts whose clocks are moved, with tasks and callbacks; beside it lists that are looked through."""

    is_shared = False

    def make(self) -> Store:
        return MemoryStore(Settings(max_tasks=8))

    @initialize()
    def begin(self) -> None:
        self.store = self.make()
        self.machine = 1000
        self.clocks = {"": ClockState()}
        self.number = 0
        self.orders: dict[str, int] = {}
        self.claimed: list[tuple[Delivery, Task]] = []

    def clock(self, account: str) -> ClockState:
        return self.clocks.get(account, self.clocks[""])

    def owner(self, account: str) -> str:
        return account if account in self.clocks else ""

    def now(self, account: str) -> int:
        return self.clock(account).at(self.machine)

    @rule(account=WHO, first=MS, second=MS, result=MS, progression=st.sampled_from(["time", "polls", "manual"]))
    def create(self, account: str, first: int, second: int, result: int, progression: str) -> None:
        now = self.now(account)
        steps = (("submitted", now), ("processing", now + first), ("succeed", now + first + second))
        self.number += 1
        name = f"{self.number}"
        task = Task(name, account, Plan(steps, result_ms=result), "", 1, "1:1", (), "", "", "", progression=progression)
        deliveries = [
            Delivery(f"{name}-{step}", name, account, step, step, task.reached_at(step)) for step in range(len(steps))
        ]
        self.store.add(task, now, deliveries)
        self.orders[name] = self.number

    @rule(owner=OWNERS, by=MS)
    def move(self, owner: str, by: int) -> None:
        self._change(owner, lambda clock: clock.moved(clock.at(self.machine) + by, self.machine))

    @rule(owner=OWNERS)
    def freeze(self, owner: str) -> None:
        self._change(owner, lambda clock: clock.frozen(self.machine))

    @rule(owner=OWNERS)
    def resume(self, owner: str) -> None:
        self._change(owner, lambda clock: clock.running(self.machine))

    def _change(self, owner: str, change: Callable[[ClockState], ClockState]) -> None:
        self.clocks[owner] = change(self.clock(owner))
        assert self.store.change_clock(owner, self.machine, change) == self.clocks[owner]

    @rule(account=WHO)
    def reset(self, account: str) -> None:
        self.store.reset_account(account)
        if account in self.clocks:
            del self.clocks[account]

    @rule(by=MS)
    def time_goes_by(self, by: int) -> None:
        self.machine += by

    @rule(data=st.data())
    def poll_or_push(self, data: st.DataObject) -> None:
        if tasks := self.store.tasks():
            task = data.draw(st.sampled_from(tasks))
            now = self.now(task.account)
            if data.draw(st.booleans()):
                self.store.poll(task.task_id, task.account, task.path, now)
            else:
                self.store.move(task.task_id, now)

    @rule(only=st.none() | OWNERS, without=st.sets(OWNERS, max_size=2))
    def claim(self, only: str | None, without: set[str]) -> None:
        without = set() if only is not None else without
        due = [found for found in self._heads() if self._is_due(found) and self._is_meant(found, only, without)]
        claimed = self.store.claim(self.machine, only=only, without=without)
        if claimed is None:
            assert not due
            return
        delivery, task = claimed
        assert task.task_id == delivery.task_id
        rivals = [found for found in due if self.owner(found.account) == self.owner(delivery.account)]
        assert delivery.id in {found.id for found in rivals}
        assert delivery.due_at == min(found.due_at for found in rivals if found.due_at is not None)
        self.claimed.append(claimed)

    @precondition(lambda self: self.claimed)
    @rule(pause=st.none() | MS)
    def finish(self, pause: int | None) -> None:
        delivery, _ = self.claimed.pop(0)
        now = self.now(delivery.account)
        attempt = Attempt(now, 500 if pause is not None else 200, "no" if pause is not None else "")
        retry_at = None if pause is None else now + pause
        self.store.finish(delivery, attempt, retry_at=retry_at, outcome="" if pause is not None else "delivered")

    @invariant()
    def what_is_next_is_found(self) -> None:
        if self.claimed and self.is_shared:  # it says when another process may take a claim over that is not given back
            return
        for owner in ("", *ACCOUNTS):
            times = [found.due_at for found in self._heads() if self._is_meant(found, owner, set())]
            assert self.store.next_due(owner) == min((at for at in times if at is not None), default=None)
        wakes = [self.clock(found.account).when(found.due_at) for found in self._heads() if found.due_at is not None]
        assert self.store.next_wake() == min((at for at in wakes if at is not None), default=None)

    @invariant()
    def what_lies_ahead_is_found(self) -> None:
        for owner in ("", *ACCOUNTS):
            place = just_after(self.now(owner))
            tasks = [task for task in self.store.tasks() if self.owner(task.account) == owner]
            all_of_them = sorted(due for task in tasks for due in ahead_of(task, self.orders[task.task_id]))
            ahead = [due for due in all_of_them if due.place > place or self._waits(due)]
            assert [self._named(due) for due in self.store.ahead(owner, place, 100)] == [
                self._named(due) for due in ahead
            ]
            changes = [self._named(due) for due in ahead if due.kind == "status"]
            assert [self._named(due) for due in self.store.ahead(owner, place, 2, changes_only=True)] == changes[:2]

    @invariant()
    def statuses_and_slots_are_as_each_clock_says(self) -> None:
        views = [snapshot(task, self.now(task.account)) for task in self.store.tasks()]
        counted = self.store.count_statuses(self.machine)
        for status in ("submitted", "processing", "succeed"):
            assert counted.get(status, 0) == sum(view.status == status for view in views)
        assert self.store.slots(None, self.machine) == sum(not view.ended for view in views)

    def _waits(self, due: Due) -> bool:
        task = self.store.get(due.whose)
        return due.kind == "status" and task is not None and task.progression == "polls"

    @staticmethod
    def _named(due: Due) -> Any:
        """Without the order, of which only a comparison means anything."""
        return due._replace(order=0)

    def _heads(self) -> list[Delivery]:
        """The first pending callback of each task, as far as nobody has it and its account has not too many."""
        held = [delivery for delivery, _ in self.claimed]
        heads: dict[str, Delivery] = {}
        for delivery in self.store.deliveries():
            if not delivery.outcome:
                heads.setdefault(delivery.task_id, delivery)
        return [head for head in heads.values() if head.id not in {found.id for found in held}]

    def _is_due(self, delivery: Delivery) -> bool:
        return delivery.due_at is not None and delivery.due_at <= self.now(delivery.account)

    def _is_meant(self, delivery: Delivery, only: str | None, without: set[str]) -> bool:
        names = {delivery.account, self.owner(delivery.account)}
        return (only is None or only in names) and names.isdisjoint(without)


ClockOwners.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestClockOwners = ClockOwners.TestCase


def test_a_database_finds_the_same(states: States) -> None:
    class InDatabase(ClockOwners):
        is_shared = True

        def make(self) -> Store:
            url = states.new("sqlite", start=ClockState())
            return open_store(Settings(max_tasks=8, state=url), ClockState())

        def teardown(self) -> None:
            self.store.close()

    run_state_machine_as_test(InDatabase, settings=settings(max_examples=5, stateful_step_count=15, deadline=None))
