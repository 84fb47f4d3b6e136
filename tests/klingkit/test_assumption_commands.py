"""`klingkit assumptions` and `probe`, and `serve` with what is assumed: what they print, and how they end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from klingkit.cli import main
from klingkit.contract import load_contract
from klingkit.contract.answers import load_answers
from klingkit.mock_server.control.client import Control
from tests.conftest import serving

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"COMETAPI_KEY": None})


@pytest.mark.parametrize("name", ["cometapi", "kling"])
def test_every_question_is_listed_with_its_alternatives(name: str) -> None:
    rows = json.loads(run("assumptions", "--contract", name, "--json").stdout)
    text = run("assumptions", "--contract", name).stdout

    assert [row["id"] for row in rows] == [each.id for each in load_contract(name).assumptions]
    for row in rows:
        assert f"{row['id']} ({row['evidence']}): {row['question']}\n" in text
        assert f"  * {row['default']}: {row['alternatives'][row['default']]}\n" in text
        assert bool(row["fixed"]) == (len(row["alternatives"]) == 1)
        assert row["evidence"]
        assert row["probe"]


def test_an_unknown_contract_is_2() -> None:
    result = run("assumptions", "--contract", "klong")

    assert (result.exit_code, result.stderr) == (
        2,
        "Error: unknown contract 'klong'; there are cometapi, cometapi-2026, kling\n",
    )


def test_a_service_is_asked_and_a_server_then_does_as_it_did(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    with serving("--assume", "unknown-task=kling", "--assume", "prompt-length=bytes") as running:
        result = run("probe", running.url, "--out", str(file))
        assert result.exit_code == 0, result.output
        assert Control.over_http(running.url).health()["tasks"]["submitted"] == 0

    assert "unknown-task: kling (400/1201 'Task not found by id/external id: 100000000000000000')" in result.stdout
    assert "base64-dialect: open (not asked: it would cost 0.0133 USD if its task did not fail)" in result.stdout
    assert result.stdout.splitlines()[-1].endswith(f"questions are settled; the answers are in {file}")
    answers = dict(load_answers(file, "cometapi").assume)
    assert (answers["unknown-task"], answers["prompt-length"], answers["null-values"]) == ("kling", "bytes", "absent")
    with serving("--answers", str(file), "--assume", "prompt-length=characters") as taught:
        shown = Control.over_http(taught.url).health()
        assert shown["status"] == "ok"
        again = run("probe", taught.url).stdout
        assert "unknown-task: kling" in again
        assert "prompt-length: characters" in again


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--assume", "prompt-length"], "'prompt-length' is no ID=ALTERNATIVE"),
        (["--assume", "prompt-length=words"], "prompt-length has no alternative 'words'; there are characters, bytes"),
        (["--assume", "prompt=bytes"], "cometapi has no assumption 'prompt'; there are list-errors, "),
        (
            ["--contract", "kling", "--assume", "bare-key=accepted"],
            "kling has no assumption 'bare-key'; there are list-errors, ",
        ),
        (["--contract", "klong", "--assume", "prompt-length=bytes"], "klong"),
    ],
)
def test_what_cannot_be_assumed_is_2(arguments: list[str], said: str) -> None:
    result = run("serve", *arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_answers_of_another_contract_are_2(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"contract": "kling", "url": "", "at": "", "answers": {}}))

    result = run("serve", "--answers", str(file))

    assert result.exit_code == 2
    assert result.stderr == f"Error: {file} holds answers of kling, not of cometapi: choose --contract kling\n"


def test_what_cannot_be_asked_is_2() -> None:
    assert run("probe", "https://api.example.com").exit_code == 2
    result = run("probe", "http://127.0.0.1:9")

    assert result.exit_code == 2
    assert result.stderr.startswith("Error: nothing could be asked: no answer: ")


def test_answers_that_cannot_be_written_are_1(tmp_path: Path) -> None:
    with serving() as running:
        result = run("probe", running.url, "--out", str(tmp_path / "none" / "answers.json"))

    assert result.exit_code == 1
    assert result.stderr.endswith("No such file or directory\n")
