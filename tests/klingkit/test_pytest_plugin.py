"""The pytest plugin, in test runs of its own as its users have them."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from klingkit.cli import main
from tests.conftest import FEW_PLUGINS

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]

# Loaded here, or each run below would load them anew: it forgets afterwards what it has imported.
for module in (
    "klingkit.behaviour_coverage",
    "klingkit.kling_kinds",
    "klingkit.mock_server.serving.intercept",
    "klingkit.mock_server.serving.intercept_aiohttp",
    "klingkit.mock_server.serving.intercept_httpx",
):
    importlib.import_module(module)

CODE = """
import os, requests

URL = "https://api.cometapi.com/kling/v1/images/generations"
BODY = {"subject_image_list": [{"subject_image": "https://example.com/a.png"}] * 2}

def create(url=URL, **fields):
    headers = {"Authorization": "Bearer " + os.environ["COMETAPI_KEY"]}
    return requests.post(url, json={**BODY, **fields}, headers=headers, timeout=5).json()
"""


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this run's own ways out of the runs inside it."""
    for name in [name for name in os.environ if name.startswith(("PYTEST_", "COMETAPI"))]:
        monkeypatch.delenv(name)


REWRITTEN = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
"""pytest 8 says so of a plugin that the outer run has loaded."""
UNKNOWN = "ignore:Unknown config option:pytest.PytestConfigWarning"
QUIET = (
    *("-q", "--strict-markers", "-W", "error", "-W", REWRITTEN, "-W", UNKNOWN),
    *("-o", "asyncio_default_fixture_loop_scope=function"),
)
"""Also without the warning of pytest-asyncio, which comes where nobody asked for it; nor is it there in each run."""


def make_files(pytester: pytest.Pytester, tests: str) -> None:
    pytester.makepyfile(code_under_test=CODE, test_it="import pytest\nfrom code_under_test import create\n" + tests)


@pytest.fixture
def few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that a test starts load no more plugins than they need."""
    for name, value in FEW_PLUGINS.items():
        monkeypatch.setenv(name, value)


def run(pytester: pytest.Pytester, tests: str, *arguments: str) -> pytest.RunResult:
    """Run tests in this process: to start another and import everything again takes ten times as long as most of them."""
    make_files(pytester, tests)
    return pytester.runpytest_inprocess(*QUIET, *arguments)


@pytest.mark.usefixtures("few_plugins")
def test_the_fixtures_work_in_any_order(pytester: pytest.Pytester) -> None:
    tests = """
@pytest.mark.parametrize("number", range(4))
class Test:
    def test_mock(self, number, kling_mock):
        assert create()["code"] == 0
        assert kling_mock.creates == 1

    def test_server(self, number, kling_server):
        assert create(kling_server.url + "/kling/v1/images/generations")["code"] == 0
        assert kling_server.creates == 1

    def test_client(self, number, kling_client):
        assert kling_client.get(create()["data"]["task_id"]).status == "submitted"

    def test_client_of_the_server(self, number, kling_server, kling_client):
        assert kling_client.base_url == kling_server.url
"""
    run(pytester, tests).assert_outcomes(passed=16)
    run(pytester, tests, "-n", "2").assert_outcomes(passed=16)


def test_a_fixture_can_be_annotated(pytester: pytest.Pytester) -> None:
    tests = """
import klingkit

def test(kling_mock: klingkit.Kling):
    assert isinstance(kling_mock, klingkit.Kling)
    with pytest.raises(AttributeError, match="module 'klingkit' has no attribute 'Klong'"):
        klingkit.Klong
"""
    run(pytester, tests).assert_outcomes(passed=1)


UNUSED = """
@pytest.fixture(params=["kling_mock", "kling_server"])
def kling(request):
    return request.getfixturevalue(request.param)

def send(kling, **fields):
    return create(kling.url + "/kling/v1/images/generations", **fields)

def test_queued_too_late(kling):
    send(kling)
    kling.scenario("error-1303")

def test_queued_for_another_operation(kling):
    kling.scenario("error-5000", operation="get_task")
    send(kling)

def test_refused_for_another_reason(kling):
    kling.scenario("fail:too dark")
    assert send(kling, n=0)["code"] == 1201
"""


def test_a_queued_scenario_that_was_never_used_is_warned_of(pytester: pytest.Pytester) -> None:
    run(
        pytester, UNUSED, "-W", "error", "-W", REWRITTEN, "-W", "default::klingkit.pytest_plugin.UnusedScenarioWarning"
    ).assert_outcomes(passed=6, warnings=6)
    result = pytester.runpytest_inprocess(
        *QUIET, "-k", "too_late and mock", "-W", "default::klingkit.pytest_plugin.UnusedScenarioWarning"
    )
    result.stdout.fnmatch_lines(
        [
            "*test_it.py*: UnusedScenarioWarning: the scenario 'error-1303' was queued for create_task and never used; *: 1"
        ]
    )


def test_who_wants_it_has_a_failure(pytester: pytest.Pytester) -> None:
    result = run(pytester, UNUSED, "-W", "error::klingkit.pytest_plugin.UnusedScenarioWarning")
    result.assert_outcomes(failed=6)
    assert "INTERNALERROR" not in result.stdout.str()


def test_a_scenario_that_was_used_or_whose_test_fails_is_not_warned_of(pytester: pytest.Pytester) -> None:
    tests = """
