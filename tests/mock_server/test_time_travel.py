"""Time travel: everything due happens, in order, before it returns."""

from __future__ import annotations

import itertools
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, Api, body, data_of
from tests.mock_server.test_callbacks import HOOK, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = pytest.mark.everywhere


@pytest.fixture
def control(api: Api) -> Control:
    return Control.of(api.simulator)


def test_advance_returns_what_happened_in_order(make_api: Callable[..., Api]) -> None:
    receiver = Receiver(500)
    api = make_api(send=receiver, speed=1)
    task_id = data_of(api.create(body(callback_url=HOOK)))["task_id"]
    events = Control.of(api.simulator).advance("2m")

    assert [(event["event"], event.get("status") or event.get("problem")) for event in events] == [
        ("attempt", "answered 500"),
        ("status", "processing"),
        ("attempt", ""),
        ("attempt", ""),
        ("status", "succeed"),
        ("attempt", ""),
    ]
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
    assert {event["task_id"] for event in events} == {task_id}
    assert receiver.statuses == ["submitted", "submitted", "processing", "succeed"]
    assert api.simulator.clocks.now() == START + 120_000


def ten_minutes(seed: int) -> tuple[list[dict[str, Any]], list[bytes], str]:
    """A task of ten minutes whose last callback is retried until the schedule ends."""
    sent: list[bytes] = []

    def send(url: str, body: bytes, headers: dict[str, str], *, timeout_ms: int) -> int:
        sent.append(body)
        return 500 if b'"succeed"' in body else 200

    simulator = Simulator(Settings(seed=seed, speed=1), clock=ClockState(START), send=send)
    control = Control.of(simulator)
    control.scenario("slow:20")
    task = simulator.create("a", body(callback_url=HOOK), "http://h", scenario=simulator.store.take_scenario("a", "create_task")[0]).task  # type: ignore[index]  # fmt: skip
    events = control.advance("30m")
    return events, sent, control.task(task.task_id)["status"]


def test_a_ten_minute_task_with_five_attempts_is_over_at_once_and_always_the_same() -> None:
    events, sent, status = ten_minutes(1)
    attempts = [event["at"] for event in events if event["event"] == "attempt" and event["problem"]]

    assert status == "succeed"
    assert len(attempts) == 5
    assert attempts[0] - START > 8 * 60_000
    assert [after - before for before, after in itertools.pairwise(attempts)] == [5000, 30_000, 120_000, 300_000]
    assert len(sent) == 2 + 5
    assert ten_minutes(1) == (events, sent, status)
    assert ten_minutes(2) != (events, sent, status)


def test_to_the_next_event_and_until_idle(api: Api, control: Control) -> None:
    data_of(api.create())
    data_of(api.send("POST", PATH, json=body(prompt="[[stuck-processing]]")))
    first = control.advance_to("next")
    assert [event["status"] for event in first] == ["processing"]
    assert control.clock()["now"] == first[0]["at"]
    rest = control.advance_to("idle")
    assert sorted(event["status"] for event in rest) == ["processing", "succeed"]
    assert control.advance_to("idle") == []


def test_results_expire_and_windows_end_on_the_way(api: Api, control: Control) -> None:
    Control.of(api.simulator, key="key").configure(requests=5, window="1m")
    data_of(api.create())
    events = control.advance("31d")
    assert [event["event"] for event in events] == ["status", "status", "window", "expiry"]


def test_to_a_moment(control: Control) -> None:
    control.advance_to("2026-01-01T00:10:00Z")
    shown = control.clock()
    assert {name: shown[name] for name in ("now", "time", "frozen", "own", "events")} == {
        "now": START + 600_000,
        "time": "2026-01-01T00:10:00.000Z",
        "frozen": True,
        "own": False,
        "events": [],
    }
    control.advance_to(START + 700_000)
    assert control.clock()["now"] == START + 700_000


@pytest.mark.parametrize(
    "wrong",
    ["yesterday", "", 0, "2025-12-31T23:59:59Z", -5, "99999999-01-01", 10**20, 10**400, "9999-12-31T23:59:58Z"],
    ids=lambda value: str(value)[:20],
)
def test_a_wrong_moment_changes_nothing(control: Control, wrong: Any) -> None:
    with pytest.raises(ControlError):
        control.advance_to(wrong)
    assert control.clock()["now"] == START


def test_a_clock_that_runs_goes_on_after_a_wrong_moment() -> None:
    control = Control.of(Simulator(Settings()))
    with pytest.raises(ControlError, match="as far as 2200"):
        control.advance_to(10**15)
    assert not control.clock()["frozen"]


