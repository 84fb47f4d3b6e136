"""What a client does when it is refused: each mistake is named, and clients that wait get no advice."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

import klingkit
from klingkit.client import ApiError, InvalidRequestError, KlingClient, RateLimitError
from klingkit.mock_server.advice import REMEDIES
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import URL, Api, Clock, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from openapi_core import OpenAPI


PICTURES = [URL, URL]


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The machine's time in s, as a list of one, which a test can move."""
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def kinds(api: Api) -> list[str]:
    found = Control.of(api.simulator).advice()
    assert all(mistake["do"] == REMEDIES[mistake["kind"]] for mistake in found)
    return [mistake["kind"] for mistake in found]


def by_wall(wall: list[float], clock: Clock, pause: float) -> None:
    """Sleep in truth, while the simulator's clock stands still."""
    wall[0] += pause


def by_clock(wall: list[float], clock: Clock, pause: float) -> None:
    """Move the simulator's clock, and take no time."""
    clock.move_to(clock.now() + round(pause * 1000))


@pytest.mark.parametrize("sleep", [by_wall, by_clock])
@pytest.mark.parametrize(
    ("pauses", "found"),
    [
        ([0.0, 0.0, 0.0], ["no-backing-off"]),
        ([0.5] * 5, ["no-backing-off"]),
        ([0.9, 0.8, 0.9, 0.8, 0.9], ["no-backing-off"]),
        ([0.0, 0.0], []),  # one or two at once, and then it gives up
        ([0.5] * 4, []),
        ([1.0] * 20, []),
        ([0.0, 0.2, 0.4, 0.8, 1.6], []),  # urllib3's Retry
        ([0.1, 0.2, 0.4, 0.8, 1.6], []),
        ([0.0, 0.0, 0.5, 0.0, 0.0, 0.5], []),
    ],
)
@pytest.mark.parametrize(
    "scenario", ["error-1303", "error-5001", "gateway-429", "html-502", "code-under-200:1302", "cut"]
)
def test_pauses_after_refusals(
    *,
    api: Api,
    wall: list[float],
    clock: Clock,
    sleep: Callable[[list[float], Clock, float], None],
    pauses: list[float],
    found: list[str],
    scenario: str,
) -> None:
    for pause in [0.0, *pauses]:
        sleep(wall, clock, pause)
        api.send_unchecked(
            "POST", "/kling/v1/images/generations", json=body(), headers={"Prefer": f"scenario={scenario}"}
        )
    assert [kind for kind in kinds(api) if kind != "same-again"] == found


@pytest.mark.usefixtures("wall")
def test_queries_too(api: Api) -> None:
    task_id = data_of(api.create())["task_id"]
    Control.of(api.simulator).scenario("error-5000", times=4, operation="get_task")
    for _ in range(4):
        api.query(task_id)
    (mistake,) = Control.of(api.simulator).advice()
    assert (mistake["kind"], mistake["request"]) == ("no-backing-off", 5)
    assert mistake["text"].startswith("a query was sent 4 times in 0.00 s")


def test_between_refusals_a_success_begins_anew(api: Api) -> None:
    task_id = data_of(api.create())["task_id"]
    control = Control.of(api.simulator)
    for _ in range(4):
        control.scenario("error-5000", times=2, operation="get_task")
        for _ in range(3):
            api.query(task_id)
    assert kinds(api) == []


@pytest.mark.parametrize(
    ("pause", "found"), [(0.0, ["ignores-retry-after"]), (6.5, ["ignores-retry-after"]), (7.0, [])]
)
@pytest.mark.parametrize("sleep", [by_wall, by_clock])
def test_what_retry_after_asks_for(
    *,
    api: Api,
    wall: list[float],
    clock: Clock,
    sleep: Callable[[list[float], Clock, float], None],
    pause: float,
    found: list[str],
) -> None:
    Control.of(api.simulator).scenario("retry-after:7s")
    assert api.create().headers["Retry-After"] == "7"
    api.create(body(prompt="another"))  # which need not wait
    sleep(wall, clock, pause)
    api.create()
    assert kinds(api) == found


@pytest.mark.parametrize(
    "scenario",
    ["error-1201", "error-1301", "error-1103", "error-1100", "error-1101", "error-1304", "gateway-401", "gateway-403"],
)
def test_a_refusal_that_cannot_change_is_repeated(api: Api, clock: Clock, scenario: str) -> None:
    """However long the client waits; another request is no repetition."""
    Control.of(api.simulator).configure(scenario=scenario)
    api.create(body(prompt="one"))
    api.create(body(prompt="two"))
    assert kinds(api) == []
    clock.move_to(clock.now() + 60_000)
    api.create(body(prompt="one"))
    assert kinds(api) == ["repeats-refusal"]


