"""The options of `serve`: what holds if nobody says otherwise stands in `Settings`, and only there."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields

import click
import pytest

from klingkit import simulator_commands
from klingkit.contract.choice import CONTRACTS
from klingkit.mock_server.account_settings import AccountSettings
from klingkit.mock_server.settings import Settings
from klingkit.option_values import parse_size, size_text
from klingkit.simulator_commands import serve
from klingkit.watching_commands import advice_lines

FIELDS = {field.name for settings in (Settings, AccountSettings) for field in fields(settings)}
NAMED_OTHERWISE = {"host": "bound_host", "keys": "keys", "no_control": "control"}


def options() -> dict[str, ast.Call]:
    """The call of `serve_option` for each option, by the name of its setting."""
    calls = [
        node
        for node in ast.walk(ast.parse(inspect.getsource(simulator_commands)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "serve_option"
    ]
    names = [str(ast.literal_eval(call.args[0])).removeprefix("--").replace("-", "_") for call in calls]
    return {NAMED_OTHERWISE.get(name, name): call for name, call in zip(names, calls, strict=True)}


def test_a_default_is_not_given_a_second_time() -> None:
    defaults = {
        name: keyword.value
        for name, call in options().items()
        for keyword in call.keywords
        if keyword.arg == "default" and name in FIELDS
    }

    expected = {
        "contract",
        "bound_host",
        "speed",
        "max_body",
        "max_memory",
        "progression",
        "callback_retries",
        "log_format",
        "workers",
    }
    assert defaults.keys() == expected
    assert [name for name, default in defaults.items() if "DEFAULTS" not in ast.unparse(default)] == []


def test_the_command_starts_with_the_defaults_of_the_settings() -> None:
    context = click.Context(serve)
    given = {option.name: option.get_default(context) for option in serve.params}

    assert given["contract"] == Settings().contract == CONTRACTS[0]
    assert given["host"] == Settings().bound_host
    assert given["speed"] == Settings().speed
    assert parse_size(str(given["max_body"])) == Settings().max_body
    assert parse_size(str(given["max_memory"])) == Settings().max_memory
    assert given["progression"] == AccountSettings().progression
    assert given["callback_retries"] == AccountSettings().callback_retries


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1"), (1023, "1023"), (1024, "1KB"), (100 * 1024**2, "100MB"), (1024**3, "1GB")]
)
def test_a_size_is_written_as_it_is_read(number: int, text: str) -> None:
    assert size_text(number) == text
    assert parse_size(text) == number


def test_equal_advice_is_given_once() -> None:
    found = [
        {"kind": "unknown-field", "request": n, "text": f"unknown field x{n}", "do": "leave it out"} for n in range(5)
    ]
    found.insert(2, {"kind": "poll-after-end", "request": 9, "text": "task 7 has ended", "do": "stop"})

    assert list(advice_lines(found)) == [
        "unknown-field (request 0): unknown field x0",
        "unknown-field (request 1): unknown field x1",
        "unknown-field (request 2): unknown field x2",
        "unknown-field: 2 more, which --json lists",
        "  leave it out",
        "poll-after-end (request 9): task 7 has ended",
        "  stop",
    ]
