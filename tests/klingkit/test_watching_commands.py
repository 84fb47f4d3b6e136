"""What a terminal shows of a simulator: its tasks, callbacks and requests, and why."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests

from klingkit.journal_lines import followed
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from tests.conftest import PATH, Running, b64, png, serving, subjects
from tests.klingkit.test_cli import one_line
from tests.klingkit.test_steering_commands import as_json, create, steer
from tests.klingkit.test_terminal import EVIL, is_harmless, on_a_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMETAPI_BASE_URL", "KLINGKIT_ACCOUNT_KEY", "KLINGKIT_CONTROL_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def ask(server: Running, key: str, path: str, **request: object) -> requests.Response:
    headers = {"Authorization": f"Bearer {key}"}
    method = "POST" if "json" in request else "GET"
    return requests.request(method, server.url + path, headers=headers, timeout=20, **request)  # type: ignore[arg-type]


def test_a_task_that_failed_says_by_what_and_why(server: Running) -> None:
    steer(server, "w1", "freeze")
    task_id = create(
        server, "w1", subject_image_list=subjects("https://a.b/c.png", b64(png(10, 10))), external_task_id="order 1"
    )
    ask(server, "w1", f"{PATH}/{task_id}")
    shown = steer(server, "w1", "task", task_id).stdout

    assert shown.startswith(f"task {task_id}: failed, Image pixel is invalid\n")
    assert "order 1" in shown
    assert "polls: 1, the last at " in shown
    place = "subject_image_list.items.subject_image.pixels (#/components/schemas/ImageSource/x-rules/pixels)"
    assert f"fails by {place}: subject_image_list[1].subject_image is 10 x 10 px" in shown
    assert "  answer: recorded, " in shown
    assert "callbacks: its create had no callback_url" in shown
    assert as_json(server, "w1", "task", task_id) == Control.over_http(server.url, key="w1").task(task_id)


def test_a_task_that_its_scenario_makes_fail_says_so_first(server: Running) -> None:
    task_id = create(server, "w1", prompt="[[fail-pixels]]")
    below = steer(server, "w1", "task", task_id).stdout
    said = below.index("fails since its prompt asks for the scenario fail-pixels; your pictures are not at fault")
    assert said < below.index("fails by ")


def test_tasks_are_listed_newest_first_and_filtered(server: Running) -> None:
    first = create(server, "w0", prompt="[[fail-moderation]] two friends", external_task_id="order-1")
    second = create(server, "w0", prompt="a cat")

    def ids(*filters: str) -> list[str]:
        return [task["task_id"] for task in as_json(server, "w0", "tasks", *filters)]

    assert ids() == [second, first]
    assert ids("--limit", "1") == ids("--text", "A CAT") == ids("--status", "succeed") == [second]
    assert ids("--scenario", "fail-moderation") == ids("--text", "order-1") == [first]
    assert as_json(server, "w0", "task", "latest")["task_id"] == second
    rows = steer(server, "w0", "tasks").stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["task", second, first]
    assert steer(server, "w0", "tasks", "--limit", "1").stderr == "the newest 1; --limit shows more\n"
    assert steer(server, "w0", "tasks").stderr == ""
    assert "did you mean failed?" in one_line(steer(server, "w0", "tasks", "--status", "fail"), 2)
    assert one_line(steer(server, "w00", "task", "latest"), 1)


def test_a_task_shows_what_was_planned_beside_what_happened(slow_server: Running) -> None:
    steer(slow_server, "w2", "freeze")
    task_id = create(slow_server, "w2", prompt="[[slow:200]]")
    steer(slow_server, "w2", "advance", "next")
    rows = steer(slow_server, "w2", "task", task_id).stdout.splitlines()
    planned = {row.split()[0]: row for row in rows if row.startswith(("submitted", "processing", "succeed"))}

    assert planned["succeed"].endswith("not yet")
    for status in ("submitted", "processing"):
        _, day, time, happened_day, happened = planned[status].split()
        assert (day, time) == (happened_day, happened)


def test_callbacks_say_what_came_of_them(server: Running) -> None:
    task_id = create(server, "w3", callback_url="http://127.0.0.1:9/")
    steer(server, "w3", "advance", "idle")
    shown = steer(server, "w3", "callbacks").stdout
    assert shown.count(f"{task_id}") == shown.count("given_up") == 3
    assert "nobody listens there: the connection was refused" in shown
    assert "start the receiver before the task moves" in shown
    assert "3 given_up" in steer(server, "w3", "tasks").stdout
    assert "given_up" in steer(server, "w3", "task", task_id).stdout
    assert as_json(server, "w3", "callbacks", "--outcome", "delivered") == []
    assert as_json(server, "w3", "callbacks", "--task-id", task_id, "--limit", "3") == Control.over_http(
        server.url, key="w3"
    ).deliveries(order="newest")


def test_a_refused_request_says_why_in_words(server: Running) -> None:
    ask(
        server,
        "w4",
        PATH,
        json={"n": 10, "promt": "x", "subject_image_list": subjects("https://a.b/c.png", "https://a.b/d.png")},
    )
    ask(server, "w4", f"{PATH}/1")
    create(server, "w4")
    shown = steer(server, "w4", "journal").stdout

    assert "    refused by n.maximum (inferred): n: must be less than or equal to 9 (1201)\n" in shown
    assert "    advice: unknown field 'promt' is ignored, did you mean 'prompt'?; " in shown
    assert [entry["status"] for entry in as_json(server, "w4", "journal")] == [400, 400, 200]
    assert [entry["status"] for entry in as_json(server, "w4", "journal", "--rule", "n.maximum")] == [400]
    assert [entry["status"] for entry in as_json(server, "w4", "journal", "--limit", "1")] == [200]
    assert [entry["status"] for entry in as_json(server, "w4", "journal", "--not-refused")] == [200]
    assert [entry["status"] for entry in as_json(server, "w4", "journal", "--refused", "--text", "promt")] == [400]
    assert "unknown rule 'n.max'" in one_line(steer(server, "w4", "journal", "--rule", "n.max"), 2)


def test_what_clients_send_does_nothing_on_a_terminal(server: Running) -> None:
    name = EVIL.encode("utf-8", "replace").decode()
    task_id = create(server, "w5", external_task_id=name, prompt=name, callback_url="http://127.0.0.1:9/%1B[2J")
    ask(server, "w5", f"{PATH}/%1B%5B2J%C2%9B%E2%80%AEx", json={name: name})
    for command in (["tasks"], ["task", task_id], ["callbacks"], ["journal"], ["advice"]):
        for form in ([], ["--json"]):
            result = steer(server, "w5", *command, *form)
            assert result.stdout
            assert is_harmless(result.stdout)


def test_on_a_terminal_there_are_colours_and_nothing_of_what_clients_send(server: Running, tmp_path: Path) -> None:
    name = EVIL.encode("utf-8", "replace").decode()
    task_id = create(server, "w10", external_task_id=name, prompt=name, n=1)
    for command in (["tasks"], ["task", task_id], ["journal"]):
        status, printed = on_a_terminal(*command, "--url", server.url, "--key", "w10", folder=tmp_path)
        assert status == 0
        assert "\x1b[32m" in printed
        assert is_harmless(re.sub(r"\x1b\[\d*m", "", printed).replace("\r\n", "\n"))
        assert "Traceback" not in printed


@contextmanager
def following(url: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "klingkit", "journal", "--follow", "--url", url, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(60, process.kill)  # then who reads a line that does not come gets an empty one
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def test_it_follows_until_ctrl_c(server: Running) -> None:
    first = create(server, "w6")
    with following(server.url, "--key", "w6") as process:
        assert process.stdout
        assert process.stderr
        assert first in process.stdout.readline()
        second = create(server, "w6")
        assert second in process.stdout.readline()
        ask(server, "w6", f"{PATH}/1")
        assert " 400  GET " in process.stdout.readline()
        assert "refused by " in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""


def test_it_follows_no_more_when_nobody_reads(server: Running) -> None:
    with following(server.url, "--key", "w9") as process:
        assert process.stdout
        assert process.stderr
        create(server, "w9")
        process.stdout.readline()
        process.stdout.close()
        create(server, "w9")
        assert process.wait(20) == 1
        assert process.stderr.read() == ""


def test_it_follows_a_server_that_is_started_again() -> None:
    with serving("--instant") as running:
        create(running, "w7")
        create(running, "w7")
        with following(running.url, "--json") as process:
            assert process.stdout
            assert process.stderr
            assert [json.loads(process.stdout.readline())["number"] for _ in range(2)] == [1, 2]
            running.stop()
            assert "the server went away" in process.stderr.readline()
            with serving("--instant", "--port", str(running.port)) as again:
                task_id = create(again, "w7")
                assert json.loads(process.stdout.readline())["task_id"] == task_id
                assert process.stderr.readline() == "the server is back\n"


def test_it_follows_a_server_that_loses_its_database(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers: Iterator[ControlError | list[dict[str, Any]]] = iter(
        [ControlError("it cannot be used", 503), [{"number": 1}], ControlError("not yours", 403)]
    )

    class Server:
        def journal(self, **_: Any) -> list[dict[str, Any]]:
            answer = next(answers)
            if isinstance(answer, ControlError):
                raise answer
            return answer

    monkeypatch.setattr("klingkit.journal_lines.PAUSE_S", 0)
    follow = followed(Server(), {}, 0)  # type: ignore[arg-type]

    assert next(follow)["number"] == 1
    assert capsys.readouterr().err == "the server went away; waiting for it\nthe server is back\n"
    with pytest.raises(ControlError, match="not yours"):
        next(follow)


def test_it_follows_over_a_reset() -> None:
    with serving("--instant") as running, following(running.url, "--json") as process:
        assert process.stdout
        for _ in range(2):
            create(running, "w8")
            assert json.loads(process.stdout.readline())["operation"] == "create_task"
        Control.over_http(running.url).reset()
        create(running, "w8")
        assert json.loads(process.stdout.readline())["number"] == 1
