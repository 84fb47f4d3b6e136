"""What moves a task along, from many threads and in any order: its history stays one that the service could have."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from klingkit.contract import ApiError, load_contract
from klingkit.mock_server.account_settings import AccountSettings
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.scenario_choice import parse_scenario
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from klingkit.mock_server.task_bodies import query_data
from klingkit.mock_server.tasks import snapshot
from tests.conftest import PATH, Api, Clock, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.mock_server.tasks import Snapshot

ORDER = ["submitted", "processing", "succeed", "failed"]
PRICE = load_contract().price_per_picture


def polls(api: Api, task_id: str, times: int) -> list[str]:
    return [data_of(api.query(task_id))["task_status"] for _ in range(times)]


def create(api: Api, progression: str, scenario: str = "") -> str:
    prefer = f"progression={progression}" + (f', scenario="{scenario}"' if scenario else "")
    task_id: str = data_of(api.send("POST", PATH, json=body(), headers={"Prefer": prefer}))["task_id"]
    return task_id


def test_by_polls_each_query_moves_a_task_one_step(api: Api) -> None:
    """Independently of every other task."""
    one, two = create(api, "polls"), create(api, "polls")

    assert polls(api, one, 4) == ["submitted", "processing", "succeed", "succeed"]
    assert polls(api, two, 2) == ["submitted", "processing"]


def test_by_polls_a_late_task_begins_when_it_is_visible(api: Api) -> None:
    task_id = create(api, "polls", "late-visible")
    assert api.query(task_id).status_code == 400
    assert polls(api, task_id, 3) == ["submitted", "processing", "succeed"]


def test_advancing_the_clock_moves_such_a_task_too(api: Api) -> None:
    task_id = create(api, "polls")
    events = Control.of(api.simulator).advance("10s")

    assert [event["status"] for event in events] == ["processing", "succeed"]
    assert polls(api, task_id, 1) == ["succeed"]
    data = data_of(api.query(task_id))
    assert data["updated_at"] == events[1]["at"]


def test_by_polls_time_alone_moves_nothing(make_api: Callable[..., Api], clock: Clock) -> None:
    api = make_api(account=AccountSettings(progression="polls"))
    task_id = data_of(api.create())["task_id"]
    clock.move_to(clock.now() + 3_600_000)
    assert polls(api, task_id, 3) == ["submitted", "processing", "succeed"]


def test_by_hand_only_the_control_api_moves_a_task(api: Api) -> None:
    control = Control.of(api.simulator)
    task_id = create(api, "manual")
    assert control.advance("1h") == []
    assert polls(api, task_id, 3) == ["submitted"] * 3
    assert control.move(task_id)["status"] == "processing"
    assert polls(api, task_id, 2) == ["processing"] * 2
    assert control.move(task_id)["status"] == "succeed"
    assert control.move(task_id)["status"] == "succeed"


def test_a_task_that_time_moves_can_be_moved_by_hand_too(api: Api, clock: Clock) -> None:
    control = Control.of(api.simulator)
    task_id = create(api, "time")
    moved = control.move(task_id)
    assert moved["status"] == "processing"
    assert moved["timeline"]["happened"] == [
        {"status": "submitted", "at": START},
        {"status": "processing", "at": START},
    ]
    clock.move_to(clock.now() + 60_000)
    assert polls(api, task_id, 1) == ["succeed"]


def test_the_account_and_the_request_choose_the_progression(api: Api) -> None:
    Control.of(api.simulator, key="key").configure(progression="polls")
    assert polls(api, data_of(api.create())["task_id"], 3) == ["submitted", "processing", "succeed"]
    assert polls(api, create(api, "manual"), 2) == ["submitted"] * 2


@pytest.mark.parametrize("progression", ["time", "polls"])
def test_16_threads_see_one_history(make_api: Callable[..., Api], progression: str) -> None:
    """While they poll, the clock is advanced: never backwards, never two ends."""
    api = make_api(account=AccountSettings(progression=progression))
    task_id = data_of(api.create())["task_id"]
    simulator, account = api.simulator, api.simulator.store.tasks()[0].account
    control = Control.of(simulator)
    start, over = threading.Barrier(17), threading.Event()

    def poll(_: int) -> list[Snapshot]:
        start.wait()
        history = []
        while not over.is_set():
            history.append(simulator.query(account, task_id))
        return [*history, simulator.query(account, task_id)]

    with ThreadPoolExecutor(16) as pool:
        histories = [pool.submit(poll, number) for number in range(16)]
        start.wait()
        try:
            for _ in range(50):
                control.advance("100ms")
        finally:
            over.set()
        seen = [history.result() for history in histories]

    for history in seen:
        assert all(before.step <= after.step for before, after in pairwise(history))
        assert all(before.updated_at <= after.updated_at for before, after in pairwise(history))
    assert {history[-1].status for history in seen} == {"succeed"}
    assert len({history[-1].updated_at for history in seen}) == 1


class Service(RuleBasedStateMachine):
    """Creates, queries, moves and time, in any order, under every progression and scenario, with money and slots."""

    @initialize(
        progression=st.sampled_from(["time", "polls", "manual"]),
        balance=st.none() | st.integers(0, 12).map(lambda pictures: pictures * PRICE),
        slots=st.none() | st.integers(0, 6),
    )
    def start(self, progression: str, balance: Decimal | None, slots: int | None) -> None:
        account = AccountSettings(progression=progression, balance=balance, concurrency=slots)
        self.simulator = Simulator(Settings(account=account, state=self.new_state()), clock=ClockState(START))
        self.control = Control.of(self.simulator)
        self.balance, self.slots = balance, slots
        self.seen: dict[str, Snapshot] = {}
        self.cost: dict[str, Decimal] = {}
        self.refused = 0

    @rule(
        n=st.integers(1, 3),
        scenario=st.sampled_from(
            ["", "fail-pixels", "stuck-processing", "path:submitted>failed", "path:submitted>succeed", "late-visible"]
        ),
        external=st.sampled_from(["", "a", "b"]),
        valid=st.booleans(),
    )
    def create(self, n: int, scenario: str, external: str, valid: bool) -> None:
        request = body(n=n if valid else 0, external_task_id=external)
        chosen = parse_scenario(scenario, self.simulator.contract) if scenario else None
        before = len(self.simulator.store.tasks()), self.simulator.store.spent(None, self.simulator.clocks.now())
        try:
            view = self.simulator.create("a", request, "http://host", scenario=chosen)
        except ApiError:
            after = len(self.simulator.store.tasks()), self.simulator.store.spent(None, self.simulator.clocks.now())
            assert before == after, "a refused create leaves nothing behind and costs nothing"
            return
        assert valid
        assert view.status == "submitted"
        self.cost[view.task.task_id] = n * PRICE

    @rule(data=st.data())
    def query(self, data: st.DataObject) -> None:
        if self.cost:
            task_id = data.draw(st.sampled_from(sorted(self.cost)))
            try:
                self.look(self.simulator.query("a", task_id))
            except ApiError:
                assert task_id not in self.seen, "a task that was visible does not vanish"

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        if self.cost:
            self.control.move(data.draw(st.sampled_from(sorted(self.cost))))

    @rule(ms=st.integers(0, 6000))
    def advance(self, ms: int) -> None:
        events = self.control.advance(f"{ms}ms")
        assert [event["at"] for event in events] == sorted(event["at"] for event in events)

    @rule()
    def run_until_idle(self) -> None:
        self.control.advance_to("idle")

    @invariant()
    def money_is_conserved(self) -> None:
        now = self.simulator.clocks.now()
        failed = {task.task_id for task in self.simulator.store.tasks() if snapshot(task, now).status == "failed"}
        spent = sum((cost for task_id, cost in self.cost.items() if task_id not in failed), Decimal(0))
        account = self.control.account()
        assert Decimal(account["spent"]) == spent
        if self.balance is not None:
            left = Decimal(Control.of(self.simulator, key="k").account()["balance"])
            assert left == self.balance  # another key has its own
            assert spent <= self.balance

    @invariant()
    def slots_are_held_to_the_end(self) -> None:
        now = self.simulator.clocks.now()
        held = sum(task.n for task in self.simulator.store.tasks() if not snapshot(task, now).ended)
        assert self.simulator.store.slots("a", now) == held
        assert self.slots is None or held <= self.slots

    def look(self, view: Snapshot) -> None:
        """Compare with what was seen before of the same task."""
        before = self.seen.get(view.task.task_id)
        self.seen[view.task.task_id] = view
        data: dict[str, Any] = query_data(view, self.simulator.contract, "http://host")
        assert ORDER.index(view.status) >= (ORDER.index(before.status) if before else 0)
        assert view.updated_at >= (before.updated_at if before else view.task.created_at)
        assert before is None or not before.ended or before.status == view.status, "never two ends"
        assert len(data["task_result"].get("images", ())) == (view.task.n if view.status == "succeed" else 0)
        assert bool(data.get("task_status_msg")) == (view.status == "failed")

    def new_state(self) -> str | None:
        """Where the state is kept: in memory."""
        return None

    def teardown(self) -> None:
        if hasattr(self, "simulator"):  # Hypothesis also ends a service that it never let begin
            self.simulator.close()


TestService = Service.TestCase
TestService.settings = settings(max_examples=60, stateful_step_count=30)


class ServiceOnSqlite(Service):
    """The same with the state in a database."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()

    def new_state(self) -> str | None:
        return f"sqlite:///{self.folder.name}/state.db"

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


TestServiceOnSqlite = ServiceOnSqlite.TestCase
TestServiceOnSqlite.settings = settings(max_examples=15, stateful_step_count=25)
