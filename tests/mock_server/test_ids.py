"""Ids are unique on the server, whatever the seed and the clock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from klingkit.mock_server.app import create_app
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, Api, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = st.sampled_from(["one", "two"])
HOOK = "http://127.0.0.1:9/hook"


class IdMachine(RuleBasedStateMachine):
    """Two accounts, and everything that has to do with seed and clock."""

    @initialize(stands=st.booleans(), seed=st.integers(0, 2))
    def begin(self, *, stands: bool, seed: int) -> None:
        clock = ClockState(START) if stands else ClockState()
        self.stands = stands
        self.simulator = Simulator(Settings(seed=seed, max_tasks=5), clock=clock, send=lambda *_, timeout_ms: 204)
        self.client = create_app(self.simulator).test_client()
        self.handed_out: list[str] = []

    @rule(key=KEYS, fields=st.sampled_from([{}, {"style_image": "QUJD"}, {"n": 0}]))
    def create(self, key: str, fields: dict[str, Any]) -> None:
        answer = self._send("POST", PATH, key, json=body(callback_url=HOOK, **fields))
        if answer["code"] == 0:
            self.handed_out.append(answer["data"]["task_id"])

    @rule(key=KEYS)
    def look(self, key: str) -> None:
        for task in Control.of(self.simulator, key=key).tasks():
            assert self._send("GET", f"{PATH}/{task['task_id']}", key)["code"] == 0
        Control.of(self.simulator, key=key).account()

    @rule(key=st.none() | KEYS, seed=st.integers(0, 2))
    def reseed(self, key: str | None, seed: int) -> None:
        Control.of(self.simulator, key=key).seed(seed)

    @rule(key=KEYS)
    def reset_account(self, key: str) -> None:
        Control.of(self.simulator, key=key).reset()

    @rule()
    def reset(self) -> None:
        Control.of(self.simulator).reset()
        if self.stands:  # where the clock stands again where it began, the same run gives the same ids
            self.handed_out.clear()

    @rule(key=st.none() | KEYS, by=st.sampled_from(["0s", "1ms", "1m"]))
    def advance(self, key: str | None, by: str) -> None:
        Control.of(self.simulator, key=key).advance(by)

    @rule(key=st.none() | KEYS)
    def freeze(self, key: str | None) -> None:
        Control.of(self.simulator, key=key).freeze()

    @rule(key=st.none() | KEYS)
    def resume(self, key: str | None) -> None:
        Control.of(self.simulator, key=key).resume()

    @invariant()
    def no_id_twice(self) -> None:
        assert len(self.handed_out) == len(set(self.handed_out))
        assert len({delivery.id for delivery in self.simulator.store.deliveries()}) == 3 * len(
            self.simulator.store.tasks()
        )

    def _send(self, method: str, path: str, key: str, **request: Any) -> Any:
        response = self.client.open(path, method=method, headers={"Authorization": f"Bearer {key}"}, **request)
        assert response.status_code < 500, response.text
        answer = json.loads(response.data)
        self.handed_out += [answer["request_id"], response.headers[self.simulator.contract.request_id_header]]
        return answer


IdMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestIds = IdMachine.TestCase


def test_a_moment_that_comes_twice_gives_no_id_twice(make_api: Callable[..., Api]) -> None:
    """Two accounts got one id when the seed was set anew; then every query of it was an error of the server."""
    api = make_api()
    ids = []
    for key in ("one", "two"):
        Control.of(api.simulator).seed(7)
        ids.append(data_of(api.create(key=key))["task_id"])

    assert ids[0] != ids[1]
    assert [
        data_of(api.query(task_id, key=key))["task_id"] for task_id, key in zip(ids, ("one", "two"), strict=True)
    ] == ids


def test_what_was_submitted_before_a_reset_and_came_after_it_keeps_its_id(make_api: Callable[..., Api]) -> None:
    api = make_api(seed=1)
    early = data_of(api.create(key="one"))["task_id"]
    (task,) = api.simulator.store.tasks()
    Control.of(api.simulator).reset()
    api.simulator.store.add(task, START, [])
    late = data_of(api.create(key="two"))["task_id"]

    assert late != early
    assert data_of(api.query(early, key="one"))["task_id"] == early


@pytest.mark.parametrize("seed", [0, 1])
def test_ids_keep_the_form_of_the_contract(make_api: Callable[..., Api], seed: int) -> None:
    api = make_api(seed=seed)
    for _ in range(3):
        Control.of(api.simulator).seed(seed)
        contract = api.simulator.contract
        assert (int(data_of(api.create())["task_id"]) >> contract.task_id_shift) + contract.task_id_epoch_ms == START


def test_a_drawn_delay_is_no_longer_than_the_longest_that_can_be_chosen() -> None:
    simulator = Simulator(Settings())

    assert max(simulator.spread("account", 600_000) for _ in range(1000)) == 600_000
