"""What a service says, on a terminal: it is shown, and does nothing else."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from klingkit.cli import main
from klingkit.contract.printable import printable
from klingkit.listen import Listener
from klingkit.request_lines import request_line
from klingkit.run_options import progress
from tests.conftest import PATH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Running

EVIL = "[/foo] [red]\x1b[2J\x1b]0;title\x07\r\n\x9b31m\u202eabc\u2066\u200b\u2060\ufeff\ud800\x00\x7f\u2028 ok"
"""Markup of rich, control characters of one byte and of two, marks that turn the order of letters, and what cannot be seen."""
TASK = {
    "task_id": "1",
    "task_status": "failed",
    "task_status_msg": EVIL,
    "task_info": {"external_task_id": None},
    "created_at": 1,
    "updated_at": 1,
    "task_result": {"images": [{"index": 0, "url": f"http://127.0.0.1/{EVIL}"}]},
}


@contextmanager
def service(body: dict[str, Any], http: int = 200) -> Iterator[str]:
    """A service on loopback that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            content = json.dumps(body).encode()
            self.send_response(http)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def is_harmless(text: str) -> bool:
    return all(map(_is_shown, text.splitlines())) and not set(text) & set("\r\u2028\x85\x0b\x0c\x1c")


def _is_shown(line: str) -> bool:
    return line == printable(line)


@pytest.mark.parametrize("status", ["failed", "succeed", EVIL], ids=["failed", "succeed", "odd"])
@pytest.mark.parametrize(
    "command", [["get", "1"], ["wait", "1", "--timeout", "0"], ["submit", "http://a/b.png", "http://a/c.png"]]
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_command_prints_what_a_service_says_and_it_does_nothing(
    command: list[str], form: list[str], status: str
) -> None:
    for body, http in (
        ({"code": 0, "message": EVIL, "request_id": EVIL, "data": {**TASK, "task_status": status}}, 200),
        ({"code": 1201, "message": EVIL, "request_id": EVIL}, 400),
        ({"error": {"message": EVIL, "type": EVIL, "code": EVIL}}, 401),
    ):
        with service(body, http) as url:
            result = CliRunner().invoke(main, [*command, *form, "--base-url", url])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert is_harmless(result.stdout)
        assert is_harmless(result.stderr)
        if form and result.stdout:
            json.loads(result.stdout)


def test_ordinary_letters_stay_as_they_are() -> None:
    for text in ("Bild fertig: schön", "完成 ✓ 🎉", "a'b\"c\\d"):
        assert printable(text) == text
        body = {"code": 0, "message": "", "request_id": "x", "data": {**TASK, "task_status_msg": text}}
        with service(body) as url:
            for form in ([], ["--json"]):
                shown = CliRunner().invoke(main, ["get", "1", *form, "--base-url", url]).stdout
                assert text in shown or json.loads(shown)["message"] == text


@given(st.text(st.characters(codec=None)))
def test_what_is_printable_has_no_character_that_cannot_be_seen(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()
    assert printable(shown) == shown
    assert not re.search("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\u3164\U000e0000-\U000e01ef]", shown)


def test_a_text_that_looks_like_markup_does_not_end_a_run_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress() as (_, on_wait):
        on_wait(f"room, since the service answers 429/1303 {EVIL!r} [/foo]")
        on_wait(EVIL)


def on_a_terminal(*arguments: str, folder: Path) -> tuple[int, str]:
    """Run klingkit on a terminal of its own; return its exit code and all that it printed there."""
    master, slave = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KLINGKIT", "COMETAPI"))}
    environment |= {"TERM": "xterm", "HYPOTHESIS_STORAGE_DIRECTORY": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "klingkit", *arguments], stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    printed = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # Linux, when the other end is closed
            chunk = b""
        if not chunk:
            break
        printed += chunk
    os.close(master)
    return process.wait(), printed.decode(errors="replace")


def test_a_task_whose_status_looks_like_markup_is_shown_on_a_terminal(tmp_path: Path) -> None:
    body = {
        "code": 0,
        "message": "",
        "request_id": "x",
        "data": {**TASK, "task_status_msg": "no [/foo] \x1b]0;title\x07"},
    }
    with service(body) as url:
        status, printed = on_a_terminal("wait", "1", "--base-url", url, folder=tmp_path)
    assert status == 1
    assert "no [/foo] \\x1b]0;title\\x07" in printed
    assert "Traceback" not in printed


def test_a_line_of_the_journal_is_one_whatever_was_sent() -> None:
    entry = {
        "number": 1,
        "method": "GET",
        "path": f"/{EVIL}",
        "status": 400,
        "scenario": EVIL,
        "rule": "",
        "request": {EVIL: EVIL},
    }
    assert request_line(entry).isprintable()


def test_a_text_that_the_encoding_has_no_letters_for_ends_no_command() -> None:
    body = {"code": 0, "message": "", "request_id": "x", "data": {**TASK, "task_status_msg": "schön 完"}}
    with service(body) as url:
        for form in ([], ["--json"]):
            command = [sys.executable, "-m", "klingkit", "get", "1", "--base-url", url, *form]
            environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
            done = subprocess.run(command, env=environment, capture_output=True, encoding="latin-1", check=False)
            assert "\\u5b8c" in done.stdout
            assert "Traceback" not in done.stderr


def test_a_command_whose_output_was_closed_from_the_start_ends_as_it_would(server: Running) -> None:
    command = [sys.executable, "-m", "klingkit", "clock", "--url", server.url]
    done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command], capture_output=True, check=False, text=True)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_callback_is_printed_in_one_line_whatever_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    headers = Message()
    with Listener(0, None, 0) as listener:
        for body in (TASK, {**TASK, "task_status": EVIL}, {**TASK, "task_id": EVIL}, EVIL):
            listener.take(headers, json.dumps(body).encode(), "/")
    lines = capsys.readouterr().out.removesuffix("\n").split("\n")
    assert len(lines) == 4
    assert all(map(is_harmless, lines))


def test_advice_is_printed_so_that_it_does_nothing(server: Running) -> None:
    headers = {"Authorization": "Bearer terminal-key"}
    answer = requests.get(f"{server.url}{PATH}/%1B%5B2J%C2%9B%E2%80%AEx", headers=headers, timeout=10)
    assert answer.status_code == 400
    requests.post(f"{server.url}{PATH}", json={f"subject{EVIL}": 1, "promt\u202e": 2}, headers=headers, timeout=10)
    result = CliRunner().invoke(main, ["advice", "--base-url", server.url, "--key", "terminal-key"])
    assert is_harmless(result.output)
