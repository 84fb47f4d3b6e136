"""Contract tests under pytest: the suite of the kit, and tests of a user's own on `klingkit_target`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from klingkit.contract.check import check_create
from klingkit.contract.recordings.files import save
from klingkit.contract.recordings.secret import Secret
from klingkit.mock_server.serving.in_process import in_process_target
from tests.conftest import FEW_PLUGINS, serving
from tests.wrong_targets import KEY, OTHER_KEY, recording_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Running


pytest_plugins = ["pytester"]


@pytest.fixture(scope="module")
def live() -> Iterator[Running]:
    with serving("--instant", "--seed", "1") as running:
        yield running


Run = Callable[..., pytest.RunResult]
"""Runs pytest with arguments, in a folder."""


@pytest.fixture
def pytest_in(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest in a folder as a user does, but in this process: to start another takes longer than most runs."""
    for name in [name for name in os.environ if name.startswith(("PYTEST", "COMETAPI"))]:
        monkeypatch.delenv(name)
    for name, value in FEW_PLUGINS.items():
        monkeypatch.setenv(name, value)

    def run(folder: Path, *arguments: str) -> pytest.RunResult:
        monkeypatch.chdir(folder)
        return pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", "--strict-markers", *arguments)

    return run


@pytest.fixture
def suite(pytest_in: Run) -> Run:
    return lambda folder, *arguments: pytest_in(folder, "--pyargs", "klingkit.contract", *arguments)


def test_the_suite_runs_under_pytest(suite: Run, live: Running, tmp_path: Path) -> None:
    done = suite(tmp_path, "--klingkit-target", live.url)
    assert done.ret == 0, done.stdout.str()
    assert "39 passed" in done.stdout.str()

    chosen = suite(tmp_path, "--klingkit-target", live.url, "--klingkit-budget", "1", "-k", "unique and again")
    assert "1 passed" in chosen.stdout.str()


def test_the_suite_says_what_it_needs(suite: Run, live: Running, tmp_path: Path) -> None:
    assert "give --klingkit-target URL" in suite(tmp_path).stdout.str()
    assert "run it without -n" in suite(tmp_path, "--klingkit-target", live.url, "-n", "1").stdout.str()
    down = suite(tmp_path, "--klingkit-target", "http://127.0.0.1:9")
    assert down.ret == 2
    assert "nothing could be tested" in down.stdout.str() + down.stderr.str()


def test_a_suite_in_which_a_case_was_not_tested_ends_with_3(suite: Run, live: Running, tmp_path: Path) -> None:
    done = suite(tmp_path, "--klingkit-target", live.url, "--klingkit-budget", "0.0133", "-k", "accepted", "-rs")

    assert done.ret == 3
    assert "1 passed" in done.stdout.str()
    assert "not tested, though it was to be: it does not fit into what is left of the budget" in done.stdout.str()
    assert "pytest_contract_plugin.py" not in done.stdout.str()


def test_an_interrupted_suite_ends_with_130(tmp_path: Path) -> None:
    with serving("--speed", "0.2") as slow:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "klingkit.contract"]
        target = ("--klingkit-target", slow.url, "--klingkit-budget", "1")
        process = subprocess.Popen(
            [*command, *target],
            cwd=tmp_path,
            env={**os.environ, **FEW_PLUGINS},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        slow.wait_for_creates(10)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)

    assert process.returncode == 130
    assert b"interrupted: " in output


def test_the_suite_fails_with_the_case(suite: Run, tmp_path: Path) -> None:
    with serving("--instant", "--scenario", "error-1301") as wrong:
        done = suite(tmp_path, "--klingkit-target", wrong.url, "-k", "prompt and one-too-long")

    assert done.ret == 1
    assert "prompt.maxLength/one-too-long: the code is another" in done.stdout.str()


# Tests of a user's own

TESTS = """
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import run_state_machine_as_test
from klingkit.contract.check import check_create
from klingkit.contract.strategies import invalid_requests, state_machine, valid_requests

QUICK = settings(max_examples=20, deadline=None, database=None)
RIGHT = {"subject_image_list": [{"subject_image": "https://example.com/a.png"}] * 2}

@QUICK
@given(invalid=invalid_requests())
def test_refused(klingkit_target, invalid):
    check_create(klingkit_target, invalid.body)

@QUICK
@given(body=valid_requests())
def test_accepted(klingkit_target, body):
    assert check_create(klingkit_target, body).data["task_status"] == "submitted"

def test_life(klingkit_target):
    machine = state_machine(klingkit_target)
    run_state_machine_as_test(machine, settings=settings(QUICK, max_examples=5, stateful_step_count=5))

def test_too_many(klingkit_target):
    check_create(klingkit_target, {**RIGHT, "n": 10})

def test_right(klingkit_target):
    check_create(klingkit_target, RIGHT)
"""


def test_contract_tests_of_a_users_own_need_no_service(pytest_in: Run, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)

    done = pytest_in(tmp_path)
    assert "5 passed" in done.stdout.str(), done.stdout.str()


