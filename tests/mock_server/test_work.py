"""What a request costs follows its size, and not what the simulator keeps.

Work is counted in steps of the interpreter, not in time: what C does with bytes by itself is as cheap as to read them.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.mock_server.account_settings import AccountSettings
from klingkit.mock_server.app import create_app
from klingkit.mock_server.auth import account_name
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.serving.in_process import WsgiAnswer, call
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, URL, body, subjects

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def steps(act: Callable[[], object]) -> int:
    """Return how many steps Python's interpreter does meanwhile."""
    number = 0

    def count(frame: FrameType, event: str, _: object) -> Any:
        nonlocal number
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        number += event == "opcode"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        act()
    finally:
        sys.settrace(before)
    return number


def request(app: Any, method: str, path: str, data: bytes = b"") -> WsgiAnswer:
    return call(
        app,
        method,
        f"http://localhost{path}",
        {"Authorization": "Bearer key", "Content-Type": "application/json"},
        data,
    )


BODIES: dict[str, Callable[[int], Any]] = {
    "nested empty lists": lambda n: body(x=[[]] * n),
    "nested lists as prompt": lambda n: body(prompt=[[[]]] * n),
    "objects as number": lambda n: body(n=[{}] * n),
    "lists as subjects": lambda n: body(subject_image_list=[[]] * n),
    "objects as subjects": lambda n: body(subject_image_list=[{}] * n),
    "subjects": lambda n: body(subject_image_list=subjects(*[URL] * n)),
    "unknown fields": lambda n: body(**{f"f{number}": 1 for number in range(n)}),
    "unknown fields of subjects": lambda n: body(subject_image_list=[{"subject_imagf": 1}] * n),
    "brackets in a text": lambda n: body(x="[" * n),
    "a body that is a list": lambda n: [[]] * n,
    "markers": lambda n: body(prompt="[[slov]]" * n),
    "markers with a wrong argument": lambda n: body(prompt="[[slow:x]]" * n),
    "long texts": lambda n: body(external_task_id="a" * n, callback_url="http://127.0.0.1/" + "a" * n),
}


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES.keys())
def test_ten_times_the_body_is_no_more_work(make: Callable[[int], Any]) -> None:
    """Beside what C does: reading JSON, and counting its brackets."""
    work = []
    for size in (3000, 3000, 30_000):  # the first time something may be imported or compiled
        app = create_app(Simulator(Settings(), clock=ClockState(START), send=lambda *_, timeout_ms: 200)).wsgi_app
        data = json.dumps(make(size)).encode()
        work.append(steps(lambda app=app, data=data: request(app, "POST", PATH, data)))  # type: ignore[misc]

    assert work[2] < 1.2 * work[1] + 1000


def kept(tasks: int) -> Simulator:
    """A simulator with tasks of one account that never end by themselves, and each with a callback that is due."""
    account = AccountSettings(progression="manual", concurrency=1_000_000, balance=None, quota=None)
    simulator = Simulator(Settings(account=account), clock=ClockState(START), send=lambda *_, timeout_ms: 200)
    Control.of(simulator, key="key").configure(balance="1000", quota="1000", requests=1_000_000)
    for number in range(tasks):
        scenario = {"prompt": "[[fail-moderation]]"} if number % 2 else {}
        simulator.create(account_name("key"), body(callback_url="http://127.0.0.1/", **scenario), "http://host")
    return simulator


ASKED: dict[str, tuple[str, str, bytes]] = {
    "unknown id": ("GET", f"{PATH}/835493114532133314", b""),
    "create": ("POST", PATH, json.dumps(body(callback_url="http://127.0.0.1/")).encode()),
    "refused create": ("POST", PATH, json.dumps(body(n=10)).encode()),
    "wrong path": ("GET", "/kling/v1/images/generation/1", b""),
    "account": ("GET", "/_mock/account", b""),
    "reset of the account of nobody": ("POST", "/_mock/reset", b""),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
def test_no_request_looks_through_all_tasks(asked: tuple[str, str, bytes]) -> None:
    work = []
    for tasks in (50, 50, 1000):
        simulator = kept(tasks)
        app = create_app(simulator).wsgi_app
        if "reset" in asked[1]:
            act: Callable[[], object] = lambda simulator=simulator: Control.of(simulator, key="nobody").reset()  # type: ignore[misc]
        else:
            act = lambda app=app: request(app, *asked)  # type: ignore[misc]
        Control.of(simulator).health()
        work.append(steps(act))

    assert work[2] < 1.2 * work[1] + 500


def test_the_next_callback_is_found_without_a_look_at_those_of_a_busy_account() -> None:
    work = []
    for tasks in (50, 50, 1000):
        store = kept(tasks).store
        for _ in range(8):
            assert store.claim(START)

        def look(store: Any = store) -> None:
            assert store.claim(START) is None
            assert store.next_due("") is None

        work.append(steps(look))

    assert work[2] <= 1.2 * work[1] + 100


def test_tasks_that_have_ended_cost_nothing_in_health() -> None:
    work = []
    for tasks in (50, 50, 1000):
        simulator = Simulator(Settings(instant=True), clock=ClockState(START))
        for _ in range(tasks):
            simulator.create("acct", body(), "http://host")
        assert Control.of(simulator).health()["tasks"]["succeed"] == tasks
        work.append(steps(Control.of(simulator).health))

    assert work[2] < 1.2 * work[1] + 500
