"""Money, slots, rates and keys: unlimited until set, and refused as the service refuses."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.mock_server.account_settings import AccountSettings
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from tests.conftest import PATH, Api, Clock, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.test import TestResponse


pytestmark = pytest.mark.everywhere


@pytest.fixture
def control(api: Api) -> Control:
    return Control.of(api.simulator, key="key")


def outcome(response: TestResponse) -> tuple[int, Any]:
    answer = json.loads(response.data)
    return response.status_code, answer["error"]["code"] if "error" in answer else answer["code"]


def test_everything_is_unlimited_until_it_is_set(api: Api, control: Control) -> None:
    for _ in range(50):
        assert api.create(body(n=9)).status_code == 200
    account = control.account()
    assert (account["balance"], account["quota"], account["concurrency"], account["requests"]) == (None,) * 4
    assert Decimal(account["spent"]) == 50 * 9 * Decimal("0.0133")


def test_a_create_is_charged_and_refused_without_balance(api: Api, control: Control) -> None:
    control.configure(balance="0.0399")
    assert outcome(api.create(body(n=2))) == (200, 0)
    assert outcome(api.create(body(n=2))) == (429, 1102)
    assert json.loads(api.create(body(n=2)).data)["message"] == "Account balance not enough"
    assert outcome(api.create(body(n=1))) == (200, 0)
    assert (control.account()["balance"], control.account()["spent"]) == ("0", "0.0399")


def test_a_balance_that_is_set_later_counts_from_then(api: Api, control: Control) -> None:
    api.create(body(n=9))
    control.configure(balance=0.0133)
    assert control.account()["balance"] == "0.0133"
    assert [api.create().status_code for _ in range(2)] == [200, 429]
    control.configure(balance=None)
    assert api.create().status_code == 200


def test_a_task_that_fails_gives_its_money_back(api: Api, clock: Clock, control: Control) -> None:
    control.configure(balance="0.0133")
    task_id = data_of(api.send("POST", PATH, json=body(prompt="[[fail-pixels]]")))["task_id"]
    assert control.account()["balance"] == "0"
    assert outcome(api.create()) == (429, 1102)
    clock.move_to(clock.now() + 10_000)
    assert data_of(api.query(task_id))["task_status"] == "failed"
    assert (control.account()["balance"], control.account()["spent"]) == ("0.0133", "0")
    assert outcome(api.create()) == (200, 0)


def test_the_keys_quota_is_apart_from_the_balance(api: Api, control: Control) -> None:
    control.configure(quota="0.0133", balance="10")
    assert [outcome(api.create()) for _ in range(2)] == [(200, 0), (403, "insufficient_user_quota")]
    control.configure(quota=None)
    assert outcome(api.create()) == (200, 0)


def test_a_task_holds_n_slots_until_it_ends(api: Api, clock: Clock, control: Control) -> None:
    control.configure(concurrency=9)
    assert outcome(api.create(body(n=5))) == (200, 0)
    refused = api.create(body(n=5))
    assert outcome(refused) == (429, 1303)
    assert json.loads(refused.data)["message"] == "parallel task over resource pack limit"
    assert outcome(api.create(body(n=4))) == (200, 0)
    assert control.account()["slots_held"] == 9
    clock.move_to(clock.now() + 10_000)
    assert control.account()["slots_held"] == 0
    assert outcome(api.create(body(n=9))) == (200, 0)


def test_requests_are_counted_in_windows(api: Api, clock: Clock, control: Control) -> None:
    control.configure(requests=2, window="10s")
    assert [outcome(api.create()) for _ in range(3)] == [(200, 0), (200, 0), (429, 1302)]
    assert api.create(key="another").status_code == 200
    clock.move_to(clock.now() + 9_999)
    assert api.create().status_code == 429
    clock.move_to(clock.now() + 1)
    assert api.create().status_code == 200


@pytest.mark.parametrize("setting", ["disabled", "expired"])
def test_a_disabled_or_expired_key_is_an_unknown_one(api: Api, control: Control, setting: str) -> None:
    control.configure(**{setting: True})
    assert outcome(api.create()) == (401, "")
    assert api.create(key="another").status_code == 200
    control.configure(**{setting: False})
    assert api.create().status_code == 200


def test_the_order_is_duplicate_then_quota_then_balance_then_slots(api: Api, control: Control) -> None:
    data_of(api.create(body(external_task_id="a")))
    control.configure(quota="0", balance="0", concurrency=0)
    assert json.loads(api.create(body(external_task_id="a")).data)["message"] == "External_task_id a already exists"
    assert outcome(api.create()) == (403, "insufficient_user_quota")
    control.configure(quota=None)
    assert outcome(api.create()) == (429, 1102)
    control.configure(balance=None)
    assert outcome(api.create()) == (429, 1303)
    assert len(control.tasks()) == 1


def test_the_server_sets_what_holds_for_accounts_without_their_own(make_api: Callable[..., Api]) -> None:
    api = make_api(account=AccountSettings(balance=Decimal("0.0133")))
    Control.of(api.simulator, key="rich").configure(balance="100")
    assert [api.create(key="poor").status_code for _ in range(2)] == [200, 429]
    assert [api.create(key="rich").status_code for _ in range(2)] == [200, 200]
    Control.of(api.simulator).configure(balance=None)
    assert api.create(key="poor").status_code == 200


def test_of_parallel_creates_only_as_many_succeed_as_the_money_allows(api: Api, control: Control) -> None:
    control.configure(balance=str(10 * Decimal("0.0133")))
    with ThreadPoolExecutor(32) as pool:
        statuses = list(pool.map(lambda _: api.create().status_code, range(64)))

    assert statuses.count(200) == 10
    assert control.account()["balance"] == "0"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"balance": "-1"}, "balance"),
        ({"balance": "lots"}, "balance"),
        ({"balance": True}, "balance"),
        ({"concurrency": -1}, "concurrency"),
        ({"window": "soon"}, "90s or 2m"),
        ({"progression": "poll"}, "did you mean polls"),
        ({"callback_retries": "often"}, "default, none, fast, patient"),
        ({"callback_secret": "!"}, "Base64"),
        ({"color": "red"}, "the fields are balance, quota"),
        ({}, "the body"),
    ],
)
def test_a_wrong_setting_is_one_clear_error_and_changes_nothing(
    control: Control, settings: dict[str, Any], says: str
) -> None:
    before = control.account()
    with pytest.raises(ControlError, match=says):
        control.configure(**settings)
    with pytest.raises(ControlError):
        control.configure(disabled=True, **(settings or {"x": 1}))
    assert control.account() == before


# What is shown of one


def test_an_account_shows_what_is_its_own_and_what_it_has_used(api: Api, control: Control) -> None:
    server = Control.of(api.simulator)
    server.configure(balance="9", requests=100)
    api.create()
    found = control.account()
    assert (found["own"], found["own_clock"], found["tasks"], found["requests_used"]) == ([], False, 1, 1)

    control.configure(requests=5, window="1m")
    control.freeze()
    api.create(body(n=0))
    found = control.account()

    assert (found["own"], found["own_clock"], found["tasks"]) == (["requests", "window"], True, 1)
    assert (found["balance"], found["requests"], found["requests_used"]) == ("8.9867", 5, 2)
    control.advance("1m")
    assert control.account()["requests_used"] == 0
    assert (server.account()["own"], server.account()["tasks"], server.account()["requests_used"]) == ([], 1, None)


def test_tasks_are_counted_by_account(api: Api, control: Control) -> None:
    for key in ("key", "key", "other"):
        data_of(api.create(key=key))
    assert [each["tasks"] for each in sorted(Control.of(api.simulator).accounts(), key=lambda each: each["tasks"])] == [
        1,
        2,
    ]
    control.reset()

    assert (control.account()["tasks"], Control.of(api.simulator).account()["tasks"]) == (0, 1)
