"""`klingkit contract list`, `show` and `diff`: what they print, and how they end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner

from klingkit.cli import main
from klingkit.contract import CONTRACTS, load_contract

if TYPE_CHECKING:
    from click.testing import Result


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["contract", *arguments])


def test_the_list_has_each_contract_with_where_it_is() -> None:
    rows = json.loads(run("list", "--json").stdout)

    assert [row["name"] for row in rows] == list(CONTRACTS)
    assert rows[2]["url"] == "https://api-singapore.klingai.com/v1/images/multi-image2image"
    assert [line for line in run("list").stdout.splitlines() if not line.startswith(" ")][2].startswith("kling: ")


@pytest.mark.parametrize("name", [*CONTRACTS, "cometapi+plain-generation"])
def test_a_contract_is_shown_as_the_document_that_it_is_in_yaml_and_json(name: str) -> None:
    shown = run("show", name).stdout

    assert yaml.safe_load(shown) == load_contract(name).document
    assert "&id" not in shown
    assert json.loads(run("show", name, "--json").stdout) == load_contract(name).document


def test_plain_generation_can_be_shown_by_an_option() -> None:
    assert run("show", "cometapi", "--plain-generation").stdout == run("show", "cometapi+plain-generation").stdout


@pytest.mark.parametrize("arguments", [("show", "klong"), ("diff", "klong", "kling"), ("diff", "kling", "klong")])
def test_an_unknown_contract_is_2_and_names_those_that_there_are(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert result.stderr == "Error: unknown contract 'klong'; there are cometapi, cometapi-2026, kling\n"
    assert run("show", "kling", "--plain-generation").exit_code == 2


def test_what_breaks_comes_first_and_is_1() -> None:
    result = run("diff", "cometapi", "kling")

    assert result.exit_code == 1
    first, *lines = result.stdout.splitlines()
    breaking = [line for line in lines if line.startswith("breaks  ")]
    assert lines[: len(breaking)] == breaking
    assert first == f"from cometapi to kling: {len(breaking)} of {len(lines)} changes break a caller"


def test_nothing_that_breaks_is_0() -> None:
    same, wider = run("diff", "kling", "kling"), run("diff", "cometapi", "cometapi+plain-generation")

    assert (same.exit_code, same.stdout) == (0, "from kling to kling: 0 of 0 changes break a caller\n")
    assert (wider.exit_code, wider.stdout.count("other ")) == (0, 1)


def test_the_forms_say_the_same() -> None:
    as_json = json.loads(run("diff", "cometapi", "cometapi-2026", "--format", "json").stdout)
    text = run("diff", "cometapi", "cometapi-2026").stdout
    markdown = run("diff", "cometapi", "cometapi-2026", "--format", "markdown").stdout

    assert (as_json["from"], as_json["to"]) == ("cometapi", "cometapi-2026")
    assert text.count("\n") == 1 + len(as_json["changes"])
    assert markdown.count("\n| ") == 1 + len(as_json["changes"])
    assert "| yes | `scence_image` | it is called `scene_image`; `scence_image` is ignored |" in markdown
