"""`klingkit cases`, `verify` and `mutants`: exit codes, usage, reports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from klingkit.cli import main
from klingkit.contract import load_contract
from klingkit.contract.cases import build_cases

from .conftest import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from .conftest import Running


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
    assert files["md"].read_text().startswith(f"# {live.url}")


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
    assert "would cross the budget of 0.02" in result.stdout


def test_what_cannot_be_tested_is_2(live: Running) -> None:
    for arguments, text in (
        (("https://api.cometapi.com",), "say --real"),
        (("https://api.cometapi.com", "--real"), "no key"),
        (("nonsense",), "is not the URL of a service"),
        ((live.url, "--only", "prompt.maxLenght"), "the nearest are prompt.maxLength"),
        ((live.url, "--only", "account.isolation", "--budget", "0"), ""),
        ((live.url, "--report", "pdf=x"), "give junit=FILE"),
        ((live.url, "--report", "md=/proc/none/x"), "--report"),
        ((live.url, "--budget", "much"), "is not an amount"),
        ((live.url, "--key", "a", "--other-key", "a"), "same key"),
        (("http://me:pass-word@127.0.0.1:9",), "leave user and password out of the URL"),
        (("http://127.0.0.1:9",), "nothing could be tested"),
    ):
        result = run("verify", *arguments)

        assert result.exit_code == 2, arguments
        assert text in result.output
        assert "Traceback" not in result.output
        assert "pass-word" not in result.output


def test_a_plan_sends_nothing(live: Running) -> None:
    before = live.url
    result = run("verify", "http://127.0.0.1:9", "--budget", "1", "--plan")

    assert before
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
