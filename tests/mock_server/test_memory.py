"""What a simulator keeps takes no more memory than it was allowed, whatever is sent."""

from __future__ import annotations

import gc
import json
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.mock_server.account_settings import AccountSettings
from klingkit.mock_server.app import create_app
from klingkit.mock_server.auth import account_name
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.serving.in_process import WsgiAnswer, call
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, b64, body, png, subjects

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 2 * 1024**2


class Attacker:
    """Sends requests to a simulator whose receivers refuse every callback."""

    def __init__(self) -> None:
        settings = Settings(max_memory=LIMIT, account=AccountSettings(requests=1_000_000))
        self.simulator = Simulator(settings, clock=ClockState(START), send=lambda *_, timeout_ms: 500)
        self._app = create_app(self.simulator).wsgi_app
        self._number = 0

    def send(self, method: str, path: str, request: Any = None, *, key: str = "", **headers: str) -> WsgiAnswer:
        self._number += 1
        headers = {"Authorization": f"Bearer {key or self._number}", "Content-Type": "application/json", **headers}
        host = headers.pop("Host", "host")
        data = b"" if request is None else json.dumps(request).encode()
        return call(self._app, method, f"http://{host}{path}", headers, data)

    def create(self, *, key: str = "", headers: dict[str, str] | None = None, **fields: Any) -> str:
        answer = self.send("POST", PATH, body(**fields), key=key, **(headers or {}))
        task_id: str = json.loads(answer.body)["data"]["task_id"] if answer.status == 200 else ""
        return task_id


def long_ids(attacker: Attacker, number: int) -> None:
    task_id = attacker.create(key="key", external_task_id=f"{number}" + "\U0001f600" * 200_000)
    for _ in range(5):
        attacker.send("GET", f"{PATH}/{task_id}", key="key")


def long_hosts(attacker: Attacker, _: int) -> None:
    attacker.create(headers={"Host": "h" * 300_000})


def long_headers(attacker: Attacker, _: int) -> None:
    attacker.create(headers={f"X-{name}": "v" * 1000 for name in range(300)})


def long_values(attacker: Attacker, _: int) -> None:
    attacker.create(aspect_ratio="a" * 300_000, callback_url="http://127.0.0.1/" + "a" * 300_000)
    attacker.create(callback_url="http://127.0.0.1/" + "a" * 300_000)
    attacker.create(subject_image_list=subjects(*["https://e.com/" + "a" * 300_000] * 4))
    attacker.send("GET", "/" + "a" * 300_000)


def many_fields(attacker: Attacker, _: int) -> None:
    names: dict[str, Any] = {"f" * 100 + f"{name}": name for name in range(500)}
    attacker.create(more=[["\u4e2d" * 190] * 100] * 20, **names)


def many_accounts(attacker: Attacker, number: int) -> None:
    for _ in range(5):
        attacker.create(callback_url="http://127.0.0.1/", external_task_id="order", prompt="[[slow]]")
        attacker.send("GET", f"{PATH}/1")
        control = Control.of(attacker.simulator, key=f"{number}")
        with suppress(ControlError):  # there is no room
            control.configure(scenario="path:submitted>failed", query_scenario="delay:1s", callback_secret="A" * 500)
        with suppress(ControlError):
            control.scenario("delay:lognormal:1s", times=1_000_000)


def many_polls(attacker: Attacker, _: int) -> None:
    task_id = attacker.create(key="poller", callback_url="http://127.0.0.1/")
    for _ in range(210):
        attacker.simulator.query(account_name("poller"), task_id)
    attacker.simulator.traveller.run_until_idle()
    for delivery in attacker.simulator.store.deliveries()[-1:]:
        for _ in range(120):
            Control.of(attacker.simulator).resend(delivery.id)


def many_pictures(attacker: Attacker, number: int) -> None:
    attacker.create(subject_image_list=subjects(*[b64(png(300 + number, 300) + bytes(100_000))] * 4))


ATTACKS = [long_ids, long_hosts, long_headers, long_values, many_fields, many_accounts, many_polls, many_pictures]


@pytest.mark.parametrize("attacks", [*([attack] for attack in ATTACKS), ATTACKS], ids=lambda them: str(len(them)))
def test_what_is_kept_stays_within_the_limit(
    attacks: list[Callable[[Attacker, int], None]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "klingkit")  # pytest would keep every line
    attacker = Attacker()
    for attack in attacks:  # what Python and its libraries keep for themselves is there before
        attack(attacker, 0)
    Control.of(attacker.simulator).reset()
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(8):
            for attack in attacks:
                attack(attacker, number)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < LIMIT


def test_a_long_id_is_still_unique_and_echoed_in_part() -> None:
    attacker = Attacker()
    name = "a" * 50_000
    task_id = attacker.create(key="key", external_task_id=name + "1")
    attacker.create(key="key", external_task_id=name + "2")
    again = attacker.send("POST", PATH, body(external_task_id=name + "1"), key="key")
    shown = json.loads(attacker.send("GET", f"{PATH}/{task_id}", key="key").body)["data"]["task_info"]

    assert attacker.simulator.store.count_tasks() == 2
    assert (again.status, len(again.body) < 2000) == (400, True)
    assert shown["external_task_id"].startswith("a" * 10_000 + "... (50001 characters, sha256 ")


def test_money_of_accounts_whose_tasks_were_dropped_is_still_counted() -> None:
    simulator = Simulator(Settings(max_tasks=2, max_memory=LIMIT), clock=ClockState(START))
    for number in range(500):
        simulator.create(f"acct-{number}", body(), "http://host")

    assert len(simulator.store.accounts()) < 100
    assert Control.of(simulator).account()["spent"] == "6.65"