@pytest.mark.parametrize("journey", [{"by": "1h"}, {"to": "idle"}], ids=str)
def test_a_reset_ends_a_journey_that_is_under_way(make_api: Callable[..., Api], journey: dict[str, str]) -> None:
    """It is complete when it answers: nothing of before goes on afterwards. Whoever asked for the journey is told."""
    reached, go_on = threading.Event(), threading.Event()

    def send(*_: Any, timeout_ms: int) -> int:
        reached.set()
        assert go_on.wait(20)
        return 500

    api = make_api(send=send)
    data_of(api.create(body(callback_url=HOOK)))
    control = Control.of(api.simulator)
    told: list[str] = []

    def travel() -> None:
        try:
            (control.advance if "by" in journey else control.advance_to)(*journey.values())
        except ControlError as error:
            told.append(f"{error.http} {error}")

    traveller = threading.Thread(target=travel)
    traveller.start()
    assert reached.wait(20)
    resetter = threading.Thread(target=control.reset)
    resetter.start()
    while not api.simulator.traveller.turns.stopping(""):
        pass
    later = threading.Thread(target=lambda: control.advance("1m"))  # waits for the reset, and is not lost
    later.start()
    go_on.set()
    for thread in (resetter, traveller, later):
        thread.join()

    assert told == ["409 a reset has ended the journey before its destination; ask for it again"]
    assert control.clock()["now"] == START + 60_000
    assert control.tasks() == control.deliveries() == []


@pytest.mark.parametrize("wrong", ["-1s", "10", "ten minutes", "1e3s", "", "101y"])
def test_a_wrong_duration_changes_nothing(control: Control, wrong: str) -> None:
    with pytest.raises(ControlError, match=r"is not a duration|longer than 100 years"):
        control.advance(wrong)
    assert control.clock()["now"] == START


def test_the_machines_clock_stands_still_once_it_is_moved_and_can_go_on() -> None:
    control = Control.of(Simulator(Settings()))
    assert not control.clock()["frozen"]
    before = control.clock()["now"]
    control.advance("1d")
    moved = control.clock()
    assert moved["frozen"]
    assert moved["now"] - before >= 86_400_000
    assert control.clock() == moved
    resumed = control.resume()
    assert not resumed["frozen"]
    assert resumed["now"] >= moved["now"]
    assert control.freeze()["frozen"]


def test_a_receiver_may_make_a_task_while_time_is_advanced(make_api: Callable[..., Api]) -> None:
    made: list[str] = []

    def send(url: str, data: bytes, headers: dict[str, str], *, timeout_ms: int) -> int:
        if json.loads(data)["task_status"] == "succeed" and len(made) < 3:
            made.append(api.simulator.create("a", body(callback_url=HOOK), "http://h").task.task_id)
        return 200

    api = make_api(send=send)
    data_of(api.create(body(callback_url=HOOK)))
    events = Control.of(api.simulator).advance("1m")
    ended = [event for event in events if event["event"] == "status" and event["status"] == "succeed"]
    assert len(ended) == 4
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Ids, times, callbacks, pictures and chance, under a clock that stands still."""

    def run(seed: int) -> list[Any]:
        receiver = Receiver()
        simulator = Simulator(Settings(seed=seed), clock=ClockState(START), send=receiver)
        control = Control.of(simulator)
        task = simulator.create("a", body(callback_url=HOOK, prompt="x"), "http://h").task
        events = control.advance("1m")
        return [task.task_id, events, receiver.received, simulator.picture(task.task_id, 0), control.deliveries()]

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_a_seed_can_be_set_anew(api: Api, control: Control) -> None:
    """Chance begins anew, and so do all timings; an id does not come twice."""
    made = []
    for _ in range(2):
        control.seed(5)
        answer = json.loads(api.create().data)
        made.append((answer["request_id"], answer["data"]["task_id"]))
    steps = [[step["at"] for step in task["timeline"]["planned"]] for task in control.tasks()]

    assert steps[0] == steps[1]
    assert len({*made[0], *made[1]}) == 4
    assert control.health()["seed"] == 5


def test_a_journey_on_a_server_has_an_end(make_api: Callable[..., Api]) -> None:
    """Receivers that take their time could make it last for hours."""
    api = make_api(send=Receiver())
    control = Control.of(api.simulator)
    data_of(api.create(body(callback_url=HOOK)))
    api.simulator.traveller.turns.longest_s = 0.0
    assert len(control.advance("2s")) > 0
    api.simulator.callbacks.run_in_background()

    with pytest.raises(ControlError, match="longer than 0s of the machine's time") as refused:
        control.advance("1h")
    assert refused.value.http == 409
    api.simulator.traveller.turns.longest_s = 60.0
    assert [event.get("status") for event in control.advance("1h") if event["event"] == "status"][-1] == "succeed"


def test_a_journey_ends_when_the_simulator_is_closed(make_api: Callable[..., Api]) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def send(*_: Any, timeout_ms: int) -> int:
        reached.set()
        assert go_on.wait(20)
        return 500

    api = make_api(send=send)
    data_of(api.create(body(callback_url=HOOK)))
    refusals: list[str] = []

    def travel() -> None:
        try:
            Control.of(api.simulator).advance("1d")
        except ControlError as error:
            refusals.append(str(error))

    threads = [threading.Thread(target=travel) for _ in range(2)]
    threads[0].start()
    assert reached.wait(20)
    threads[1].start()
    api.simulator.close()
    go_on.set()
    for thread in threads:
        thread.join()

    assert refusals == ["the simulator is closed"] * 2