def test_used_in_part(kling_mock):
    kling_mock.scenario("error-1303", times=99)
    assert create()["code"] == 1303

def test_used_in_part_with_a_text(kling_mock):
    kling_mock.scenario("fail:\u00fcberbelichtet", times=2)
    assert create()["code"] == 0

def test_that_fails(kling_mock):
    kling_mock.scenario("error-1303")
    assert False

def test_that_is_skipped(kling_mock):
    kling_mock.scenario("error-1303")
    pytest.skip("later")
"""
    run(pytester, tests, "-W", "error", "-W", REWRITTEN).assert_outcomes(passed=2, failed=1, skipped=1)


def test_one_server_serves_the_session(pytester: pytest.Pytester) -> None:
    tests = """
seen = []

@pytest.mark.parametrize("number", range(3))
def test_server(number, kling_server):
    import os, threading
    seen.append((kling_server.url, os.environ["COMETAPI_KEY"], kling_server.clock.now, threading.active_count()))
    kling_server.clock.advance("1h")
    kling_server.control.seed(99)
    assert kling_server.tasks == []
    first = create(kling_server.url + "/kling/v1/images/generations")["data"]["task_id"]
    seen[-1] += (first,)
    if number == 2:
        urls, keys, times, threads, ids = map(set, zip(*seen))
        assert (len(urls), len(keys), len(times), len(ids)) == (1, 3, 1, 3)
"""
    run(pytester, tests, "-p", "no:randomly").assert_outcomes(passed=3)


@pytest.mark.usefixtures("few_plugins")
def test_nothing_leaks_from_one_test_into_the_next(pytester: pytest.Pytester) -> None:
    tests = """
import asyncio, os, threading, time, httpx, requests

def state():
    return (dict(os.environ, PYTEST_CURRENT_TEST=""), threading.enumerate(), time.sleep, asyncio.sleep,
            requests.Session.get_adapter, httpx.HTTPTransport.handle_request, requests.adapters.HTTPAdapter.send)

before = state()

def test_uses_it(kling_mock):
    kling_mock.scenario("reset", times=3)
    kling_mock.skip_sleep()
    kling_mock.deliver_callbacks_to(lambda *_: 1 / 0)
    kling_mock.clock.advance("1h")
    assert state() != before

def test_finds_nothing_of_it(kling_mock):
    assert kling_mock.clock.now.isoformat() == "2026-01-01T00:00:00+00:00"
    assert create(callback_url="https://my.example/")["code"] == 0
    assert kling_mock.callbacks[0].http_status == 200

def test_is_as_before():
    assert state() == before
"""
    make_files(pytester, tests)
    pytester.runpytest_subprocess(
        *QUIET, "-W", "ignore::klingkit.pytest_plugin.UnusedScenarioWarning", "-p", "no:randomly"
    ).assert_outcomes(passed=3)


def test_markers_and_ini_options_set_the_scene(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nklingkit_balance = 1\nklingkit_seed = 7\nklingkit_scenario = fail-moderation\n")
    tests = """
from decimal import Decimal

def test_ini(kling_mock):
    assert kling_mock.balance == Decimal(1)
    assert kling_mock.control.health()["seed"] == 7
    create()
    assert kling_mock.tasks[0].scenario == "fail-moderation"

@pytest.mark.kling(scenario="slow", balance=3)
class TestClass:
    @pytest.mark.kling(balance=Decimal("0.5"), progression="manual", seed=8)
    def test_closest_marker(self, kling_server):
        assert kling_server.balance == Decimal("0.5")
        assert kling_server.control.health()["seed"] == 8
        create(kling_server.url + "/kling/v1/images/generations")
        assert (kling_server.tasks[0].scenario, kling_server.tasks[0].progression) == ("slow", "manual")

    def test_class(self, kling_mock):
        assert kling_mock.balance == 3
