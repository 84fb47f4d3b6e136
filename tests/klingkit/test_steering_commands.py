"""Steering a simulator from a terminal: what the control API does is tested with it, here that each command asks for it and says what came."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click import Option
from click.testing import CliRunner

from klingkit.cli import main
from klingkit.mock_server.auth import account_name
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.control.document import control_document
from tests.conftest import PATH, Running, body, serving
from tests.klingkit.test_cli import one_line, run
from tests.klingkit.test_terminal import EVIL, is_harmless, service

if TYPE_CHECKING:
    from click.testing import Result
    from pytest_httpserver import HTTPServer


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMETAPI_BASE_URL", "KLINGKIT_ACCOUNT_KEY", "KLINGKIT_CONTROL_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def create(server: Running, key: str, **fields: Any) -> str:
    """Make a task, and return its id."""
    headers = {"Authorization": f"Bearer {key}"}
    answer = requests.post(server.url + PATH, json=body(**fields), headers=headers, timeout=20)
    return str(answer.json()["data"]["task_id"])


def steer(server: Running, key: str, *command: str) -> Result:
    return run(*command, "--url", server.url, "--key", key)


def as_json(server: Running, key: str, *command: str) -> Any:
    result = steer(server, key, *command, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_clock_of_a_key_is_frozen_moved_and_resumed(server: Running) -> None:
    assert re.match(r"[\d-]{10} [\d:.]{12} UTC, runs, the server's clock\n", steer(server, "t1", "clock").stdout)
    assert "stands still, the account's own clock" in steer(server, "t1", "freeze").stdout
    before = as_json(server, "t1", "clock")
    moved = as_json(server, "t1", "advance", "20m")
    assert moved["now"] == before["now"] + 20 * 60_000
    assert as_json(server, "t1", "advance", str(moved["now"] + 5))["now"] == moved["now"] + 5
    assert as_json(server, "t1", "advance", "2100-01-01T12:00:00Z")["time"] == "2100-01-01T12:00:00.000Z"
    assert "runs, the account's own clock" in steer(server, "t1", "resume").stdout
    assert not Control.over_http(server.url).clock()["frozen"]


def test_a_move_of_the_clock_says_what_it_made_happen(slow_server: Running) -> None:
    steer(slow_server, "t2", "freeze")
    task_id = create(slow_server, "t2", prompt="[[slow:200]]")

    assert task_id in (shown := steer(slow_server, "t2", "advance", "next").stdout)
    assert "status processing" in shown
    assert [
        event["status"] for event in as_json(slow_server, "t2", "advance", "idle")["events"] if "status" in event
    ] == ["succeed"]


def test_a_scenario_is_queued(server: Running) -> None:
    shown = steer(server, "t3", "queue", "error-1303", "--times", "2").stdout.split()
    assert shown == ["account", "operation", "scenario", "times", account_name("t3"), "create_task", "error-1303", "2"]
    queued = as_json(server, "t3", "queue", "reset", "--operation", "get_task")
    assert queued == Control.over_http(server.url, key="t3").scenarios()["queued"]
    assert len(queued) == 2
    assert "did you mean error-1303?" in one_line(steer(server, "t3", "queue", "error-13033"), 2)


def test_settings_of_an_account_are_shown_and_set(server: Running) -> None:
    given = [
        "--balance",
        "0.05",
        "--concurrency",
        "3",
        "--disabled",
        "--assume",
        "prompt-length=bytes",
        "--window",
        "9s",
    ]
    shown = dict(line.rsplit(maxsplit=1) for line in steer(server, "t4", "account", *given).stdout.splitlines())
    found = as_json(server, "t4", "account")

    assert (shown["balance"], shown["concurrency"], shown["disabled"]) == ("0.05", "3", "yes")
    assert (found["balance"], found["concurrency"], found["disabled"]) == ("0.05", 3, True)
    assert (found["assume"], found["window"]) == ({"prompt-length": "bytes"}, "9000ms")
    taken = as_json(server, "t4", "account", "--balance", "none", "--concurrency", "none", "--assume", "none")
    assert (taken["balance"], taken["concurrency"], taken["assume"], taken["disabled"]) == (None, None, {}, True)


@pytest.mark.parametrize(
    "wrong",
    [
        "--balance=x",
        "--concurrency=many",
        "--progression=soon",
        "--assume=prompt-length",
        "--window=none",
        "--contract=klng",
    ],
)
def test_a_wrong_setting_is_said_and_changes_nothing(server: Running, wrong: str) -> None:
    before = as_json(server, "t5", "account")
    one_line(steer(server, "t5", "account", "--balance=1", wrong), 2)
    assert as_json(server, "t5", "account") == before


def test_every_setting_of_the_control_api_is_an_option() -> None:
    options = {option.name for option in main.commands["account"].params if isinstance(option, Option)}
    settings = set(control_document()["components"]["schemas"]["Settings"]["properties"])
    assert settings - options == {"callback_secret"}  # which no command line should hold


def test_a_reset_is_of_the_account_alone(server: Running) -> None:
    create(server, "t6")
    other = create(server, "t7")
    assert "that account begins anew" in steer(server, "t6", "reset").stdout
    assert Control.over_http(server.url, key="t6").tasks() == []
    assert [task["task_id"] for task in Control.over_http(server.url, key="t7").tasks()] == [other]


def test_an_account_can_be_named_as_the_lists_show_it(server: Running) -> None:
    result = run("freeze", "--url", server.url, "--account", account_name("t8"))
    assert "the account's own clock" in result.stdout
    assert Control.over_http(server.url, key="t8").clock()["frozen"]
    one_line(run("freeze", "--url", server.url, "--account", "t8"), 2)


COMMANDS = (
    ["tasks"],
    ["task", "1"],
    ["callbacks"],
    ["journal"],
    ["journal", "--follow"],
    ["clock"],
    ["advance", "1s"],
    ["freeze"],
    ["resume"],
    ["queue", "reset"],
    ["account"],
    ["reset"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_it_is_said_in_one_line_that_nobody_is_there(command: list[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert f"{url}: nothing there answers as klingkit does: start one with `klingkit serve`" in one_line(
        run(*command, "--url", url), 1
    )


@pytest.mark.parametrize("answer", ["{}", "[]", "<html>", '{"operations": [{"path": 1}]}', "[" * 100_000, '"x"'])
def test_a_server_of_somebody_else_is_told_from_klingkit(httpserver: HTTPServer, answer: str) -> None:
    httpserver.expect_request(re.compile("/.*")).respond_with_data(answer)
    for command in COMMANDS:
        assert "nothing there answers as klingkit does" in one_line(run(*command, "--url", httpserver.url_for("")), 1)


def test_a_server_without_a_control_api_says_so() -> None:
    for contract in ("cometapi", "kling"):
        with serving("--no-control", "--contract", contract) as running:
            for command in COMMANDS:
                assert "start it without --no-control" in one_line(run(*command, "--url", running.url), 1)


def test_a_token_is_asked_for_and_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving("--control-token", "t0ken") as running:
        assert "KLINGKIT_CONTROL_TOKEN" in (line := one_line(run("clock", "--url", running.url), 1))
        assert "--control-token" in line
        assert one_line(run("clock", "--url", running.url, "--control-token", "wrong"), 1) == line
        for name, value in (
            ("KLINGKIT_CONTROL_TOKEN", "t0ken"),
            ("COMETAPI_BASE_URL", running.url),
            ("KLINGKIT_ACCOUNT_KEY", "mine"),
        ):
            monkeypatch.setenv(name, value)
        assert run("freeze").exit_code == 0
        monkeypatch.delenv("KLINGKIT_ACCOUNT_KEY")
        assert json.loads(run("clock", "--json").stdout)["frozen"] is False


@pytest.mark.parametrize("url", ["localhost:8000", "http://[", "http://u:secret@127.0.0.1", "ftp://127.0.0.1"])
def test_a_wrong_address_is_usage(url: str) -> None:
    line = one_line(run("clock", "--url", url), 2)
    assert "--url" in line
    assert "secret" not in line


def test_advice_takes_the_same_options(server: Running) -> None:
    for named in ("--url", "--base-url"):
        assert "nothing to judge" in one_line(run("advice", named, server.url, "--key", "t9"), 2)
    assert "klingkit serve" in one_line(run("advice", "--url", "http://127.0.0.1:9"), 2)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_what_a_server_says_does_nothing_on_a_terminal(command: list[str], form: list[str]) -> None:
    for body_, http in (({"error": EVIL}, 400), ({"error": EVIL}, 403), ({EVIL: EVIL}, 200), ({"error": EVIL}, 503)):
        with service(body_, http) as url:
            result = run(*command, *form, "--url", url)
        assert result.exit_code in {1, 2}
        assert is_harmless(result.output)


def test_a_pipe_that_closes_ends_a_command_quietly(server: Running) -> None:
    create(server, "t10")
    for command in ("tasks", "account", "journal"):
        line = f"{sys.executable} -m klingkit {command} --url {server.url} --key t10 | head -c 1"
        done = subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
        )
        assert (len(done.stdout), done.stderr) == (1, "")


def test_narrow_terminals_lose_nothing_and_colour_is_left_out(server: Running) -> None:
    task_id = create(server, "t11")
    for columns in ("20", "40", "80"):
        for variables in ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, {}):
            result = CliRunner().invoke(
                main, ["tasks", "--url", server.url, "--key", "t11"], env={"COLUMNS": columns, **variables}
            )
            assert "\x1b[3" not in result.stdout  # bold is no colour
            if variables:
                assert all(len(re.sub(r"\x1b\[\d*m", "", line)) <= int(columns) for line in result.stdout.splitlines())
            else:
                assert f"{task_id}  succeed" in result.stdout