def test_real_refusals_that_cannot_change(api: Api) -> None:
    for _ in range(3):
        api.create(body(n=0))
        api.query("123456789012345678")
        api.send("GET", "/kling/v1/tasks/1")
        api.send("GET", "/favicon.ico")
        api.create(key=None)
    texts = [mistake["text"] for mistake in Control.of(api.simulator).advice() if mistake["kind"] == "repeats-refusal"]
    assert texts == [
        "a create was sent again as it was after 400 n.minimum (first: request 1)",
        "a query was sent again as it was after 400 task_id.exists (first: request 2)",
        "a request was sent again as it was after 404 path.known (first: request 3)",
        "a create was sent again as it was after 401 authorization.bearer (first: request 5)",
    ]


def test_a_task_that_is_not_visible_yet_may_be_asked_for_again(api: Api) -> None:
    Control.of(api.simulator).scenario("late-visible:3")
    task_id = data_of(api.create())["task_id"]
    for _ in range(4):
        api.query(task_id)
    assert kinds(api) == []


@pytest.mark.usefixtures("wall")
@pytest.mark.parametrize(("number", "found"), [(49, []), (50, ["storm"]), (200, ["storm"])])
def test_a_storm_of_requests_that_are_all_refused(api: Api, number: int, found: list[str]) -> None:
    Control.of(api.simulator).configure(scenario="error-1303")
    for place in range(number):
        api.create(body(prompt=str(place)))
    assert kinds(api) == found


def test_requests_that_are_taken_are_no_storm(api: Api) -> None:
    for place in range(100):
        api.create(body(prompt=str(place)))
    assert kinds(api) == []


# Good clients


@pytest.mark.parametrize("scenario", ["error-1303", "error-1302", "error-5001", "retry-after:3s", "retry-after:10s"])
def test_our_client_gets_no_advice_when_it_is_refused(scenario: str) -> None:
    with klingkit.mock() as kling, kling.client() as client:
        kling.scenario(scenario, times=4)
        task = client.create(PICTURES, external_task_id="a")
        kling.scenario("error-5000", times=3, operation="get_task")
        kling.scenario("html-502", times=2, operation="get_task")
        client.wait(task.task_id)
        assert [hint["kind"] for hint in kling.advice if hint["kind"] != "never-fetched"] == []


def test_our_client_gives_up_without_advice() -> None:
    with klingkit.mock() as kling, kling.client() as client:
        for scenario, error in (("error-1303", RateLimitError), ("error-1201", InvalidRequestError)):
            kling.scenario(scenario, times=1000)
            with pytest.raises(error):
                client.create(PICTURES)
            kling.simulator.reset()
        assert kling.advice == []


def test_many_polite_clients_at_once_get_no_advice() -> None:
    """Thirty-two, each with a prompt of its own, where two are let in: all come at once, and then again with jitter."""
    with klingkit.mock() as kling:
        kling.control.configure(concurrency=2)
        rng = random.Random(1)
        times = sorted((moment, number) for number in range(32) for moment in _attempts(rng))
        with KlingClient(kling.key, kling.url, retry_for=0) as client:
            for (before, _), (moment, number) in pairwise([(0.0, 0), *times]):
                kling.sleep(moment - before)
                with suppress(ApiError):
                    client.create(PICTURES, prompt=str(number))
        assert [hint["kind"] for hint in kling.advice if hint["kind"] in {"no-backing-off", "storm"}] == []


def test_threads_that_send_the_same_are_not_taken_for_one_that_hurries(api: Api) -> None:
    """One was let in, so that the others are creates of their own."""
    Control.of(api.simulator).configure(concurrency=1)
    for _ in range(8):
        api.create()
    assert kinds(api) == []


def test_a_polite_poller_gets_no_advice_where_time_runs(referee: OpenAPI, wall: list[float]) -> None:
    """Without growing pauses, but a second or more each, at a server whose clock runs."""
    api = Api(Simulator(Settings(speed=0.01)), referee)
    task_id = data_of(api.create())["task_id"]
    Control.of(api.simulator).scenario("error-5001", times=30, operation="get_task")
    for _ in range(60):
        wall[0] += 1.0
        api.query(task_id)
    assert kinds(api) == []


def _attempts(rng: random.Random) -> list[float]:
    moments, pause = [0.0], 1.0
    for _ in range(5):
        moments.append(moments[-1] + pause * rng.uniform(0.75, 1.25))
        pause *= 1.5
    return moments