"""
    run(pytester, tests).assert_outcomes(passed=3)


WRONG_MARKERS = {
    "scenarios='slow'": "does not take scenarios; it takes scenario=..., progression=..., balance=..., seed=...",
    "'slow'": "does not take 'slow'; it takes scenario=..., progression=..., balance=..., seed=...",
    "scenario='slwo'": "unknown scenario 'slwo'; did you mean slow?",
    "progression='fast'": "unknown progression 'fast'",
    "balance='much'": "balance: ",
    "seed='x'": "seed: 'x' is not a whole number",
}


def test_a_wrong_marker_is_one_clear_error(pytester: pytest.Pytester) -> None:
    tests = [
        f"@pytest.mark.kling({marker})\ndef test_{number}(kling_mock): pass\n"
        for number, marker in enumerate(WRONG_MARKERS)
    ]
    result = run(pytester, "\n".join(tests), "-p", "no:randomly")

    result.assert_outcomes(errors=len(tests))
    result.stdout.no_fnmatch_line("*Traceback*")
    for number, message in enumerate(WRONG_MARKERS.values()):
        assert any(f"test_it.py::test_{number}" in line and message in line for line in result.outlines), message


def test_a_wrong_ini_option_is_one_clear_error(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nklingkit_seed = many\n")
    result = run(pytester, "def test(kling_mock): pass\n")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*seed: 'many' is not a whole number*"])


def test_two_clashing_fixtures_are_one_clear_error(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "def test_1(kling_mock, kling_server): pass\n"
        "def test_2(kling_server, kling_client, kling_mock): pass\n"
        "def test_3(kling_mock, request): request.getfixturevalue('kling_server')\n",
    )

    result.assert_outcomes(errors=2, failed=1)
    message = "a test takes kling_mock or kling_server, not both: each is a service of its own"
    assert sum(line.endswith(message) for line in result.outlines) >= 3


def test_requests_patched_by_another_tool_is_one_clear_error(pytester: pytest.Pytester) -> None:
    tests = """
@pytest.fixture
def other_tool(monkeypatch):
    monkeypatch.setattr("requests.Session.send", lambda *_: None)

def test(other_tool, kling_mock): pass
"""
    result = run(pytester, tests)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*requests is already patched by test_it, and kling_mock cannot stand beside it: *"])


def test_a_wrong_scenario_is_shown_at_the_line_that_names_it(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test(kling_mock):\n    kling_mock.scenario('eror-1303')\n")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*kling_mock.scenario('eror-1303')", "E*unknown scenario 'eror-1303'; did you mean *"])
    result.stdout.no_fnmatch_line("*handle.py*")


RECEIVER = """
from flask import Flask

app = Flask(__name__)

@app.post("/hook")
def hook():
    return {}["the bug"]
"""


@pytest.mark.parametrize("fixture", ["kling_mock", "kling_server"])
def test_an_exception_of_a_receiver_fails_the_test_that_caused_it(pytester: pytest.Pytester, fixture: str) -> None:
    tests = f"""{RECEIVER}
def test_cause({fixture}):
    {fixture}.deliver_callbacks_to(app)
    create({fixture}.url + "/kling/v1/images/generations", callback_url="https://my.example/hook")
    {fixture}.wait_for_callback()

def test_other({fixture}):
    pass
"""
    result = run(pytester, tests, "-p", "no:randomly")

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*return {}[[]*the bug*", "E*KeyError: 'the bug'"])


def test_a_module_that_is_imported_while_sleeping_takes_no_time_sleeps_again_afterwards(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(waiter="from time import sleep\nfrom asyncio import sleep as sleep_async\n")
    tests = """
import asyncio

def test_first(kling_mock):
    kling_mock.skip_sleep()
    import waiter
    waiter.sleep(1000)
    asyncio.run(waiter.sleep_async(1000))

def test_second(kling_mock):
    import waiter
    before = kling_mock.clock.now
    waiter.sleep(0.001)
    asyncio.run(waiter.sleep_async(0.001))
    assert kling_mock.clock.now == before
"""
    run(pytester, tests, "-p", "no:randomly").assert_outcomes(passed=2)


def test_an_endless_loop_is_reported_once_and_in_few_lines(pytester: pytest.Pytester) -> None:
    tests = """
import time

def test(kling_mock, kling_client):
    kling_mock.scenario("stuck-processing")
    kling_mock.skip_sleep()
    task_id = create()["data"]["task_id"]
    while kling_client.get(task_id).status != "succeed":
        time.sleep(20)
"""
    result = run(pytester, tests)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*the code under test has slept longer than 1h*", "* before these"])
    assert len(result.outlines) < 110
    assert sum("has slept longer" in line and line.startswith("E") for line in result.outlines) == 1
    assert not any("most recent call last" in line for line in result.outlines)


def test_an_exception_of_a_receiver_is_shown_beside_the_failure_it_leads_to(pytester: pytest.Pytester) -> None:
    tests = f"""{RECEIVER}
def test(kling_mock):
    kling_mock.deliver_callbacks_to(app)
    create(callback_url="https://my.example/hook")
    assert kling_mock.callbacks[0].http_status == 200
