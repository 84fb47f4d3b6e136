"""What the pytest plugin costs, beside other tools in the same run: `python benchmarks/plugin.py`.

Loading: the same empty test run with and without the plugin, in turns. Fixtures: whole tests, set-up and tear-down included,
each with one create, in turns, in one pytest run.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROUNDS = 300
RUNS = 25
LIMIT_MS, LIMIT_MOCK, LIMIT_SERVER = 15, 2.0, 1.3

TESTS = f"""
import pytest, requests, responses

PATH = "/kling/v1/images/generations"
URL = "https://api.cometapi.com" + PATH
PICTURE = {{"subject_image": "https://example.com/a.png"}}
CREATE = {{"subject_image_list": [PICTURE, PICTURE], "prompt": "two friends in Paris"}}
DATA = {{"task_id": "1", "task_status": "submitted", "task_info": {{}}, "created_at": 1, "updated_at": 1}}
ANSWER = {{"code": 0, "message": "SUCCEED", "request_id": "1", "data": DATA}}

def create(url):
    answer = requests.post(url, json=CREATE, headers={{"Authorization": "Bearer any"}}, timeout=5)
    assert answer.json()["data"]["task_status"] == "submitted"

@pytest.fixture
def mocked():
    with responses.RequestsMock() as mock:
        yield mock

@pytest.mark.parametrize("_", range({ROUNDS}))
class Test:
    def test_responses(self, mocked, _):
        mocked.post(URL, json=ANSWER)
        create(URL)

    def test_kling_mock(self, kling_mock, _):
        create(URL)

    def test_httpserver(self, httpserver, _):
        httpserver.expect_request(PATH, method="POST").respond_with_json(ANSWER)
        create(httpserver.url_for(PATH))

    def test_kling_server(self, kling_server, _):
        create(kling_server.url + PATH)
"""
CONFTEST = """
import json, time, pytest

times = {}

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    start = time.perf_counter()
    result = yield
    times.setdefault(item.originalname, []).append(time.perf_counter() - start)
    return result

def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.callspec.params["_"])

def pytest_sessionfinish():
    with open("times.json", "w") as file:
        json.dump(times, file)
"""


def pytest(folder: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, *arguments, folder]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run(command, check=True, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def loading() -> tuple[float, float]:
    """Median duration in ms of an empty run, without the plugin and with it."""
    taken: dict[bool, list[float]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text("def test(): pass\n")
        for number in range(2 * RUNS):
            loaded = number % 2 == 1
            start = time.perf_counter()
            pytest(folder, *(["-p", "klingkit.pytest_plugin"] if loaded else []))
            taken[loaded].append((time.perf_counter() - start) * 1000)
    return statistics.median(taken[False]), statistics.median(taken[True])


def tests() -> dict[str, float]:
    """Median duration in ms of each kind of test."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_creates.py").write_text(TESTS)
        Path(folder, "conftest.py").write_text(CONFTEST)
        pytest(folder, "-p", "klingkit.pytest_plugin", "-p", "pytest_httpserver.pytest_plugin")
        times = json.loads(Path(folder, "times.json").read_text())
    return {name: statistics.median(each) * 1000 for name, each in times.items()}


def main() -> None:
    table = Table("what", "ms beside", "ms klingkit", "result", "at most")
    without, with_plugin = loading()
    table.add_row(
        "load the plugin", f"{without:.1f}", f"{with_plugin:.1f}", f"{with_plugin - without:+.1f} ms", f"{LIMIT_MS} ms"
    )
    found = tests()
    for ours, other, limit in (
        ("test_kling_mock", "test_responses", LIMIT_MOCK),
        ("test_kling_server", "test_httpserver", LIMIT_SERVER),
    ):
        table.add_row(
            f"{ours} : {other}",
            f"{found[other]:.2f}",
            f"{found[ours]:.2f}",
            f"{found[ours] / found[other]:.2f}",
            f"{limit}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
