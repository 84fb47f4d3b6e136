"""Claims of several processes: whatever they do and whoever dies, a callback is settled once, in order, by who has it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.deliveries import Attempt, Delivery
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.store.delivery_queue import MAX_AT_ONCE
from klingkit.mock_server.store.sql.opening import open_store
from klingkit.mock_server.tasks import Plan, Task

if TYPE_CHECKING:
    from klingkit.mock_server.store.sql.store import SqlStore
    from tests.states import States

PROCESSES = st.sampled_from([0, 1])
ACCOUNTS = st.sampled_from(["a", "b"])


@dataclass
class Told:
    """What is to be known of a callback."""

    account: str
    statuses: list[int] = field(default_factory=list)
    """Of the attempts that count."""

    @property
    def settled(self) -> bool:
        return 200 in self.statuses


class Claims(RuleBasedStateMachine):
    """Two processes deliver callbacks that are all due; beside them what must come of it."""

    states: States

    @initialize()
    def begin(self) -> None:
        url = self.states.new("sqlite")
        self.stores: list[SqlStore] = [open_store(Settings(state=url), ClockState(START)) for _ in range(2)]
        self.told: dict[str, Told] = {}
        self.tasks: list[list[str]] = []
        self.alive: list[Delivery] = []
        self.dying: list[Delivery] = []
        """Claims that have run out, and of which nobody has heard."""
        self.void: list[Delivery] = []
        """Claims that were taken over."""
        for account in ("a", "a", "b"):
            self.create(0, account, 2, 1)

    def teardown(self) -> None:
        kept = self.stores[0].deliveries()
        assert {found.id: [made.status for made in found.attempts] for found in kept} == {
            name: told.statuses for name, told in self.told.items()
        }
        settled = sum(told.settled for told in self.told.values())
        assert sum(bool(found.outcome) for found in kept) == settled
        assert self.stores[1].delivery_counts().get("delivered", 0) == settled
        for store in self.stores:
            store.close()

    @rule(process=PROCESSES, account=ACCOUNTS, steps=st.integers(1, 3), tasks=st.integers(1, 4))
    def create(self, process: int, account: str, steps: int, tasks: int) -> None:
        for _ in range(tasks):
            name = str(len(self.tasks) + 1)
            plan = Plan(tuple(("submitted", START) for _ in range(steps)))
            task = Task(name, account, plan, "", 1, "1:1", (), "", "", "")
            planned = [Delivery(f"{name}-{step}", name, account, step, step, START) for step in range(steps)]
            self.stores[process].add(task, START, planned)
            self.tasks.append([delivery.id for delivery in planned])
            self.told |= {delivery.id: Told(account) for delivery in planned}

    @rule(process=PROCESSES, dies=st.booleans())
    def claim(self, process: int, dies: bool) -> None:
        self.void += self.dying  # whoever looks takes over
        self.dying = []
        store = self.stores[process]
        store.leases.lease_ms = 0 if dies else 60_000
        free = self._free()
        claimed = store.claim(START)
        if claimed is None:
            assert not free
            return
        assert claimed[0].id in free
        assert [attempt.status for attempt in claimed[0].attempts] == self.told[claimed[0].id].statuses
        (self.dying if dies else self.alive).append(claimed[0])

    @precondition(lambda self: self.alive or self.dying or self.void)
    @rule(process=PROCESSES, data=st.data(), status=st.sampled_from([200, 500]))
    def finish(self, process: int, data: st.DataObject, status: int) -> None:
        claims = data.draw(st.sampled_from([found for found in (self.alive, self.dying, self.void) if found]))
        delivery = data.draw(st.sampled_from(claims))
        claims.remove(delivery)
        counts = claims is not self.void
        done = status == 200
        attempt = Attempt(START, status, "" if done else "no")
        retry_at, outcome = (None, "delivered") if done else (START, "")
        self.stores[process].finish(delivery, attempt, retry_at=retry_at, outcome=outcome)  # type: ignore[arg-type]
        if counts:
            self.told[delivery.id].statuses.append(status)
        kept = self.stores[process].delivery(delivery.id)
        assert kept
        assert [made.status for made in kept.attempts] == self.told[delivery.id].statuses

    def _free(self) -> set[str]:
        """The first callback of each task that is not settled, where nobody has it and its account has not too many."""
        held = {delivery.id for delivery in self.alive}
        at_once = Counter(delivery.account for delivery in self.alive)
        heads = {next((name for name in names if not self.told[name].settled), "") for names in self.tasks}
        return {name for name in heads - held if name and at_once[self.told[name].account] < MAX_AT_ONCE}


def test_claims(states: States) -> None:
    Claims.states = states
    run_state_machine_as_test(Claims, settings=settings(max_examples=6, stateful_step_count=30, deadline=None))
