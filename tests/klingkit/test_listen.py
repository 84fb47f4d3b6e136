"""`klingkit listen`, and what a server says of callbacks at its end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import requests
from click.testing import CliRunner

from klingkit.cli import main
from tests.conftest import PATH, body, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI="


@contextmanager
def listening(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `klingkit listen` on a free port; give its URL and the process."""
    command = [sys.executable, "-m", "klingkit", "listen", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        match = re.search(r"http://\S+", process.stdout.readline())
        assert match
        try:
            yield match[0], process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def lines(process: subprocess.Popen[str], number: int) -> list[str]:
    assert process.stdout
    return [process.stdout.readline().strip()[9:] for _ in range(number)]


def create(url: str, callback_url: str) -> str:
    answer = requests.post(
        url + PATH, json=body(callback_url=callback_url, n=2), headers={"Authorization": "Bearer k"}, timeout=20
    )
    task_id: str = answer.json()["data"]["task_id"]
    return task_id


def test_it_prints_each_callback_and_fails_as_many_as_wished() -> None:
    with (
        listening("--fail", "1", "--secret", SECRET) as (hook, process),
        serving("--instant", "--callback-retries", "fast", "--callback-secret", SECRET) as server,
    ):
        task_id = create(server.url, hook)
        seen = lines(process, 4)
    holds = "; the signature holds"
    assert seen == [
        f"task {task_id}: submitted{holds}; answered 500, as --fail wants",
        f"task {task_id}: submitted{holds}",
        f"task {task_id}: processing{holds}",
        f"task {task_id}: succeed, pictures: 2{holds}",
    ]
    assert process.returncode == 0


def test_it_refuses_what_is_not_signed_and_what_is_no_task() -> None:
    with listening("--secret", SECRET) as (hook, process):
        assert requests.post(hook, data=b"{}", timeout=20).status_code == 401
        assert lines(process, 1)[0].startswith("refused: the callback's signature does not hold")
    with listening() as (hook, process):
        assert requests.post(hook, data=b"{}", timeout=20).status_code == 400
        assert lines(process, 1) == ["refused: this is no task: it has no task_id"]


def test_whatever_is_called_back_is_one_line() -> None:
    bodies = (
        b"[" * 100_000,
        b'{"task_id": "../../x", "task_status": "submitted"}',
        b'{"task_id": "7", "task_status": "failed", "created_at": 1e999}',
        '{"task_id": "7", "task_status": "failed", "task_status_msg": "\\u001b[2J \\ud800 дом\\n00:00:00 forged"}'.encode(),
    )
    with listening() as (hook, process):
        assert [requests.post(hook, data=body, timeout=20).status_code for body in bodies] == [400, 400, 400, 204]
        assert lines(process, 4) == [
            "refused: the callback's body is not JSON",
            "refused: this is no task: its id is '../../x'",
            "refused: this is no task: a field has another type than documented",
            r"task 7: failed, \x1b[2J \ud800 \u0434\u043e\u043c 00:00:00 forged",
        ]


def test_a_body_in_chunks_is_received() -> None:
    parts = (
        b'{"task_id": "7", "task_status": "submitted", ',
        b'"task_status_msg": "", "created_at": 1, "updated_at": 1}',
    )
    with listening() as (hook, process):
        assert requests.post(hook, data=iter(parts), timeout=20).status_code == 204
        assert lines(process, 1) == ["task 7: submitted"]


def test_wrong_usage_is_one_line() -> None:
    wrong = CliRunner().invoke(main, ["listen", "--port", "0", "--secret", "!"])
    assert (wrong.exit_code, "Base64" in wrong.stderr) == (2, True)
    with listening() as (hook, _):
        port = hook.rstrip("/").rpartition(":")[2]
        taken = CliRunner().invoke(main, ["listen", "--port", port])
    assert (taken.exit_code, f"cannot listen on port {port}" in taken.stderr) == (1, True)


def test_a_server_that_ends_says_what_is_pending_and_what_it_would_have_cost() -> None:
    with serving("--speed", "0.001") as server:
        task_id = create(server.url, "http://127.0.0.1:9/")
        log = server.stop()
    assert f"3 callbacks are still pending, of task {task_id}" in log
    assert "this run would have cost 0.03 USD" in log