def test_contract_tests_of_a_users_own_cross_no_budget(pytest_in: Run, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    with serving("--instant", "--balance", "0.20") as service:
        target = ("--klingkit-target", service.url)
        free = pytest_in(tmp_path, *target, "-k", "test_right or test_too_many")
        refused = pytest_in(tmp_path, *target, "--klingkit-budget", "0.40", "-k", "test_refused or test_too_many")
        both = pytest_in(tmp_path, *target, "--klingkit-budget", "0.15", "-k", "test_right or test_too_many")
        split = pytest_in(tmp_path, *target, "--klingkit-budget", "1", "-n", "1", "-k", "test_right")
        spent = service.stop()

    assert "2 failed" in free.stdout.str()
    assert "budget.py" not in free.stdout.str()
    crossed = "BudgetError: 0.0133 more than the 0 spent would cross the budget of 0: nothing was sent"
    assert crossed in free.stdout.str()
    assert "2 passed" in refused.stdout.str(), refused.stdout.str()
    # Ten pictures that are refused give back what was set aside.
    assert "2 passed" in both.stdout.str(), both.stdout.str()
    assert "run them without -n" in split.stdout.str() + split.stderr.str()
    assert "Traceback" not in spent


def test_a_service_must_be_usable(pytest_in: Run, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)

    far = pytest_in(tmp_path, "--klingkit-target", "http://example.com")

    assert far.ret == 2
    assert "say --klingkit-real if you mean it" in far.stdout.str() + far.stderr.str()


@pytest.mark.parametrize("body", [[], "x", None, 5, {"n": True}, {1: 2}, {"prompt": ("a",)}, ["\u732b"]], ids=repr)
def test_any_json_is_checked(body: object) -> None:
    assert check_create(in_process_target(), body).http == 400


@pytest.mark.parametrize("body", [{"n": float("nan")}, {"prompt": "\ud800"}, b"raw", {"n": {1, 2}}], ids=repr)
def test_what_is_no_json_is_said_to_be_so(body: object) -> None:
    with pytest.raises(ValueError, match="a body that cannot be sent as JSON: "):
        check_create(in_process_target(), body)


# The simulator and a recording


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recording of a service that has another text for `n.maximum`."""
    folder = tmp_path_factory.mktemp("project")
    whole = recording_of()
    body = {"code": 1201, "message": "n is too much", "request_id": "<request id: UUID>"}
    answers = {
        key: replace(each, body=body) if each.case == "n.maximum/one-too-high" else each
        for key, each in whole.answers["n.maximum"].items()
    }
    other = replace(whole, answers={**whole.answers, "n.maximum": answers})
    save(other, folder / "recorded", [Secret("the key", KEY), Secret("the other key", OTHER_KEY)])
    return folder


BOTH = """
import os, pytest, requests
from klingkit.contract.check import check_create

RIGHT = {"subject_image_list": [{"subject_image": "https://example.com/a.png"}] * 2}
pytestmark = pytest.mark.klingkit_targets("simulator", "recorded")

def text(url):
    headers = {"Authorization": "Bearer " + os.environ["COMETAPI_KEY"]}
    body = {**RIGHT, "n": 10}
    return requests.post(url + "/kling/v1/images/generations", json=body, headers=headers, timeout=5).json()["message"]

def test_right(klingkit_target):
    check_create(klingkit_target, RIGHT)

def test_too_many(klingkit_target):
    check_create(klingkit_target, {**RIGHT, "n": 10}, fail_on="inferred")

def test_mock(kling_mock):
    assert text("https://api.cometapi.com") == "n: must be less than or equal to 9"

def test_server(kling_server):
    assert text(kling_server.url) == "n: must be less than or equal to 9"

def test_client(kling_mock, kling_client):
    kling_client.create(["https://example.com/a.png"] * 2)
    assert kling_mock.creates == 1

def test_without():
    pass
"""


@pytest.mark.parametrize("parallel", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_test_runs_on_the_simulator_and_on_a_recording(
    pytest_in: Run, project: Path, parallel: tuple[str, ...]
) -> None:
    (project / "test_both.py").write_text(BOTH)

    done = pytest_in(project, "test_both.py", "-rA", *parallel)

    assert "8 passed" in done.stdout.str(), done.stdout.str()
    assert "3 failed" in done.stdout.str()
    failed = {line.split(" - ")[0] for line in done.outlines if line.startswith("FAILED")}
    assert failed == {f"FAILED test_both.py::test_{name}[recorded]" for name in ("too_many", "mock", "server")}
    assert "n.maximum: expected 'n: must be less than or equal to 9', got 'n is too much'" in done.stdout.str()


def test_a_service_stands_in_for_both(pytest_in: Run, project: Path, live: Running) -> None:
    (project / "test_both.py").write_text(BOTH)
    target = ("--klingkit-target", live.url, "--klingkit-budget", "1")

    assert "2 passed" in pytest_in(project, "test_both.py", "-k", "right or too_many", *target).stdout.str()


@pytest.mark.parametrize(
    ("marker", "says"),
    [
        ('"simulatr"', "klingkit_targets: 'simulatr' is neither 'simulator' nor a recording: "),
        ("", "takes 'simulator' and folders of recordings"),
        ("recording='recorded'", "takes 'simulator' and folders of recordings"),
    ],
)
def test_a_target_that_is_none_is_named(pytest_in: Run, tmp_path: Path, marker: str, says: str) -> None:
    (tmp_path / "test_it.py").write_text(
        f"import pytest\n@pytest.mark.klingkit_targets({marker})\ndef test_it(kling_mock): pass\n"
    )

    done = pytest_in(tmp_path)

    assert done.ret in {1, 2}
    assert says in done.stdout.str()
    assert "Traceback" not in done.stdout.str() + done.stderr.str()
    assert "pytest_plugin.py" not in done.stdout.str()
