"""Processes that ask for the same at once get it once: real ones, which share nothing but the database."""

from __future__ import annotations

import multiprocessing
from decimal import Decimal
from typing import TYPE_CHECKING

from klingkit.contract import ApiError
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import body

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

PROCESSES = 3
PATIENCE_S = 150
"""For processes to start on a machine that does other things too."""
EACH = 6
"""Requests that a process makes of each kind; one has room for fewer than all of them."""
ROOM = 8
PRICE = Decimal("0.0133")


def test_what_there_is_once_is_had_once(state_url: str) -> None:
    """External ids, money, slots, and requests of a window; and no task that was acknowledged is missing, or has the id of another."""
    simulator = Simulator(Settings(state=state_url), clock=ClockState(START))
    try:
        simulator.store.configure("rich", {"balance": PRICE * ROOM}, START)
        simulator.store.configure("narrow", {"concurrency": ROOM}, START)
        simulator.store.configure("slow", {"requests": ROOM, "window_ms": 10_000}, START)
        taken = _run(state_url)
        kept = [task.task_id for task in simulator.store.tasks(limit=200)]
        spent = simulator.store.spent("rich", START)
        made = simulator.store.chance("same").made
    finally:
        simulator.close()

    assert sorted(taken["unique"]) == [f"order-{number}" for number in range(EACH)]
    assert (len(taken["rich"]), spent) == (ROOM, PRICE * ROOM)
    assert len(taken["narrow"]) == ROOM
    assert len(taken["slow"]) == ROOM
    assert len(taken["same"]) == made == PROCESSES * EACH
    assert sorted(taken["rich"] + taken["narrow"] + taken["same"]) == sorted(
        task_id for task_id in kept if task_id not in taken["unique tasks"]
    )
    assert len(kept) == len(set(kept)) == len(taken["unique tasks"]) + 2 * ROOM + PROCESSES * EACH


def _run(url: str) -> dict[str, list[str]]:
    """Let processes race, and return what all of them got."""
    fresh = multiprocessing.get_context("spawn")
    start, results = fresh.Barrier(PROCESSES), fresh.SimpleQueue()
    racers = [fresh.Process(target=_race, args=(url, start, results)) for _ in range(PROCESSES)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(PATIENCE_S)
    assert [racer.exitcode for racer in racers] == [0] * PROCESSES
    found: list[dict[str, list[str]]] = [results.get() for _ in racers]
    return {name: [each for got in found for each in got[name]] for name in found[0]}


def _race(url: str, start: Barrier, results: multiprocessing.SimpleQueue[dict[str, list[str]]]) -> None:
    """Ask for everything, and tell what was given."""
    simulator = Simulator(Settings(state=url), clock=ClockState(START))
    got: dict[str, list[str]] = {name: [] for name in ("unique", "unique tasks", "rich", "narrow", "slow", "same")}
    try:
        start.wait(PATIENCE_S)
        for number in range(EACH):
            order = f"order-{number}"
            if made := _create(simulator, "unique", external_task_id=order):
                got["unique"].append(order)
                got["unique tasks"].append(made)
            for account in ("rich", "narrow", "same"):
                got[account] += filter(None, [_create(simulator, account)])
            if simulator.store.count_request("slow", START):
                got["slow"].append(order)
    finally:
        simulator.close()
    results.put(got)


def _create(simulator: Simulator, account: str, **fields: str) -> str:
    """Return the id of a new task; empty if it is refused."""
    try:
        return simulator.create(account, body(n=1, aspect_ratio="1:1", **fields), "http://localhost").task.task_id
    except ApiError:
        return ""
