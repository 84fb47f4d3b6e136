"""`klingkit cases`, `verify` and `mutants`: exit codes, usage, reports."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from klingkit.cli import main
from klingkit.contract import load_contract
from klingkit.contract.cases.catalogue import build_cases
from tests.conftest import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

    from tests.conftest import Running


@pytest.fixture(scope="module")
def live() -> Iterator[Running]:
    with serving("--instant", "--seed", "1") as running:
        yield running


def run(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"COMETAPI_KEY": None, "KLINGKIT_OTHER_KEY": None, **env})


def test_a_right_service_is_0_and_its_reports_are_written(live: Running, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"deep/report.{kind}" for kind in ("junit", "md", "json")}
    reports = [word for kind, file in files.items() for word in ("--report", f"{kind}={file}")]
    result = run("verify", live.url, "--budget", "0.50", *reports)

    assert result.exit_code == 0, result.output
    assert "0 deviate" in result.stdout
    suites = ET.fromstring(files["junit"].read_text())
    assert sum(int(suite.attrib["tests"]) for suite in suites) > len(build_cases(load_contract()))
    assert json.loads(files["json"].read_text())["spent"] == "0.2261"
    assert files["md"].read_text().startswith(f"# Holds: `{live.url}`\n")


def test_a_service_that_breaks_a_rule_is_1() -> None:
    with serving("--instant", "--scenario", "error-1301") as wrong:
        result = run("verify", wrong.url)

        assert result.exit_code == 1
        assert "prompt.maxLength" in result.stdout
        assert "curl -si -X POST" in result.stdout
        assert run("verify", wrong.url, "--only", "path.known").exit_code == 0


def test_a_budget_that_is_too_small_is_3(live: Running) -> None:
    result = run("verify", live.url, "--budget", "0.02")

    assert result.exit_code == 3
    # How many is not fixed: which case finds the money gone depends on when others give theirs back.
    assert re.search(r"incomplete: the budget was too small for \d+ cases; 0.4921 USD is enough for all", result.stdout)
    assert re.search(r"8\d hold, 0 deviate", result.stdout)
    plan = run("verify", live.url, "--budget", "0.02", "--plan").stdout
    assert "cost: 0.02 USD at best; at worst 0.02, since no more than 0.02 is ever spent" in plan
    assert "0.02 may be too little for some of these cases: 0.4921 is enough for all" in plan
    assert "may be too little" not in run("verify", live.url, "--budget", "0.4921", "--plan").stdout


def test_a_rule_is_tested_only_if_one_of_its_cases_is(live: Running) -> None:
    """Not if only the case went out that must go before."""
    assert run("verify", live.url, "--only", "account.isolation", "--budget", "0.1").exit_code == 2
    assert run("verify", live.url, "--only", "account.isolation", "--budget", "0.1", "--other-key", "b").exit_code == 0
    assert run("verify", live.url, "--only", "task.times", "--budget", "0.1").exit_code == 0


def test_a_report_that_cannot_be_written_is_said_to_be_so(live: Running, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "old.xml").write_text("old")
    for file, code, text in (
        (tmp_path / "folder", 2, "Is a directory"),
        (Path("/dev/full"), 3, "cannot be written: No space left on device"),
    ):
        result = run("verify", live.url, "--report", f"md={file}")
        assert (result.exit_code, result.output.count("Error")) == (code, 1)
        assert text in result.output
    twice = run("verify", live.url, "--report", f"md={tmp_path}/a", "--report", f"json={tmp_path}/a")
    assert (twice.exit_code, "same file" in twice.output) == (2, True)
    for name in ("new.xml", "old.xml"):
        assert run("verify", "http://127.0.0.1:9", "--report", f"junit={tmp_path / name}").exit_code == 2
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["old.xml"]  # no empty report is left behind


def test_an_interrupted_command_reports_what_came_and_ends_with_130(tmp_path: Path) -> None:
    """After a real Ctrl-C, while tasks of a service as slow as the real one go on."""
    with serving("--speed", "0.2") as slow:
        command = ["verify", slow.url, "--budget", "1", "--report", f"json={tmp_path / 'report.json'}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "klingkit", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        slow.wait_for_creates(10)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)

    assert process.returncode == 130
    assert "incomplete: interrupted" in output
    assert "Traceback" not in errors
    assert json.loads((tmp_path / "report.json").read_text())["incomplete"] == "interrupted"


def test_nothing_is_left_in_the_folder_where_a_command_is_run(live: Running, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith("HYPOTHESIS")}
    for command in (("verify", live.url, "--budget", "1"), ("mutants", "minimum-lower")):
        done = subprocess.run(
            [sys.executable, "-m", "klingkit", *command],
            cwd=tmp_path / "here",
            env={**env, "HOME": str(tmp_path)},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    assert list((tmp_path / "here").iterdir()) == []


def test_what_cannot_be_tested_is_2(live: Running) -> None:
    for arguments, text in (
        (("https://api.cometapi.com",), "say --real"),
        (("https://api.cometapi.com", "--real"), "no key"),
        (("nonsense",), "is not the URL of a service"),
        ((live.url, "--only", "prompt.maxLenght"), "the nearest are prompt.maxLength"),
        (
            (live.url, "--only", "account.isolation", "--budget", "0"),
            "reasons above; --budget N allows what costs money",
        ),
        ((live.url, "--report", "pdf=x"), "give junit=FILE"),
        ((live.url, "--report", "md=/proc/none/x"), "--report"),
        ((live.url, "--budget", "much"), "is not an amount"),
        ((live.url, "--key", "a", "--other-key", "a"), "same key"),
        ((live.url, "--budget", "0.01"), "pays for no picture, which costs 0.0133"),
        (("http://me:pass-word@127.0.0.1:9",), "leave user and password out of the URL"),
        (("http://127.0.0.1:9",), "nothing could be tested"),
    ):
        result = run("verify", *arguments)

        assert result.exit_code == 2, arguments
        assert text in result.output
        assert "Traceback" not in result.output
        assert "pass-word" not in result.output


def test_a_plan_sends_nothing() -> None:
    result = run("verify", "http://127.0.0.1:9", "--budget", "1", "--plan")

    assert result.exit_code == 0
    assert "cost: 0.2261 USD at best" in result.stdout


def test_cases_are_listed_and_their_bodies_printed() -> None:
    rows = json.loads(run("cases", "--json").stdout)
    cases = {case.id: case for case in build_cases(load_contract())}

    assert [row["id"] for row in rows] == list(cases)
    assert all(case_id in run("cases").stdout for case_id in cases)
    assert run("cases", "n.maximum/one-too-high").stdout_bytes == cases["n.maximum/one-too-high"].request.data
    wrong = run("cases", "n.maximum/one-too-hihg")
    assert (wrong.exit_code, "the nearest are n.maximum/one-too-high" in wrong.output) == (2, True)


def test_mutants_are_listed_with_what_killed_them() -> None:
    result = run("mutants", "cut-off", "minItems-lower")

    assert result.exit_code == 0
    assert "cut-off killed by body.json/cut-off" in result.stdout
    assert result.stdout.endswith("killed: 2 of 2; guilty rule named: 2\n")
    (row,) = json.loads(run("mutants", "cut-off", "--json").stdout)
    assert row["names_rule"]
    assert run("mutants", "cut-of").exit_code == 2


def test_a_command_is_about_the_contract_that_it_is_given() -> None:
    kling = CliRunner().invoke(main, ["rules", "--contract", "kling"]).output
    plain = CliRunner().invoke(main, ["cases", "--contract", "cometapi+plain-generation"]).output

    assert "authorization.not_before" in kling
    assert "scence_image" not in kling
    assert "plain.prompt.maxLength/one-too-long" in plain


@pytest.mark.parametrize(
    "command", [["rules"], ["mutants"], ["verify", "http://127.0.0.1:9"], ["drift", "simulator", "x"]]
)
def test_an_unknown_contract_is_refused_in_one_line_that_names_the_valid_ones(command: list[str]) -> None:
    result = CliRunner().invoke(main, [*command, "--contract", "kilng"])

    assert result.exit_code == 2
    assert "unknown contract 'kilng'; there are cometapi, cometapi-2026, kling" in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_keys_of_one_service_are_not_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMETAPI_KEY", "sk-of-cometapi")
    command = ["verify", "https://api-singapore.klingai.com", "--contract", "kling", "--plan"]
    result = CliRunner().invoke(main, command)

    assert result.exit_code == 2
    assert "set KLING_ACCESS_KEY and KLING_SECRET_KEY, or KLING_API_KEY" in result.output
