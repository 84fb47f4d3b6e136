"""What the control API shows of a clock: how fast, whose, and what lies ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from klingkit.mock_server.clock import START
from klingkit.mock_server.control.client import Control
from tests.conftest import Api, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable

HOOK = "http://127.0.0.1:9/hook"

pytestmark = pytest.mark.everywhere


def fails(*_: object, timeout_ms: int) -> int:
    return 500


def test_what_lies_ahead_is_what_happens(make_api: Callable[..., Api]) -> None:
    """Each event comes where it was announced, by the clock of its account."""
    api = make_api(send=lambda *_, timeout_ms: 200, speed=1)
    for _ in range(3):
        api.create(body(callback_url=HOOK))
    api.create(body(), key="apart")
    Control.of(api.simulator, key="apart").freeze()
    control = Control.of(api.simulator)
    ahead = control.clock()["ahead"]
    assert [event["event"] for event in ahead[:3]] == ["attempt"] * 3
    assert {event["account"] for event in ahead} == {control.tasks()[0]["account"]}
    last = max(event["at"] for event in ahead if event["event"] != "expiry")

    def named(event: dict[str, object]) -> tuple[object, ...]:
        return tuple(event.get(name) for name in ("at", "event", "task_id", "delivery"))

    happened = control.advance_to(last)
    announced = [event for event in ahead if event["at"] <= last]
    assert sorted(map(named, happened), key=repr) == sorted(map(named, announced), key=repr)


def test_who_follows_the_servers_clock_sees_ones_own_ahead(make_api: Callable[..., Api]) -> None:
    """And nothing of anybody else, as on a clock of one's own."""
    api = make_api(send=fails, speed=1)
    for key in ("one", "two"):
        api.create(body(callback_url=HOOK), key=key)
    api.simulator.callbacks.deliver_due()
    whole = Control.of(api.simulator).clock()["ahead"]
    for key in ("one", "two"):
        control = Control.of(api.simulator, key=key)
        name = control.account()["account"]
        mine = control.clock()["ahead"]
        assert mine == [event for event in whole if event["account"] == name]
        assert {event["event"] for event in mine} == {"status", "attempt", "expiry"}
        control.freeze()
        assert control.clock()["ahead"] == mine


def test_a_retry_lies_ahead(make_api: Callable[..., Api]) -> None:
    api = make_api(send=fails, speed=1)
    task_id = data_of(api.create(body(callback_url=HOOK)))["task_id"]
    control = Control.of(api.simulator)
    control.advance("20s")
    attempts = [event for event in control.clock()["ahead"] if event["event"] == "attempt"]
    assert [(event["task_id"], event["status"]) for event in attempts] == [(task_id, "submitted")]  # the others wait
    assert attempts[0]["at"] == control.deliveries()[0]["due_at"] > START + 20_000


def test_ahead_is_bounded_and_in_order(make_api: Callable[..., Api]) -> None:
    api = make_api(send=fails, speed=1)
    for number in range(30):
        api.create(body(callback_url=HOOK), key=f"key-{number}")
    Control.of(api.simulator).advance("1s")
    ahead = Control.of(api.simulator).clock()["ahead"]
    assert len(ahead) == 20
    assert [event["at"] for event in ahead] == sorted(event["at"] for event in ahead)
    store = api.simulator.store
    nearest = sorted(each.due_at for each in store.deliveries() if each.attempts and each.due_at)
    assert [each.due_at for each in store.upcoming_deliveries("", 5)] == nearest[:5]


def test_a_clock_says_who_follows_it(api: Api) -> None:
    for key in ("one", "two", "three"):
        api.create(key=key)
    Control.of(api.simulator, key="three").freeze()
    server, own = Control.of(api.simulator).clock(), Control.of(api.simulator, key="three").clock()
    assert (server["followers"], server["own_clocks"], server["own"]) == (2, 1, False)
    assert (own["followers"], own["own"], own["speed"]) == (1, True, 10.0)


def test_a_key_sees_only_what_lies_ahead_of_its_account(make_api: Callable[..., Api]) -> None:
    """Also while both go by the server's clock."""
    api = make_api(send=fails, speed=1)
    for key in ("one", "other"):
        api.create(body(callback_url=HOOK), key=key)
    for key in ("one", "other"):
        control = Control.of(api.simulator, key=key)
        (task,) = control.tasks()
        assert {event["account"] for event in control.clock()["ahead"]} == {task["account"]}
    assert Control.of(api.simulator, key="nobody").clock()["ahead"] == []
    assert len({event["account"] for event in Control.of(api.simulator).clock()["ahead"]}) == 2
