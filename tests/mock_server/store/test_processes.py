"""Several processes on one state behave as one. Simulators beside each other stand for them: they share nothing but the database."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.mock_server.auth import account_name
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.deliveries import Attempt
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from klingkit.mock_server.store.delivery_queue import MAX_AT_ONCE
from klingkit.mock_server.store.sql import held_leases
from klingkit.mock_server.store.sql.leases import SqlLeases
from tests.conftest import Api, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openapi_core import OpenAPI

HOOK = "http://127.0.0.1:9/hook"
PATIENCE_S = 20
"""For what happens at once, unless it never does."""


class Receiver:
    """Notes which process posts what, and lets whoever waits know; it can be told to answer nobody for a while."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, str]] = []
        self.at_once: Counter[str] = Counter()
        self.most_at_once = 0
        self.answering = threading.Event()
        self.answering.set()
        self._changed = threading.Condition()

    def of(self, process: str) -> Callable[..., int]:
        def send(url: str, sent: bytes, headers: dict[str, str], *, timeout_ms: int) -> int:
            task = json.loads(sent)
            with self._changed:
                self.received.append((process, task["task_id"], task["task_status"]))
                self.at_once[url] += 1
                self.most_at_once = max(self.most_at_once, self.at_once[url])
                self._changed.notify_all()
            self.answering.wait(PATIENCE_S)
            with self._changed:
                self.at_once[url] -= 1
            return 200

        return send

    def wait_for(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= number, PATIENCE_S), self.received


class Processes:
    """Makes simulators on one state."""

    def __init__(self, url: str, referee: OpenAPI) -> None:
        self.receiver = Receiver()
        self._url = url
        self._referee = referee
        self._made: list[Simulator] = []

    def start(self, name: str, *, clock: ClockState | None = None, **options: Any) -> Api:
        settings = Settings(state=self._url, **options)
        simulator = Simulator(settings, clock=clock or ClockState(START), send=self.receiver.of(name))
        self._made.append(simulator)
        return Api(simulator, self._referee)

    def stop(self) -> None:
        self.receiver.answering.set()
        for simulator in self._made:
            simulator.close()


@pytest.fixture
def processes(state_url: str, referee: OpenAPI) -> Iterator[Processes]:
    made = Processes(state_url, referee)
    yield made
    made.stop()


def leases_of(api: Api) -> SqlLeases:
    """What a process holds, which a test can let run out."""
    leases = api.simulator.store.leases
    assert isinstance(leases, SqlLeases)
    return leases