"""
    result = run(pytester, tests)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*klingkit*", "*1. POST /kling/v1/images/generations 200*", "KeyError: 'the bug'"])


@pytest.mark.parametrize("fixture", ["kling_mock", "kling_server"])
def test_an_exception_in_the_simulator_fails_the_test_that_caused_it(pytester: pytest.Pytester, fixture: str) -> None:
    tests = f"""
def test_cause({fixture}):
    del {fixture}.simulator.ids._shift
    assert create({fixture}.url + "/kling/v1/images/generations")["code"] == 5000

def test_other({fixture}):
    pass
"""
    result = run(pytester, tests, "-p", "no:randomly")

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["E*AttributeError: *_shift*", "*ids.py*"])


@pytest.mark.usefixtures("few_plugins")
def test_a_test_that_used_a_wrong_host_gets_told(pytester: pytest.Pytester) -> None:
    tests = """
def test(kling_mock, httpserver):
    httpserver.expect_request("/kling/v1/images/generations").respond_with_json({"code": 1})
    assert create(httpserver.url_for("/kling/v1/images/generations"))["code"] == 0
"""
    make_files(pytester, tests)
    result = pytester.runpytest_subprocess(
        "-q", "-p", "pytest_httpserver.pytest_plugin"
    )  # not in here, where a warning is an error

    result.assert_outcomes(failed=1, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "https://api.cometapi.com received:",
            "  nothing",
            "sent elsewhere:",
            "*http://localhost:*/kling/v1/images/generations",
            "*a request to http://localhost:*/kling/v1/images/generations was let through: kling_mock answers only as *",
        ]
    )


def test_unittest_classes_and_asyncio(pytester: pytest.Pytester) -> None:
    tests = f"""{RECEIVER}
import asyncio, unittest
import httpx
from code_under_test import BODY, URL

