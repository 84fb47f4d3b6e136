"""Very many tasks are forgotten in pieces, and wholly."""

from __future__ import annotations

import threading
import weakref

from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from klingkit.mock_server.store import MemoryStore
from klingkit.mock_server.store.memory import MANY
from tests.conftest import body


def filled() -> Simulator:
    simulator = Simulator(Settings(), clock=ClockState(START))
    for _ in range(2 * MANY + 1):
        simulator.create("one", body(callback_url="http://127.0.0.1/"), "http://h")
    simulator.create("two", body(), "http://h")
    return simulator


def test_what_a_reset_forgets_is_freed() -> None:
    simulator = filled()
    assert isinstance(simulator.store, MemoryStore)
    parts = simulator.store._tasks, simulator.store._deliveries, simulator.store._agenda
    gone = [weakref.ref(part) for part in parts if hasattr(part, "__weakref__")]
    line = simulator.store._tasks._in_order
    del parts

    Control.of(simulator).reset()
    assert Control.of(simulator).tasks() == Control.of(simulator).deliveries() == []
    for thread in [thread for thread in threading.enumerate() if thread.name == "rubbish"]:
        thread.join()
    assert [reference() for reference in gone] == [None] * 3
    assert all(place is None for place in line._places)


def test_a_reset_of_an_account_forgets_all_its_tasks_and_nobody_elses() -> None:
    simulator = filled()
    simulator.reset("one")
    server = Control.of(simulator)
    assert [task["account"] for task in server.tasks()] == ["two"]
    assert (server.deliveries(), server.account()["slots_held"], len(server.accounts())) == ([], 1, 1)