@contextmanager
def meanwhile(work: Callable[[], Any]) -> Iterator[list[Any]]:
    """Do something in another thread, whose result is there after the block."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    yield results
    thread.join(PATIENCE_S)
    assert results


# The journal


def test_requests_are_numbered_in_one_order_and_seen_by_all(processes: Processes) -> None:
    one, two = processes.start("one"), processes.start("two")
    asked = ["one", "two", "two", "one"]
    for name, api in zip(asked, [one, two, two, one], strict=True):
        api.query("1", key=name)
    seen = [
        [(entry["number"], entry["account"]) for entry in Control.of(api.simulator).journal()] for api in (one, two)
    ]

    assert seen == [[(number, account_name(name)) for number, name in enumerate(asked, 1)]] * 2


def test_whoever_waits_sees_a_request_of_another_process(processes: Processes) -> None:
    one, two = processes.start("one"), processes.start("two")
    with meanwhile(lambda: Control.of(one.simulator).wait_for_request(operation="create_task", timeout="20s")) as found:
        task_id = data_of(two.create())["task_id"]

    assert [entry["task_id"] for entry in found] == [task_id]


def test_whoever_waits_counts_anew_after_a_reset_by_another_process(processes: Processes) -> None:
    one, two = processes.start("one"), processes.start("two")
    for _ in range(3):
        one.query("1")
    with meanwhile(lambda: Control.of(one.simulator).wait_for_request(after=3, timeout="20s")) as found:
        Control.of(two.simulator).reset()
        two.query("1")

    assert [entry["number"] for entry in found] == [1]


# Callbacks


def test_each_callback_is_made_by_one_process_and_in_order(processes: Processes) -> None:
    apis = [processes.start(name, clock=ClockState(), instant=True) for name in ("one", "two", "three")]
    tasks = [data_of(api.create(body(callback_url=HOOK), key=str(n)))["task_id"] for n in range(4) for api in apis]
    receiver = processes.receiver
    receiver.wait_for(3 * len(tasks))
    apis[0].simulator.callbacks.settle(None)
    statuses = {task: [status for _, of, status in receiver.received if of == task] for task in tasks}

    assert statuses == {task: ["submitted", "processing", "succeed"] for task in tasks}
    assert apis[1].simulator.store.delivery_counts() == {"pending": 0, "delivered": 3 * len(tasks)}


def test_a_process_that_has_planned_nothing_delivers_what_others_have_planned(processes: Processes) -> None:
    """Also what was planned before it began."""
    planner = processes.start("planner", instant=True)
    planner.create(body(callback_url=HOOK))
    planner.simulator.clocks.resume()
    processes.start("deliverer", clock=ClockState())
    processes.receiver.wait_for(3)
    planner.create(body(callback_url=HOOK))
    processes.receiver.wait_for(6)

    assert {name for name, _, _ in processes.receiver.received} == {"deliverer"}


def test_an_account_has_no_more_attempts_at_once_than_by_one_process(processes: Processes) -> None:
    receiver = processes.receiver
    receiver.answering.clear()
    one, two = (processes.start(name, clock=ClockState(), instant=True) for name in ("one", "two"))
    for _ in range(MAX_AT_ONCE + 2):
        one.create(body(callback_url=HOOK))
    receiver.wait_for(MAX_AT_ONCE)
    two.create(body(callback_url=f"{HOOK}/other"), key="other")
    receiver.wait_for(MAX_AT_ONCE + 1)  # another account does not wait for it
    receiver.answering.set()
    receiver.wait_for(3 * (MAX_AT_ONCE + 3))

    assert receiver.most_at_once == MAX_AT_ONCE


def test_a_callback_is_taken_over_from_a_process_that_died(processes: Processes) -> None:
    """If it was not dead but late, what it has to say counts no more."""
    dead, alive = processes.start("dead", instant=True), processes.start("alive", instant=True)
    dead.create(body(callback_url=HOOK))
    machine = dead.simulator.clocks.machine()
    leases_of(dead).lease_ms = 0
    late, _ = dead.simulator.store.claim(machine, only="") or pytest.fail("nothing was due")
    alive.simulator.callbacks.deliver_due()
    dead.simulator.store.finish(late, Attempt(START, 500, "answered 500"), retry_at=START, outcome="")
    deliveries = Control.of(dead.simulator).deliveries()

    assert processes.receiver.received[0][0] == "alive"
    assert [[made["http_status"] for made in delivery["attempts"]] for delivery in deliveries] == [[200]] * 3


def test_a_callback_is_left_to_the_process_that_makes_it(processes: Processes) -> None:
    one, two = processes.start("one", instant=True), processes.start("two", instant=True)
    one.create(body(callback_url=HOOK))
    claimed = one.simulator.store.claim(one.simulator.clocks.machine(), only="")

    assert claimed
    assert two.simulator.callbacks.deliver_due() == []


def test_who_lives_keeps_what_it_has(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_leases, "BEAT_S", 0.01)
    one, two = processes.start("one", instant=True), processes.start("two", instant=True)
    one.create(body(callback_url=HOOK))
    leases_of(one).lease_ms = 0
    claimed, _ = one.simulator.store.claim(one.simulator.clocks.machine(), only="") or pytest.fail("nothing was due")
    has_run_out = leases_of(two).attempting("") == set()
    leases_of(one).lease_ms = 60_000
    wait_until(lambda: leases_of(two).attempting("") == {claimed.fence})

    assert has_run_out
    assert two.simulator.callbacks.deliver_due() == []


# Journeys


def test_a_journey_is_seen_by_all_processes(processes: Processes) -> None:
    one, two = processes.start("one"), processes.start("two")
    task_id = data_of(one.create(body(callback_url=HOOK)))["task_id"]
    events = Control.of(two.simulator).advance("1m")

    assert [event["status"] for event in events if event["event"] == "status"] == ["processing", "succeed"]
    assert data_of(one.query(task_id))["task_status"] == "succeed"
    assert Control.of(one.simulator).clock()["now"] == START + 60_000
    assert {name for name, _, _ in processes.receiver.received} == {"two"}


def test_a_journey_waits_for_the_attempts_of_other_processes(processes: Processes) -> None:
    receiver = processes.receiver
    receiver.answering.clear()
    two = processes.start("two")
    one = processes.start("one", clock=ClockState(), instant=True)
    one.create(body(callback_url=HOOK))
    receiver.wait_for(1)
    with meanwhile(lambda: Control.of(two.simulator).advance("1m")) as journeys:
        wait_until(lambda: one.simulator.store.leases.travelling(""))
        receiver.answering.set()

    assert len(journeys) == 1
    assert [name for name, _, _ in receiver.received] == ["one", "two", "two"]
    assert {delivery["outcome"] for delivery in Control.of(one.simulator).deliveries()} == {"delivered"}


def test_nobody_begins_an_attempt_while_another_process_travels(processes: Processes) -> None:
    one = processes.start("one", instant=True)
    two = processes.start("two", instant=True)
    one.create(body(callback_url=HOOK))
    store, machine = two.simulator.store, two.simulator.clocks.machine()
    with one.simulator.traveller.turns.journey("", bounded=False):
        during = store.claim(machine), store.next_wake()

    assert during == (None, None)
    assert store.claim(machine)


def test_one_process_at_a_time_travels_by_a_clock(processes: Processes) -> None:
    one, two = processes.start("one"), processes.start("two")
    leases = two.simulator.store.leases
    with one.simulator.traveller.turns.journey("acct-x", bounded=False):
        begun = [leases.begin_journey(owner) is not None for owner in ("acct-x", "acct-y", "")]

    assert begun == [False, True, True]
    assert leases.begin_journey("acct-x") is not None


def test_a_journey_is_taken_over_from_a_process_that_died(processes: Processes) -> None:
    dead, alive = processes.start("dead"), processes.start("alive")
    leases_of(dead).lease_ms = 0
    lease = leases_of(dead).begin_journey("")
    Control.of(alive.simulator).advance("1m")

    assert lease is not None
    assert not leases_of(dead).keep(lease)
    assert Control.of(dead.simulator).clock()["now"] == START + 60_000


def test_a_reset_ends_a_journey_of_another_process(processes: Processes) -> None:
    receiver = processes.receiver
    receiver.answering.clear()
    one, two = processes.start("one"), processes.start("two")
    one.create(body(callback_url=HOOK))

    def travel() -> str:
        with pytest.raises(ControlError, match="a reset has ended the journey") as ended:
            Control.of(one.simulator).advance("1m")
        return str(ended.value)

    with meanwhile(travel) as ends:
        receiver.wait_for(1)
        with meanwhile(two.simulator.reset) as resets:
            wait_until(lambda: not may_travel(one.simulator, "acct-nobody"))
            receiver.answering.set()

    assert len(ends) == len(resets) == 1
    assert len(receiver.received) == 1
    assert Control.of(one.simulator).tasks() == []
    assert Control.of(one.simulator).clock()["now"] == START


def wait_until(condition: Callable[[], bool]) -> None:
    moment = threading.Event()
    for _ in range(PATIENCE_S * 100):
        if condition():
            return
        moment.wait(0.01)
    pytest.fail("it never came to that")


def may_travel(simulator: Simulator, owner: str) -> bool:
    """Whether a journey may begin, as another process sees it."""
    leases = simulator.store.leases
    lease = leases.begin_journey(owner)
    if lease is not None:
        leases.give_back(lease)
    return lease is not None
