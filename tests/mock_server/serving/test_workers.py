"""`klingkit serve --workers 2`: several processes that are one server, and what becomes of them."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from klingkit.mock_server.clock import ClockState
from klingkit.mock_server.serving.workers import LONGEST_PAUSE_S, QUICK_S, Place
from tests.conftest import PATH, Running, body, serving
from tests.mock_server.serving.test_server import create, klingkit, query

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.states import States

IN_TIME_S = 20


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('state') / 'kling.db'}"


@pytest.fixture(scope="module")
def two(state: str) -> Iterator[Running]:
    with serving("--workers", "2", "--state", state, "--key", "k", "--control-token", "steer", "--instant") as running:
        yield running


def health(url: str) -> dict[str, Any]:
    answer: dict[str, Any] = requests.get(f"{url}/_mock/health", timeout=IN_TIME_S).json()
    return answer


def session_with_each(running: Running) -> dict[int, requests.Session]:
    """A connection to each of two workers, by process id."""
    found: dict[int, requests.Session] = {}
    due = time.monotonic() + IN_TIME_S
    while len(found) < 2 and time.monotonic() < due:
        session = requests.Session()
        session.headers["Authorization"] = "Bearer k"
        found[session.get(f"{running.url}/_mock/health", timeout=IN_TIME_S).json()["worker"]] = session
    assert len(found) == 2
    return found


def is_refused(running: Running) -> bool:
    """Whether nobody listens any more, when that has come to pass or time is up."""
    due = time.monotonic() + IN_TIME_S
    while time.monotonic() < due:
        try:
            socket.create_connection((running.host, running.port)).close()
        except ConnectionRefusedError:
            return True
    return False


def test_any_worker_answers_for_what_another_has_made(two: Running) -> None:
    one, other = session_with_each(two).values()
    created = one.post(two.url + PATH, json=body(), timeout=IN_TIME_S).json()["data"]

    done = other.get(f"{two.url}{PATH}/{created['task_id']}", timeout=IN_TIME_S).json()["data"]
    picture = one.get(done["task_result"]["images"][0]["url"], timeout=IN_TIME_S)
    same = other.get(done["task_result"]["images"][0]["url"], timeout=IN_TIME_S)
    assert done["task_status"] == "succeed"
    assert picture.content.startswith(b"\x89PNG")
    assert picture.content == same.content


def test_two_servers_on_one_state_are_one(states: States) -> None:
    """Whichever is asked for a task, its picture or an external id; a reset of one is one of both."""
    state = states.new("postgresql", start=ClockState())
    assert state
    options = ("--state", state, "--instant")
    with serving(*options) as here, serving(*options) as there:
        task_id = create(here.url, body(external_task_id="once")).json()["data"]["task_id"]
        assert create(there.url, body(external_task_id="once")).status_code == 400
        image = query(there.url, task_id)["task_result"]["images"][0]["url"]
        assert image.startswith(there.url)
        pictures = [
            requests.get(image.replace(there.url, each.url), timeout=IN_TIME_S).content for each in (here, there)
        ]
        assert pictures[0] == pictures[1] != b""
        requests.post(f"{here.url}/_mock/reset", timeout=IN_TIME_S).raise_for_status()
        assert health(there.url)["tasks"] == {"submitted": 0, "processing": 0, "succeed": 0, "failed": 0}
        assert health(there.url)["seed"] == health(here.url)["seed"]
    states.take_back()


def test_every_worker_has_the_options_of_the_server(two: Running) -> None:
    answers = session_with_each(two)
    seeds = set()
    for worker, session in answers.items():
        state = session.get(f"{two.url}/_mock/health", timeout=IN_TIME_S).json()
        seeds.add(state["seed"])
        assert (state["worker"], state["workers"]) == (worker, 2)
        assert session.get(f"{two.url}/_mock/tasks", timeout=IN_TIME_S).status_code == 403
        steered = session.get(f"{two.url}/_mock/tasks", headers={"Klingkit-Token": "steer"}, timeout=IN_TIME_S)
        assert steered.status_code == 200
        session.headers["Authorization"] = "Bearer another"
        assert session.get(f"{two.url}{PATH}/1", timeout=IN_TIME_S).status_code == 401
    assert len(seeds) == 1


def test_a_worker_that_dies_is_replaced_each_time(two: Running) -> None:
    for _ in range(2):
        before = set(session_with_each(two))
        os.kill(next(iter(before)), signal.SIGKILL)
        due = time.monotonic() + IN_TIME_S
        while (new := health(two.url)["worker"]) in before:
            assert time.monotonic() < due
        assert new not in before
    assert create(two.url, body()).status_code == 200


def unknown_tasks(running: Running, session: requests.Session) -> float:
    """How many queries of a task that there is not a worker shows in the metrics."""
    headers = {"Authorization": "Bearer steer"}
    text = session.get(f"{running.url}/_mock/metrics", headers=headers, timeout=IN_TIME_S).text
    found = re.search(r'^klingkit_requests_total\{.*operation="get_task",status="400"\} (.*)$', text, re.MULTILINE)
    return float(found[1]) if found else 0


def test_each_worker_shows_what_all_have_counted_also_those_that_died(two: Running) -> None:
    sessions = session_with_each(two)
    before = unknown_tasks(two, next(iter(sessions.values())))
    for session in sessions.values():
        for _ in range(3):
            assert session.get(f"{two.url}{PATH}/1", timeout=IN_TIME_S).status_code == 400
    assert {unknown_tasks(two, session) for session in sessions.values()} == {before + 6}

    os.kill(next(iter(sessions)), signal.SIGKILL)
    assert {unknown_tasks(two, session) for session in session_with_each(two).values()} == {before + 6}


def test_the_pause_grows_only_while_workers_die_at_once() -> None:
    place = Place()
    pauses = [place.note_death(now=place.started + QUICK_S / 2) for _ in range(10)]
    calm = place.note_death(now=place.started + QUICK_S)

    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[1] < pauses[-1] == LONGEST_PAUSE_S
    assert calm == 0
    assert place.note_death(now=place.started) == pauses[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_with_one_goodbye(number: signal.Signals, tmp_path: Path) -> None:
    """Also with a connection still open; what was made is there when a server is started again."""
    state = f"sqlite:///{tmp_path / 'kling.db'}"
    with serving("--workers", "2", "--state", state) as running, socket.create_connection((running.host, running.port)):
        task_id = create(running.url, body()).json()["data"]["task_id"]
        log = running.stop(number)

    assert running.process.returncode == 0
    assert is_refused(running)
    assert log.count("would have cost") == 1
    assert ("stopped by SIGHUP" in log) == (number == signal.SIGHUP)
    assert "worker" not in log
    assert log.count(f"POST {PATH} 200 ") == 1  # it waits for others, and not longer than its worker lives
    assert running.banner.count("klingkit simulates") == 1
    if number == signal.SIGTERM:  # once is enough
        with serving("--state", state) as again:
            assert query(again.url, task_id)["task_id"] == task_id


def test_a_second_ctrl_c_ends_all_at_once(tmp_path: Path) -> None:
    with (
        serving("--workers", "2", "--state", f"sqlite:///{tmp_path / 'kling.db'}") as running,
        socket.create_connection((running.host, running.port)) as slow,
    ):
        slow.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode())
        for _ in range(2):
            running.process.send_signal(signal.SIGINT)
        running.stop()

    assert running.process.returncode == 0
    assert is_refused(running)


def test_a_parent_that_is_killed_leaves_no_workers(tmp_path: Path) -> None:
    with serving("--workers", "2", "--state", f"sqlite:///{tmp_path / 'kling.db'}") as running:
        running.process.kill()
        running.process.communicate(timeout=IN_TIME_S)

        assert is_refused(running)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "memory"),
        (["--state", "sqlite:////dev/null/no.db"], "/dev/null/no.db"),
    ],
)
def test_several_workers_without_state_they_can_share_are_refused_in_one_line(options: list[str], reason: str) -> None:
    result = klingkit("serve", "--port", "0", "--workers", "2", *options)

    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(r"(Usage: .*\n.*\n\n)?Error: .*\n", result.stderr)
    assert reason in result.stderr


def test_a_taken_port_is_said_before_any_worker_starts(two: Running, state: str) -> None:
    result: subprocess.CompletedProcess[str] = klingkit(
        "serve", "--port", str(two.port), "--workers", "2", "--state", state
    )

    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r"Error: cannot listen on .* where a klingkit serves already; .*\n", result.stderr)
