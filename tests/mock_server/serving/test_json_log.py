"""`serve --log-format json`: each line that the server writes is one JSON object, whatever came from outside."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import requests

from klingkit.mock_server.serving.json_lines import LONGEST, json_line
from tests.conftest import PATH, body

SECRET = "whsec_c2VjcmV0IG9mIGNhbGxiYWNrcw=="


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """What a server writes to stdout and stderr in its life: requests of all kinds, a callback that nobody takes, the end."""
    command = [sys.executable, "-m", "klingkit", "serve", "--port", "0", "--instant", "--callback-secret", SECRET]
    with subprocess.Popen(
        [*command, "--callback-retries", "none", "--log-format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        url = json.loads(first)["url"]
        with requests.Session() as session:
            session.headers["Authorization"] = "Bearer sk-not-to-be-shown"
            request = body(callback_url="http://127.0.0.1:1/x?token=mine", promt="x")
            created = session.post(url + PATH, json=request, headers={"Prefer": "scenario=slow:2"})
            session.post(url + PATH, json=body(n=0))
            session.get(url + "/a%0Ab%1B%C3%A9" + "/c" * 20_000)
            session.post(url + PATH, json={**body(), **{f"{'x' * 150}{number}": 1 for number in range(80)}})
            task_id = created.json()["data"]["task_id"]
            session.get(f"{url}{PATH}/{task_id}")
            session.post(url + "/_mock/clock/advance", json={"to": "idle"})
        process.terminate()
        rest, _ = process.communicate(timeout=20)
    written = (first + rest).splitlines()
    assert not [line for line in written if "sk-not-to-be-shown" in line or "token=mine" in line or SECRET in line]
    assert max(map(len, written)) < LONGEST + 1
    return [json.loads(line) for line in written]


def test_each_line_has_time_level_and_message(lines: list[dict[str, Any]]) -> None:
    for line in lines:
        assert line["time"].endswith("Z")
        assert line["level"] in {"info", "warning", "error"}
        assert line["message"].isprintable()
    assert lines[0]["message"].startswith("klingkit simulates cometapi at http://127.0.0.1:")


def test_a_request_is_told_by_fields(lines: list[dict[str, Any]]) -> None:
    created, refused, _ = (line for line in lines if line.get("path") == PATH)

    assert created["message"] == f"POST {PATH} 200"
    assert created.keys() == {"time", "level", "message", "request_id", "method", "path", "status", "ms", "account", "operation", "task_id", "scenario", "warnings"}  # fmt: skip
    assert (created["method"], created["status"], created["operation"]) == ("POST", 200, "create_task")
    assert created["scenario"] == "slow:2; source=prefer"
    assert "promt" in created["warnings"][0]
    assert refused["rule"].startswith("n.minimum; ")


def test_what_came_from_outside_is_bounded_data(lines: list[dict[str, Any]]) -> None:
    strange = next(line for line in lines if line.get("path", "").startswith("/a"))
    many = next(line for line in lines if "xxx" in json.dumps(line))

    assert strange["path"].startswith("/a\\nb\\x1b")
    assert len(strange["path"]) == 200
    assert 1 <= len(many["warnings"]) < 80


def test_a_callback_names_the_request_that_made_its_task(lines: list[dict[str, Any]]) -> None:
    created = next(line for line in lines if line.get("operation") == "create_task")
    attempts = [line for line in lines if "delivery" in line]

    assert attempts
    for line in attempts:
        assert (line["request_id"], line["task_id"]) == (created["request_id"], created["task_id"])
        assert (line["level"], line["outcome"], line["attempt"]) == ("warning", "given_up", 1)


def test_a_bug_is_one_line_with_the_end_of_its_trace() -> None:
    trace = "\n".join(f"line {number} of a trace" for number in range(1000))
    line = json_line(0.5, "ERROR", "a bug", {"status": 0, "task_id": ""}, trace)

    assert line.count("\n") == 1
    assert len(line) <= LONGEST + 1
    entry = json.loads(line)
    assert entry.pop("traceback").endswith("line 999 of a trace")
    assert entry == {"time": "1970-01-01T00:00:00.500Z", "level": "error", "message": "a bug", "status": 0}


def test_no_text_makes_a_line_too_long() -> None:
    long = "\\\u00e9" * 5000
    fields = {"path": long, "rule": long, "scenario": long, "warnings": [long[:1000]] * 50}

    assert len(json_line(0, "INFO", long, fields, long)) <= LONGEST + 1


def test_what_libraries_and_threads_say_is_json_too() -> None:
    code = (
        "import logging, threading; from klingkit.mock_server.serving.log_handler import log_to_stderr\n"
        "log_to_stderr('json'); logging.getLogger('of another').warning('two\\nlines %s', '\\x1b[31m')\n"
        "threading.Thread(target=lambda: 1 / 0).start()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    other, bug = map(json.loads, done.stderr.splitlines())
    assert (other["level"], other["message"]) == ("warning", "two\\nlines \\x1b[31m")
    assert (bug["level"], bug["message"]) == ("error", "a bug in klingkit: please report it")
    assert bug["traceback"].endswith("ZeroDivisionError: division by zero")


def test_of_a_long_trace_the_end_is_shown_in_a_text_too() -> None:
    code = (
        "import logging; from klingkit.mock_server.serving.log_handler import log_to_stderr\n"
        "log_to_stderr('text')\n"
        "try: raise ValueError('\\n'.join(f'line {number} of it' for number in range(1000)))\n"
        "except ValueError: logging.getLogger('klingkit').exception('a bug')\n"
        "logging.getLogger('klingkit').warning('what came after it')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    first, *_, last, after = done.stderr.splitlines()
    assert first.endswith(" a bug")
    assert last == "line 999 of it"
    assert after.endswith("what came after it")
