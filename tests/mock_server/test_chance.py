"""Chance comes from a seed, an account and the number of its task: no order between accounts has a say in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klingkit.mock_server.app import create_app
from klingkit.mock_server.chance import between, happens, share, spread
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.serving.in_process import call
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, Api, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = ("one", "two", "three")
ACTS = {
    "create": lambda someone: someone.create(),
    "chance": lambda someone: someone.create(Prefer="scenario=error-1303@0.5"),
    "fails by chance": lambda someone: someone.create(prompt="[[fail-moderation@0.5]]"),
    "slow by chance": lambda someone: someone.create(Prefer="scenario=delay:lognormal:5ms"),
    "query": lambda someone: someone.query(Prefer="scenario=error-5000@0.5"),
    "advance": lambda someone: someone.control.advance("7s"),
    "reset": lambda someone: someone.control.reset(),
    "seed": lambda someone: someone.control.seed(3),
}


class Someone:
    """An account of a simulator, and what it was answered."""

    def __init__(self, simulator: Simulator, app: Any, key: str) -> None:
        self.control = Control.of(simulator, key=key)
        self.seen: list[Any] = []
        self._app = app
        self._key = key

    def do(self, act: str) -> None:
        self.seen.append(ACTS[act](self))

    def create(self, prompt: str = "a", **headers: str) -> list[Any]:
        return self._send("POST", PATH, json.dumps(body(prompt=prompt)).encode(), headers)

    def query(self, **headers: str) -> list[Any]:
        (*_, last) = ["1", *(task["task_id"] for task in self.control.tasks())]
        return self._send("GET", f"{PATH}/{last}", b"", headers)

    def _send(self, method: str, path: str, data: bytes, headers: dict[str, str]) -> list[Any]:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json", **headers}
        answer = call(self._app, method, f"http://host{path}", headers, data)
        return [answer.status, answer.headers, answer.body, answer.fault]


def run(acts: list[tuple[str, str]]) -> dict[str, Any]:
    """Return what each account sees of what they do one after the other."""
    simulator = Simulator(Settings(seed=1), clock=ClockState(START), send=lambda *_, timeout_ms: 200)
    app = create_app(simulator).wsgi_app
    people = {key: Someone(simulator, app, key) for key in KEYS}
    for key, act in acts:
        people[key].do(act)
    return {key: [someone.seen, _plans(someone)] for key, someone in people.items()}


def _plans(someone: Someone) -> list[Any]:
    return [[task["task_id"], task["scenario"], task["timeline"]["planned"]] for task in someone.control.tasks()]


@given(acts=st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(list(ACTS))), max_size=20), mixed=st.randoms())
@settings(max_examples=25)
def test_no_order_between_accounts_matters(acts: list[tuple[str, str]], mixed: Any) -> None:
    """Each sees the same bytes, ids included, whenever the others do what they do."""
    rest = {key: [act for act in acts if act[0] == key] for key in KEYS}
    shuffled = []
    while waiting := [key for key in KEYS if rest[key]]:
        shuffled.append(rest[mixed.choice(waiting)].pop(0))

    assert run(acts) == run(shuffled) == run(acts)


def drawn(api: Api, key: str, number: int = 3) -> list[list[int]]:
    """The times that the tasks of an account take."""
    for _ in range(number):
        data_of(api.create(key=key))
    planned = [task["timeline"]["planned"] for task in Control.of(api.simulator, key=key).tasks()[-number:]]
    return [[step["at"] - steps[0]["at"] for step in steps] for steps in planned]


def test_accounts_differ_and_so_do_their_tasks(api: Api) -> None:
    found = [*drawn(api, "one"), *drawn(api, "two")]
    assert len(set(map(tuple, found))) == 6


@pytest.mark.everywhere
def test_a_seed_of_its_own_gives_an_account_the_same_whatever_it_is_called(api: Api) -> None:
    """A run of tests with a key that nobody else has gets what it got the last time."""
    for key in ("one", "two"):
        Control.of(api.simulator, key=key).seed(7)
    assert drawn(api, "one") == drawn(api, "two")
    assert Control.of(api.simulator, key="one").health()["seed"] == 7
    assert Control.of(api.simulator).health()["seed"] == 0


@pytest.mark.everywhere
def test_a_seed_of_the_server_is_for_those_who_have_none(make_api: Callable[..., Api]) -> None:
    api = make_api(seed=1)
    first = drawn(api, "two")
    Control.of(api.simulator, key="one").seed(7)
    own = drawn(api, "one")
    Control.of(api.simulator).seed(1)

    assert drawn(api, "two") == first
    assert drawn(api, "one") != own
    Control.of(api.simulator).seed(2)
    assert drawn(api, "two") != first
    Control.of(api.simulator, key="one").reset()
    assert drawn(api, "one") != own
    Control.of(api.simulator, key="one").seed(7)
    assert drawn(api, "one") == own


@pytest.mark.everywhere
def test_after_a_reset_an_account_gets_the_same_plans_under_other_ids(api: Api) -> None:
    before = drawn(api, "one")
    ids = {task["task_id"] for task in Control.of(api.simulator, key="one").tasks()}
    Control.of(api.simulator, key="one").reset()

    assert drawn(api, "one") == before
    assert ids.isdisjoint(task["task_id"] for task in Control.of(api.simulator, key="one").tasks())


def test_a_repeated_create_has_another_chance(api: Api) -> None:
    """A refusal makes no task, and the number of the next one stays: the choice is drawn anew all the same."""
    answers = {
        api.send("POST", PATH, key="one", json=body(), headers={"Prefer": "scenario=error-5000@0.5"}).status_code
        for _ in range(30)
    }
    assert answers == {200, 500}


def test_what_is_drawn_is_spread_as_it_says() -> None:
    many = range(4000)
    assert {between(1, 3, number) for number in many} == {1, 2, 3}
    assert all(0 <= share(number) < 1 for number in many)
    assert 0.28 < sum(happens(0.3, number) for number in many) / 4000 < 0.32
    assert not any(happens(0, number) for number in many)
    faults = sorted(spread(1000, number) for number in many)
    assert 950 < faults[2000] < 1050
    assert 550 < faults[640] < 660  # a standard deviation of 0.5 below the median


@pytest.mark.parametrize("account", ["a", "\udcff", ""])
def test_every_text_can_be_drawn_from(account: str) -> None:
    assert share(1, account, 2) == share(1, account, 2) != share(2, account, 2)
