"""Every command that lists something has `--json`, and a new one cannot forget it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click import Command, Group

from klingkit.cli import main
from tests.klingkit.test_cli import run
from tests.klingkit.test_steering_commands import create

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Running

NO_LISTS = {
    "serve": "runs until it is ended",
    "listen": "runs until it is ended",
    "completion": "prints a script",
    "verify": "writes its report with --report json=FILE",
    "record": "writes a folder",
    "probe": "writes its answers with --out",
    "contract diff": "prints JSON with --format json",
}
"""Commands without `--json`, and why."""
AT_A_SERVER = {
    "tasks",
    "callbacks",
    "journal",
    "clock",
    "account",
    "advice",
    "freeze",
    "resume",
    "reset",
    "task ID",
    "advance 1s",
    "queue reset",
}
OF_A_SERVICE = {"submit", "get", "wait", "list", "drift"}
"""Tested with the client, and with recordings."""


def every_command() -> Iterator[tuple[str, Command]]:
    """Yield each command with its words."""
    for name in main.list_commands(None):  # type: ignore[arg-type]
        command = main.commands[name]
        if isinstance(command, Group):
            yield from ((f"{name} {each}", below) for each, below in command.commands.items())
        else:
            yield name, command


@pytest.mark.parametrize("path", [path for path, _ in every_command()])
def test_a_command_has_json_or_a_reason_for_none(path: str) -> None:
    command = dict(every_command())[path]
    has = any("--json" in parameter.opts for parameter in command.params)
    assert has != (path in NO_LISTS), "give it --json, or say in NO_LISTS why it has none"


HERE = {
    "scenarios",
    "assumptions",
    "rules",
    "cases",
    "evidence",
    "contract list",
    "contract show kling",
    "mutants minItems-lower",
}


def test_every_command_with_json_is_tried() -> None:
    tried = {" ".join(line.split()[: 2 if line.startswith("contract") else 1]) for line in HERE | AT_A_SERVER}
    assert tried | OF_A_SERVICE | NO_LISTS.keys() == {path for path, _ in every_command()}


@pytest.mark.parametrize("line", sorted(HERE))
def test_it_is_json_of_what_the_table_shows(line: str) -> None:
    found = json.loads(run(*line.split(), "--json").stdout)
    assert found


@pytest.mark.parametrize("line", sorted(AT_A_SERVER))
def test_it_is_json_of_a_server(server: Running, line: str) -> None:
    key = f"listing-{line.split(maxsplit=1)[0]}"
    task_id = create(server, key, promt="x")
    json.loads(run(*line.replace("ID", task_id).split(), "--json", "--url", server.url, "--key", key).stdout)


def test_scenarios_are_listed_as_the_control_api_does(server: Running) -> None:
    from klingkit.mock_server.control.client import Control

    assert json.loads(run("scenarios", "--json").stdout) == Control.over_http(server.url).scenarios()["scenarios"]
