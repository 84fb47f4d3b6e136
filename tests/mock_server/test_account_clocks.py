"""Each account has a time of its own as soon as somebody moves its clock, and nobody else notices."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.mock_server.auth import account_name
from klingkit.mock_server.clock import START
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, Api, body, data_of
from tests.mock_server.test_callbacks import HOOK, SECRET, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE = 60_000


class Team:
    """A server that several people use."""

    def __init__(self, make_api: Callable[..., Api], send: Any = None, **options: Any) -> None:
        self.api = make_api(send=send, speed=1, **options)
        self.server = self.control(None)
        self.one = self.control("one")
        self.two = self.control("two")

    def control(self, key: str | None) -> Control:
        return Control.of(self.api.simulator, key=key)

    def create(self, key: str, **fields: Any) -> str:
        task_id: str = data_of(self.api.create(body(**fields), key=key))["task_id"]
        return task_id

    def status(self, task_id: str, key: str) -> str:
        status: str = data_of(self.api.query(task_id, key=key))["task_status"]
        return status


@pytest.fixture
def team(make_api: Callable[..., Api]) -> Team:
    return Team(make_api, send=Receiver())


@pytest.fixture
def real(make_api: Callable[..., Api]) -> Team:
    """One whose clock runs, as that of `klingkit serve` does."""
    return Team(make_api, send=Receiver(), start=None)


def statuses(events: list[dict[str, Any]]) -> list[str]:
    return [event["status"] for event in events if event["event"] == "status"]


@pytest.mark.everywhere
def test_who_advances_with_a_key_ends_the_tasks_of_that_account_alone(team: Team) -> None:
    mine, other = team.create("one"), team.create("two")
    events = team.one.advance("20m")

    assert {event["task_id"] for event in events} == {mine}
    assert statuses(events) == ["processing", "succeed"]
    assert team.status(mine, "one") == "succeed"
    assert team.status(other, "two") == "submitted"
    assert [control.clock()["own"] for control in (team.one, team.two, team.server)] == [True, False, False]
    assert team.one.clock()["now"] - team.two.clock()["now"] >= 19 * MINUTE


@pytest.mark.everywhere
def test_an_account_follows_the_clock_of_the_server_until_it_has_one_of_its_own(team: Team) -> None:
    mine, other = team.create("one"), team.create("two")
    assert not team.one.clock()["own"]
    team.one.freeze()
    assert team.one.clock()["own"]
    events = team.server.advance("20m")

    assert {event["task_id"] for event in events} == {other}
    assert (team.status(mine, "one"), team.status(other, "two")) == ("submitted", "succeed")
    assert team.server.health()["clock"]["own_clocks"] == 1


@pytest.mark.everywhere
def test_a_reset_gives_the_clock_back(real: Team) -> None:
    real.one.advance("1d")
    real.two.advance("1d")
    real.one.reset()

    assert real.one.clock()["own"] is False
    assert abs(real.one.clock()["now"] - real.server.clock()["now"]) < MINUTE
    assert real.two.clock()["own"] is True
    real.server.reset()
    assert real.two.clock()["own"] is False
    assert real.server.health()["clock"] | {"time": ""} == {"time": "", "frozen": False, "moved_ms": 0, "own_clocks": 0}


def test_a_clock_goes_on_from_where_it_was_moved(real: Team) -> None:
    real.one.advance("2h")
    resumed = real.one.resume()

    assert (resumed["frozen"], resumed["own"]) == (False, True)
    assert resumed["now"] - real.server.clock()["now"] > 119 * MINUTE
    task = real.create("one")
    (shown,) = real.one.tasks()
    assert shown["timeline"]["planned"][0]["at"] >= resumed["now"]
    assert int(task) >> 22 > (resumed["now"] - MINUTE - 1568028518785)


def test_a_clock_of_its_own_does_not_go_back_either(team: Team) -> None:
    team.one.advance("1d")
    with pytest.raises(ControlError, match="does not go back"):
        team.one.advance_to("2026-01-01T00:00:00Z")
    with pytest.raises(ControlError, match="does not go back"):
        team.two.advance_to("2000-01-01T00:00:00Z")
    assert team.two.clock()["own"] is False


def test_callbacks_and_their_retries_come_by_the_clock_of_the_account(make_api: Callable[..., Api]) -> None:
    receiver = Receiver(*[500] * 100)
    team = Team(make_api, send=receiver)
    team.server.freeze()
    team.create("one", callback_url=HOOK)
    team.create("two", callback_url=HOOK)
    team.two.freeze()
    events = team.one.advance("15m")

    attempts = [event for event in events if event["event"] == "attempt"]
    assert len(attempts) > 5
    assert {delivery["account"] for delivery in team.one.deliveries() if delivery["attempts"]} == {account_name("one")}
    later = [attempt for found in team.two.deliveries() for attempt in found["attempts"]]
    assert all(attempt["at"] == team.two.clock()["now"] for attempt in later)


@pytest.mark.everywhere
def test_results_expire_and_windows_end_by_the_clock_of_the_account(team: Team) -> None:
    for key in ("one", "two"):
        team.control(key).configure(requests=2, window="1m")
    mine, other = team.create("one"), team.create("two")
    team.two.advance("20m")
    assert [event["event"] for event in team.one.advance("31d")] == ["status", "status", "window", "expiry"]
    assert team.api.send("GET", f"/_mock/pictures/{mine}/0.png", key=None).status_code == 403
    assert team.api.send("GET", f"/_mock/pictures/{other}/0.png", key=None).status_code == 200
    team.one.freeze()
    assert [team.api.query(mine, key="one").status_code for _ in range(3)] == [200, 200, 429]
    assert team.status(other, "two") == "succeed"


def test_a_task_that_queries_move_goes_by_the_clock_of_its_account_too(team: Team) -> None:
    team.one.configure(progression="polls")
    team.two.configure(progression="polls")
    mine, other = team.create("one"), team.create("two")
    assert statuses(team.one.advance_to("idle")) == ["processing", "succeed"]
    assert (team.status(mine, "one"), team.status(other, "two")) == ("succeed", "submitted")


@pytest.mark.everywhere
def test_money_comes_back_at_the_end_by_each_accounts_clock(team: Team) -> None:
    for key in ("one", "two"):
        team.create(key, prompt="[[fail-moderation]]")
    before = team.server.account()["spent"]
    team.one.advance("20m")

    assert float(team.one.account()["spent"]) == 0
    assert float(team.two.account()["spent"]) * 2 == float(before)
    assert team.server.account()["spent"] == team.two.account()["spent"]
    assert team.server.account()["slots_held"] == 1
    assert team.server.health()["tasks"] | {"processing": 0} == {
        "submitted": 1,
        "processing": 0,
        "succeed": 0,
        "failed": 1,
    }


def test_the_journal_shows_the_time_of_the_account(team: Team) -> None:
    team.one.advance("1d")
    team.create("one")
    team.create("two")
    first, second = team.server.journal()

    assert first["at"] == team.one.clock()["now"]
    assert first["at"] - second["at"] > 23 * 60 * MINUTE


def test_a_signature_is_of_real_time(team: Team, make_api: Callable[..., Api]) -> None:
    receiver = Receiver()
    team = Team(make_api, send=receiver)
    team.one.configure(callback_secret=SECRET)
    team.one.freeze()
    team.create("one", callback_url=HOOK)
    team.one.advance("10d")

    assert abs(int(receiver.headers[-1]["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 600


@pytest.mark.parametrize("journey", [lambda control: control.advance("1h"), lambda control: control.advance_to("idle")])
def test_two_accounts_travel_side_by_side(make_api: Callable[..., Api], journey: Callable[[Control], Any]) -> None:
    """Not even a receiver that does not answer holds up anybody else; and a reset ends the journey of its own account only."""
    reached, go_on = threading.Event(), threading.Event()

    def send(url: str, *_: Any, timeout_ms: int) -> int:
        if "slow" in url:
            reached.set()
            assert go_on.wait(20)
        return 200

    team = Team(make_api, send=send)
    for control in (team.one, team.two, team.server):
        control.freeze()
    team.create("one", callback_url="http://127.0.0.1:9/slow")
    team.create("two", callback_url="http://127.0.0.1:9/fast")
    told: list[str] = []

    def travel() -> None:
        try:
            team.one.advance("1h")
        except ControlError as error:
            told.append(f"{error.http} {error}")

    traveller = threading.Thread(target=travel)
    traveller.start()
    assert reached.wait(20)
    assert statuses(journey(team.two)) == ["processing", "succeed"]
    team.two.reset()
    team.server.advance("1h")
    assert not told
    resetter = threading.Thread(target=team.one.reset)
    resetter.start()
    while not team.api.simulator.traveller.turns.stopping(account_name("one")):
        pass
    go_on.set()
    traveller.join()
    resetter.join()

    assert told == ["409 a reset has ended the journey before its destination; ask for it again"]
    assert team.one.tasks() == []
    assert team.server.clock()["own"] is False


@pytest.mark.everywhere
def test_an_account_that_gets_its_own_clock_leaves_the_journey_of_the_server(make_api: Callable[..., Api]) -> None:
    """It happens in the middle of it: what comes after belongs to the account alone."""

    def send(*_: Any, timeout_ms: int) -> int:
        mine.freeze()
        return 200

    api = make_api(send=send, speed=1)
    mine = Control.of(api.simulator, key="key")
    data_of(api.create(body(callback_url=HOOK)))
    data_of(api.create(key="other"))
    events = Control.of(api.simulator).advance("1h")

    assert statuses(events) == ["processing", "succeed"]
    assert {event["task_id"] for event in events if event["event"] == "status"} == {
        task["task_id"] for task in Control.of(api.simulator, key="other").tasks()
    }
    assert mine.clock()["now"] == START
    assert statuses(mine.advance("1h")) == ["processing", "succeed"]


def test_clocks_and_seeds_are_bounded() -> None:
    simulator = Simulator(Settings(max_memory=8 * 5000 * 2))
    acts: list[Callable[[Control], Any]] = [lambda control: control.freeze(), lambda control: control.seed(1)]
    for act in acts:
        for key in ("one", "two"):
            act(Control.of(simulator, key=key))
        with pytest.raises(ControlError, match=r"2 accounts have .* of their own; a reset makes room"):
            act(Control.of(simulator, key="three"))
    with pytest.raises(ControlError, match="2 accounts have clocks"):
        Control.of(simulator, key="three").advance("1h")
    Control.of(simulator, key="one").reset()
    Control.of(simulator, key="three").advance("1h")


def test_answers_say_when_their_clock_is_not_the_real_one(real: Team, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "klingkit")

    def said(key: str) -> str:
        return real.api.create(key=key).headers.get("Klingkit-Clock", "")

    assert said("one") == ""
    assert "clock" not in caplog.messages[-1]
    real.one.advance_to("2050-01-01T00:00:00Z")
    assert said("one") == "frozen; time=2050-01-01T00:00:00.000Z; source=account"
    assert "clock frozen; time=2050-01-01T00:00:00.000Z; source=account" in caplog.messages[-1]
    real.one.resume()
    assert said("one").startswith("moved; time=2050-01-01T00:0")
    assert said("two") == ""
    real.server.advance_to("2049-01-01T00:00:00Z")
    assert said("two") == "frozen; time=2049-01-01T00:00:00.000Z; source=server"
    assert real.api.send("GET", PATH + "/1", key=None).headers["Klingkit-Clock"].endswith("source=server")


def test_a_request_id_has_the_time_of_the_account(real: Team) -> None:
    real.one.advance_to("2050-01-01T00:00:00Z")
    header = real.api.simulator.contract.request_id_header

    assert real.api.create(key="one").headers[header].startswith("20500101000000")
    assert not real.api.create(key="two").headers[header].startswith("2050")
