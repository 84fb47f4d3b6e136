"""Test runs that share one server: each test has an account of its own there, with a time of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.kling_on_server import NoServerError, OnServer, served_at
from klingkit.mock_server.app import create_app
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.serving.thread_server import ThreadServer
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from klingkit.steerable import TOKEN
from tests.conftest import FEW_PLUGINS
from tests.klingkit.test_pytest_plugin import make_files, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_httpserver import HTTPServer

pytest_plugins = ["pytester"]


@contextmanager
def server_of(**settings: Any) -> Iterator[str]:
    simulator = Simulator(Settings(**settings), send=lambda *_, timeout_ms: 204)
    server = ThreadServer(create_app(simulator), simulator, lambda _: None)
    try:
        yield server.url
    finally:
        server.stop()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with server_of(speed=1) as found:
        yield found


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("PYTEST_", "COMETAPI", "KLINGKIT"))]:
        monkeypatch.delenv(name)


TESTS = """
from decimal import Decimal

PATH = "/kling/v1/images/generations"

def test_time(kling_server):
    before = kling_server.clock.now
    task_id = create(kling_server.url + PATH)["data"]["task_id"]
    events = kling_server.clock.advance("1h")
    assert [event["status"] for event in events] == ["processing", "succeed"]
    assert {event["task_id"] for event in events} == {task_id}
    assert (kling_server.clock.now - before).total_seconds() == 3600
    assert kling_server.task(task_id).status == "succeed"

@pytest.mark.kling(balance="0.05", scenario="fail-moderation", seed=3)
def test_scene(kling_server):
    assert (kling_server.balance, kling_server.creates) == (Decimal("0.05"), 0)
    create(kling_server.url + PATH)
    assert (kling_server.balance, kling_server.creates) == (Decimal("0.0367"), 1)
    kling_server.assert_created(times=1)
    kling_server.clock.advance_to("idle")
    assert (kling_server.spent, kling_server.tasks[0].status) == (0, "failed")

def test_callbacks(kling_server):
    create(kling_server.url + PATH, callback_url="http://127.0.0.1:9/hook")
    assert kling_server.wait_for_callback("succeed").http_status == 204
    assert [callback.status for callback in kling_server.callbacks] == ["submitted", "processing", "succeed"]
    with pytest.raises(AssertionError, match="no callback failed came"):
        kling_server.wait_for_callback("failed", timeout=0.01)
    with pytest.raises(ValueError, match="needs a simulator in this process"):
        kling_server.deliver_callbacks_to(print)
    with pytest.raises(AttributeError, match="is another process"):
        kling_server.simulator

def test_client(kling_server, kling_client):
    task = kling_client.wait(kling_client.create(["https://e.com/a", "https://e.com/b"]))
    assert task.status == "succeed"
    assert len(kling_server.tasks) == 1

def test_sleep(kling_server):
    import time
    kling_server.skip_sleep()
    before = kling_server.clock.now
    time.sleep(600)
    assert (kling_server.clock.now - before).total_seconds() == 600
"""


def test_each_test_has_an_account_of_its_own_on_the_server(pytester: pytest.Pytester, url: str) -> None:
    control = Control.over_http(url)
    run(pytester, TESTS, "--klingkit-server", url).assert_outcomes(passed=5)

    assert (control.accounts(), control.tasks()) == ([], [])
    assert control.health()["clock"] | {"time": ""} == {"time": "", "frozen": False, "moved_ms": 0, "own_clocks": 0}


TRAVELS = """
import os, time
from pathlib import Path

@pytest.mark.parametrize("number", range(2))
def test_travel(kling_server, number):
    Path(f"{os.getpid()}.run").touch()
    deadline = time.monotonic() + 30
    while len(list(Path().glob("*.run"))) < 2:  # the other run has begun too
        assert time.monotonic() < deadline
    before = kling_server.clock.now
    ids = {create(kling_server.url + "/kling/v1/images/generations")["data"]["task_id"] for _ in range(3)}
    for _ in range(20):
        assert (kling_server.clock.now - before).total_seconds() % 60 == 0
        kling_server.clock.advance("1m")
    assert (kling_server.clock.now - before).total_seconds() == 1200
    assert {(task.task_id, task.status) for task in kling_server.tasks} == {(task_id, "succeed") for task_id in ids}
"""


def test_two_runs_travel_in_time_on_one_server_without_noticing_each_other(pytester: pytest.Pytester, url: str) -> None:
    make_files(pytester, TRAVELS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--klingkit-server", url, "test_it.py"]
    environment = {**os.environ, **FEW_PLUGINS}
    runs = [
        subprocess.Popen(command, cwd=pytester.path, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0] for process in runs]

    assert [process.returncode for process in runs] == [0, 0], "\n".join(said)
    assert Control.over_http(url).health()["clock"]["own_clocks"] == 0


def test_the_same_seed_gives_the_same_plans_in_another_run(url: str) -> None:
    plans = []
    for seed in (7, 7, 8):
        kling = OnServer(url)
        with kling.used(seed=seed, name="test"):
            with kling.client() as client:
                client.create(["https://e.com/a", "https://e.com/b"])
            planned = kling.tasks[0].timeline["planned"]
            plans.append([step["at"] - planned[0]["at"] for step in planned])

    assert plans[0] == plans[1] != plans[2]


def test_a_contract_of_the_same_paths_can_be_chosen(url: str) -> None:
    with OnServer(url, "cometapi-2026").used() as kling:
        assert kling.control.account()["contract"] == "cometapi-2026"
    with pytest.raises(ValueError, match="kling"), OnServer(url, "kling").used():
        pass


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("http://127.0.0.1:9", "*127.0.0.1:9*nothing there answers as klingkit does*klingkit serve*"),
        ("127.0.0.1:8000", "*does not begin with http*"),
    ],
)
def test_a_server_that_is_not_there_ends_the_run_in_one_line(
    pytester: pytest.Pytester, address: str, problem: str
) -> None:
    result = run(pytester, "def test(kling_server): pass", "--klingkit-server", address)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --klingkit-server {problem}"])
    assert "Traceback" not in result.stderr.str()


@pytest.mark.parametrize(
    "answer", ["{}", "[]", "<html>", json.dumps({"contract": "none"}), json.dumps({"contract": 1})]
)
def test_what_is_no_klingkit_is_said_to_be_none(httpserver: HTTPServer, answer: str) -> None:
    paths = {"operations": [{"path": "/_mock/health"}, {"path": "/_mock/clock"}]}
    httpserver.expect_request("/_mock/").respond_with_json(paths)
    httpserver.expect_request("/_mock/health").respond_with_data(answer)
    httpserver.expect_request("/_mock/clock").respond_with_data("{}")

    with pytest.raises(NoServerError, match="nothing there answers as klingkit does"):
        served_at(httpserver.url_for(""))


def test_a_server_without_control_api_or_with_a_token_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with server_of(control=False) as url, pytest.raises(NoServerError, match="start it without --no-control"):
        served_at(url)
    with server_of(control_token="secret") as url:
        with pytest.raises(NoServerError, match=f"wants its token in the header Klingkit-Token; put it into {TOKEN}"):
            served_at(url)
        monkeypatch.setenv(TOKEN, "secret")
        with OnServer(url).used() as kling:
            assert kling.clock.advance("1m") == []


def test_coverage_wants_a_simulator_of_its_own(pytester: pytest.Pytester, url: str) -> None:
    result = run(pytester, "def test(): pass", "--klingkit-server", url, "--klingkit-coverage")

    result.stderr.fnmatch_lines(["ERROR: --klingkit-coverage *leave out --klingkit-server"])