class TestOld(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _kling(self, kling_mock):
        self.kling = kling_mock

    def test_it(self):
        create()
        self.assertEqual(self.kling.creates, 1)

    @pytest.mark.kling(balance="0")
    def test_marker(self):
        self.assertEqual(create()["code"], 1102)

    def test_receiver_fails(self):
        self.kling.deliver_callbacks_to(app)
        create(callback_url="https://my.example/hook")
        self.kling.clock.advance("1s")

@pytest.mark.asyncio
async def test_async(kling_mock):
    kling_mock.skip_sleep()
    headers = {{"Authorization": "Bearer any"}}
    async with httpx.AsyncClient() as client:
        task_id = (await client.post(URL, json=BODY, headers=headers)).json()["data"]["task_id"]
        status = ""
        while status != "succeed":
            await asyncio.sleep(5)
            status = (await client.get(f"{{URL}}/{{task_id}}", headers=headers)).json()["data"]["task_status"]
    assert len(kling_mock.journal) <= 4
"""
    result = run(pytester, tests)

    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*KeyError: 'the bug'*"])


# No test reaches the real service

URLLIB = """
import urllib.request

def ask():
    return urllib.request.urlopen("https://api.cometapi.com/kling/v1/images/generations", timeout=5)
"""
NOT_LET_OUT = (
    "*klingkit lets no connection leave for api.cometapi.com: kling_mock intercepts requests, httpx and aiohttp for *"
)

MARKED_IN_VAIN = {
    "function": "@pytest.mark.kling(balance=1)\ndef test(): RAN()\n",
    "class": "@pytest.mark.kling\nclass Test:\n    def test(self): RAN()\n",
    "module": "pytestmark = pytest.mark.kling\ndef test(tmp_path): RAN()\n",
    "parametrised": "@pytest.mark.parametrize('n', [1])\n@pytest.mark.kling\ndef test(n): RAN()\n",
    "one parameter": "@pytest.mark.parametrize('n', [pytest.param(1, marks=pytest.mark.kling)])\ndef test(n): RAN()\n",
    "unittest": "import unittest\n@pytest.mark.kling\nclass Test(unittest.TestCase):\n    def test(self): RAN()\n",
    "coroutine": "@pytest.mark.asyncio\n@pytest.mark.kling\nasync def test(): RAN()\n",
    "fixture of another name": "@pytest.fixture\ndef kling_mocks(): pass\n@pytest.mark.kling\ndef test(kling_mocks): RAN()\n",
}


@pytest.mark.parametrize("kind", MARKED_IN_VAIN)
def test_a_marker_without_a_fixture_is_an_error_before_the_test_runs(pytester: pytest.Pytester, kind: str) -> None:
    result = run(pytester, "def RAN(): print('it ' + 'ran')\n" + MARKED_IN_VAIN[kind], "-s")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*@pytest.mark.kling of test_it.py::*test* leads nowhere: the test takes none of kling_mock, *"]
    )
    result.stdout.no_fnmatch_line("*it ran*")
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_marker_finds_a_fixture_that_is_taken_in_another_way(pytester: pytest.Pytester) -> None:
    tests = """
import unittest

@pytest.fixture
def mine(kling_mock): return kling_mock

@pytest.fixture(params=["kling_mock", "kling_server"])
def any_of_them(request): return request.getfixturevalue(request.param)

@pytest.mark.kling(balance=1)
class Test:
    def test_through_another(self, mine): assert mine.balance == 1
    def test_client(self, kling_client): pass
    def test_by_name(self, any_of_them): assert any_of_them.balance == 1

    @pytest.mark.usefixtures("kling_mock")
    def test_usefixtures(self): assert create()["code"] == 0

    @pytest.mark.parametrize("where", ["kling_mock", "kling_server"])
    def test_while_it_runs(self, where, request): assert request.getfixturevalue(where).balance == 1

    @pytest.mark.skip
    def test_skipped(self): pass

    @pytest.mark.xfail(run=False, strict=False)
    def test_expected_to_fail(self): pass

@pytest.mark.kling(balance=1)
class TestAutouse:
    @pytest.fixture(autouse=True)
    def _all(self, kling_mock): pass

    def test(self): assert create()["code"] == 0

@pytest.mark.kling(balance=0)
class TestOld(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _all(self, kling_mock): pass

    def test(self): self.assertEqual(create()["code"], 1102)
"""
    run(pytester, tests).assert_outcomes(passed=9, skipped=1, xfailed=1)


def test_a_marker_of_a_test_that_could_have_taken_a_fixture_and_did_not_fails(pytester: pytest.Pytester) -> None:
    result = run(pytester, "@pytest.mark.kling\ndef test(request): pass\n")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*@pytest.mark.kling of test_it.py::test leads nowhere: *"])


@pytest.mark.usefixtures("few_plugins")
@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_an_ini_option_closes_the_real_service_for_the_whole_run(pytester: pytest.Pytester, workers: list[str]) -> None:
    pytester.makeini("[pytest]\nklingkit_no_real_service = true\n")
    tests = f"""{URLLIB}
import requests

@pytest.fixture(scope="module", autouse=True)
def before_all():
    with pytest.raises(OSError, match="klingkit lets no connection leave"):
        ask()

def test_plain():
    ask()

def test_requests():
    with pytest.raises(requests.ConnectionError, match="klingkit lets no connection leave"):
        requests.get("https://API.cometapi.com.", timeout=5)

def test_with_a_simulator(kling_mock):
    assert create()["code"] == 0
    ask()

def test_with_a_server(kling_server):
    assert create(kling_server.url + "/kling/v1/images/generations")["code"] == 0
    ask()
"""
    make_files(pytester, tests)
    result = pytester.runpytest_inprocess(*QUIET[1:], "-p", "no:randomly", *workers)

    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines([f"klingkit: {CLOSED}"])
    for test in ("test_plain", "test_with_a_simulator", "test_with_a_server"):
        result.stdout.fnmatch_lines([f"FAILED test_it.py::{test} *"])
    assert (
        sum(
            "URLError: <urlopen error [Errno -2] klingkit lets no" in line
            for line in result.outlines
            if line.startswith("E ")
        )
        == 3
    )


CLOSED = (
    "no connection leaves for api-beijing.klingai.com or api-singapore.klingai.com or api.cometapi.com or api.klingai.com "
    "(klingkit_no_real_service)"
)
REAL = ("--klingkit-real", "--klingkit-target", "https://api.cometapi.com")


@pytest.mark.parametrize(
    ("arguments", "closed"),
    [
        (REAL, False),
        (REAL[1:], True),
        (REAL[:1], True),
        (("--klingkit-target", "http://127.0.0.1:9"), True),
        (("--klingkit-real", "--klingkit-target", "https://other.example"), True),
        (("-p", "no:klingkit_contract"), True),
    ],
)
def test_a_run_that_is_meant_for_the_real_service_reaches_it_and_says_so(
    pytester: pytest.Pytester, arguments: tuple[str, ...], closed: bool
) -> None:
    pytester.makeini("[pytest]\nklingkit_no_real_service = true\n")
    tests = f"""{URLLIB}
def test():
    from klingkit import no_connection
    assert bool(no_connection._guards) is {closed}
"""
    make_files(pytester, tests)
    result = pytester.runpytest_inprocess(*QUIET[1:], *arguments)

    result.assert_outcomes(passed=1)
    says = CLOSED
    if not closed:
        says = "klingkit_no_real_service does not hold in this run, since --klingkit-real opens api.cometapi.com"
    result.stdout.fnmatch_lines([f"klingkit: {says}"])


def test_without_the_option_nothing_is_closed_and_nothing_said(pytester: pytest.Pytester) -> None:
    make_files(pytester, "def test():\n    from klingkit import no_connection\n    assert not no_connection._guards\n")
    result = pytester.runpytest_inprocess(*QUIET[1:])

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("klingkit: *")


def test_an_option_that_is_neither_true_nor_false_is_one_clear_error(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test(): pass\n", "-o", "klingkit_no_real_service=perhaps")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: klingkit_no_real_service: *'perhaps'*; write true or false"])


SOCKETS = f"""{URLLIB}
import socket

connect = socket.socket.connect
before = socket.socket, socket.getaddrinfo

@pytest.fixture
def closed_by_both(socket_disabled, kling_mock): pass

@pytest.fixture
def closed_by_both_the_other_way_round(kling_mock, socket_disabled): pass

@pytest.mark.parametrize("name", ["closed_by_both", "closed_by_both_the_other_way_round"])
def test_both(name, request):
    request.getfixturevalue(name)
    assert create()["code"] == 0
    with pytest.raises((RuntimeError, OSError)):
        ask()

@pytest.mark.disable_socket
def test_marker(kling_mock):
    assert create()["code"] == 0
    with pytest.raises((RuntimeError, OSError)):
        ask()

@pytest.mark.allow_hosts(["127.0.0.1"])
def test_allowed(kling_server):
    assert create(kling_server.url + "/kling/v1/images/generations")["code"] == 0
    with pytest.raises(OSError, match="klingkit lets no connection leave"):
        ask()
    with pytest.raises((RuntimeError, OSError), match="klingkit lets no connection leave|allowed: "):
        socket.socket().connect(("api.cometapi.com", 443))

def test_alone(kling_mock):
    with pytest.raises(OSError, match="klingkit lets no connection leave"):
        ask()

@pytest.mark.parametrize("n", range(5))
def test_is_as_before(n, pytestconfig):
    assert before == (socket.socket, socket.getaddrinfo)
    # pytest-socket takes away after each test what stands here for the whole run; the interpreter asks us all the same
    assert pytestconfig.getini("klingkit_no_real_service") or socket.socket.connect == connect
"""


@pytest.mark.usefixtures("few_plugins")
@pytest.mark.parametrize("option", ["false", "true"])
def test_it_works_beside_pytest_socket_in_any_order(pytester: pytest.Pytester, option: str) -> None:
    make_files(pytester, SOCKETS)
    arguments = ("-q", "-W", "ignore", "-p", "pytest_socket", "-o", f"klingkit_no_real_service={option}")

    pytester.runpytest_subprocess(*arguments).assert_outcomes(passed=10)


# Coverage of behaviour

MEETS = """
def test_one(kling_mock):
    kling_mock.scenario("error-1303")
    kling_mock.scenario("callback-twice")
    create()
    create(callback_url="https://my.example/")
    kling_mock.clock.advance("2m")

def test_two(kling_server):
    url = kling_server.url + "/kling/v1/images/generations"
    kling_server.scenario("drip:1ms")
    create(url)
    create(url, n=10)

@pytest.mark.kling(scenario="fail-moderation")
def test_three(kling_client):
    from klingkit.client import TaskFailedError
    with pytest.raises(TaskFailedError):
        kling_client.wait(kling_client.create(["https://e.com/a", "https://e.com/b"]))
"""


@pytest.mark.usefixtures("few_plugins")
@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_coverage_of_behaviour_is_printed_and_written(pytester: pytest.Pytester, workers: list[str]) -> None:
    result = run(pytester, MEETS, "--klingkit-coverage", "--klingkit-coverage-json", "met.json", *workers)

    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "statuses: 4 of 4",
            "  met: submitted (5), processing (2), succeed (1), failed (1)",
            "ends: 2 of *",
            "  met: succeed (1), moderation (1)",
            "  never: *, urls-none, urls-expired",
            "errors: 2 of *",
            "  met: 1201 (1), 1303 (1)",
            "  never: *, 1302, *",
            "faults: 1 of 5",
            "  met: drip (1)",
            "  never: reset, *",
            "callbacks: 3 of 7",
            "how well the contract cometapi is known in what was met: * documented, * recorded, * inferred, * unknown",
            "  inferred: *rule n.maximum, text*callback.sequence*",
            "  unknown: callbacks retryAfterMs",
            "  tests that rest on that: 3",
            "    *::test_one: promise callback.sequence; lifecycle processing; callbacks retryAfterMs",
            "    *::test_three: lifecycle processing",
            "    *::test_two: question list-errors; *rule n.maximum, limit*",
            "*% of the behaviour of the service was met",
        ]
    )
    found = json.loads((pytester.path / "met.json").read_text())
    assert found["met"]["errors"] == {"1201": 1, "1303": 1}
    assert found["met"]["callbacks"] == {"delivered": 3, "repeated": 3, "twice": 3}
    assert found["never"]["faults"] == ["reset", "reset-within", "cut", "delay"]
    number = sum(map(len, found["met"].values()))
    total = number + sum(map(len, found["never"].values()))
    assert found["percent"] == round(100 * number / total, 1)
    evidence = found["evidence"]["cometapi"]
    assert {"rule n.maximum", "error 1303", "rule moderation", "sent create_task.callback_url"} <= {
        *evidence["rests_on"]
    }
    assert {"shown task_changed.task_id", "shown get_task.data.task_status_msg"} <= {*evidence["rests_on"]}
    assert not {"error 1201", "sent create_task.style_image", "lifecycle resultDays"} & {*evidence["rests_on"]}
    assert evidence["unknown"] == ["callbacks retryAfterMs"]
    assert len(evidence["inferred"]) == evidence["grades"]["inferred"]


def test_what_tests_of_each_contract_rest_on_can_be_pinned_and_checked(pytester: pytest.Pytester) -> None:
    tests = """
KLING = "https://api-singapore.klingai.com/v1/images/multi-image2image"

def test_default(kling_mock):
    create(scence_image="https://e.com/c")
    create(style_image="QUJD\\nREVG")

@pytest.mark.kling(contract="kling")
def test_kling(kling_mock, monkeypatch):
    monkeypatch.setenv("COMETAPI_KEY", "any")
    create(KLING, n=10)
    create(KLING)

@pytest.mark.kling(contract="all", plain_generation=True)
def test_all(kling_mock):
    create(subject_image_list=None, prompt="two friends")
    create(KLING)
"""
    run(pytester, tests, "--klingkit-coverage-json", "met.json").assert_outcomes(passed=3)
    pin = str(pytester.path / "evidence.yaml")
    command = ["evidence", "--pin", pin, "--met", str(pytester.path / "met.json")]
    assert CliRunner().invoke(main, command).exit_code == 0
    pinned = yaml.safe_load(Path(pin).read_text(encoding="utf-8"))["contracts"]

    assert list(pinned) == ["cometapi", "cometapi+plain-generation", "kling"]
    assert pinned["cometapi"]["sent create_task.scence_image"]["grade"] == "documented"
    assert pinned["cometapi"]["question base64-dialect"]["grade"] == "inferred"
    assert "shown create_plain_task.data.task_id" in pinned["cometapi+plain-generation"]
    assert "promise request.unknown_fields" not in pinned["cometapi+plain-generation"]
    assert {"rule n.maximum, text", "shown create_task.data.task_id"} <= pinned["kling"].keys()
    assert CliRunner().invoke(main, ["evidence", "--check", pin]).exit_code == 0
    moved = CliRunner().invoke(main, ["evidence", "--check", pin, "--contract", "cometapi-2026"])
    assert "cometapi to cometapi-2026: sent create_task.scence_image: is gone" in moved.output


def test_a_test_rests_on_each_question_of_which_another_answer_would_be_another(pytester: pytest.Pytester) -> None:
    tests = """
def test_usual(kling_mock):
    create(prompt="two friends", n=2, aspect_ratio="1:1")

def test_long(kling_mock):
    assert create(prompt="\u00e9" * 2500)["code"] == 0

def test_empty(kling_mock):
    create(prompt="")

def test_picture(kling_mock):
    create(style_image="QUJD")

@pytest.mark.kling(assume={"prompt-length": "bytes"})
def test_assumed(kling_mock):
    create()
"""
    run(pytester, tests, "--klingkit-coverage-json", "met.json").assert_outcomes(passed=5)
    met = pytester.path / "met.json"
    evidence = json.loads(met.read_text())["evidence"]
    name = next(iter(evidence["cometapi"]["tests"])).partition("::")[0]

    assert {test: weak["inferred"] for test, weak in evidence["cometapi"]["tests"].items()} == {
        f"{name}::test_empty": ["question empty-strings"],
        f"{name}::test_long": ["question prompt-length"],
        f"{name}::test_picture": ["question unreadable-picture"],
    }
    assumed = evidence["cometapi+prompt-length=bytes"]
    assert assumed["tests"] == {f"{name}::test_assumed": {"inferred": ["question prompt-length"], "unknown": []}}
    pin = str(pytester.path / "evidence.yaml")
    assert CliRunner().invoke(main, ["evidence", "--pin", pin, "--met", str(met)]).exit_code == 0
    pinned = yaml.safe_load(Path(pin).read_text(encoding="utf-8"))["contracts"]
    assert "bytes" in pinned["cometapi+prompt-length=bytes"]["question prompt-length"]["says"].lower()


def test_a_summary_names_so_many_tests_and_no_more(pytester: pytest.Pytester) -> None:
    tests = """
@pytest.mark.parametrize("number", range(22))
def test(kling_mock, number):
    create(prompt="")
"""
    result = run(pytester, tests, "--klingkit-coverage")

    result.stdout.fnmatch_lines(["  tests that rest on that: 22"])
    assert result.stdout.str().count(": question empty-strings\n") == 21  # one line is of the whole run
    result.stdout.fnmatch_lines(["    and 2 more; --klingkit-coverage-json FILE has them all"])


def test_a_file_of_coverage_prints_nothing(pytester: pytest.Pytester) -> None:
    result = run(pytester, MEETS, "--klingkit-coverage-json", "met.json")

    assert "behaviour of the service" not in result.stdout.str()


@pytest.mark.parametrize(("minimum", "code"), [("5", 0), ("60", 1)])
def test_coverage_of_behaviour_is_a_gate(pytester: pytest.Pytester, minimum: str, code: int) -> None:
    result = run(pytester, MEETS, "--klingkit-coverage-min", minimum)

    assert result.ret == code
    assert ("is less than --klingkit-coverage-min 60" in result.stdout.str()) == bool(code)
    assert run(pytester, MEETS, "--klingkit-coverage-min", minimum, "--collect-only").ret == 0


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("json", "no/met.json", "there is no folder no; make it first"),
        ("json", ".", "that is a folder; name a file"),
        ("min", "nan", "give a percentage from 0 to 100"),
        ("min", "101", "give a percentage from 0 to 100"),
        ("min", "-1", "give a percentage from 0 to 100"),
    ],
)
def test_an_option_of_coverage_that_cannot_be_used_is_said_to_be_so(
    pytester: pytest.Pytester, option: str, value: str, says: str
) -> None:
    result = run(pytester, "def test(): pass\n", f"--klingkit-coverage-{option}={value}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --klingkit-coverage-{option} *: {says}"])


def test_an_answer_that_no_caller_has_read_is_not_covered(pytester: pytest.Pytester) -> None:
    tests = """
def test(kling_mock):
    import requests
    kling_mock.scenario("reset")
    with pytest.raises(requests.ConnectionError):
        create()
"""
    run(pytester, tests, "--klingkit-coverage-json", "met.json")
    found = json.loads((pytester.path / "met.json").read_text())

    assert (found["met"]["faults"], found["met"]["statuses"], found["evidence"]) == ({"reset": 1}, {}, {})


def test_a_run_that_does_not_use_it_loads_nothing(pytester: pytest.Pytester) -> None:
    tests = """
import sys

def test():
    heavy = {"flask", "hypothesis", "responses", "httpx", "aiohttp", "jsonschema_rs", "yaml", "click", "uvloop"}
    assert not heavy & set(sys.modules), heavy & set(sys.modules)
    ours = {name for name in sys.modules if name.startswith("klingkit")}
    assert ours == {"klingkit", "klingkit.pytest_plugin", "klingkit.pytest_contract_plugin"}
"""
    pytester.makepyfile(tests)
    others = ["pytest_httpserver", "xdist", "hypothesispytest", "randomly", "asyncio"]
    blocked = [argument for name in others for argument in ("-p", f"no:{name}")]
    pytester.runpytest_subprocess(*blocked).assert_outcomes(passed=1)


# Installed where the project has packages of the same names


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our wheel, unpacked as an installation does."""
    folder = tmp_path_factory.mktemp("wheel")
    source = tmp_path_factory.mktemp("source")
    for name in (".build", "client", "contract", "klingkit", "mock_server"):
        shutil.copytree(ROOT / name, source / name, symlinks=True)
    for name in ("pyproject.toml", "openapi.yaml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(command, capture_output=True, check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive_of_wheel:
        archive_of_wheel.extractall(folder / "site")
    return folder / "site"


@pytest.mark.usefixtures("few_plugins")
@pytest.mark.parametrize("installed", ["editable", "wheel"])
def test_a_project_has_packages_of_the_same_names(
    pytester: pytest.Pytester, installed: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installed == "wheel":
        monkeypatch.setenv("PYTHONPATH", str(request.getfixturevalue("wheel")))
    for name in ("client", "contract", "mock_server"):
        pytester.mkpydir(name).joinpath("own.py").write_text(f"NAME = {name!r}\n")
    tests = f"""
import client.own, contract.own, mock_server.own
import klingkit.client, klingkit.contract, klingkit.mock_server

def test(kling_client, kling_mock):
    assert [client.own.NAME, contract.own.NAME, mock_server.own.NAME] == ["client", "contract", "mock_server"]
    assert create()["code"] == 0
    assert ("site" in klingkit.mock_server.__file__) is {installed == "wheel"}
"""
    make_files(pytester, tests)
    pytester.runpytest_subprocess(*QUIET, "--import-mode=prepend").assert_outcomes(passed=1)
    pytester.makeini("[pytest]\npythonpath = .\n")
    pytester.runpytest_subprocess(*QUIET, "--import-mode=importlib").assert_outcomes(passed=1)
