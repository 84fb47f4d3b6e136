"""Completion, by the shells themselves; a shell that is not there is skipped by name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click import Context

from klingkit.cli import main
from klingkit.completing import NAMES, complete
from klingkit.completion_command import SHELLS
from klingkit.contract import CONTRACTS, load_contract
from klingkit.mock_server.progressions import PROGRESSIONS
from tests.klingkit.test_cli import run
from tests.klingkit.test_listings import every_command

ASK = {
    "bash": """
eval "$(klingkit completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_klingkit_completion klingkit
printf '%s\\n' "${COMPREPLY[@]}"
""",
    "zsh": """
compdef() { }
compadd() { print -l -- "${completions[@]}" }
_describe() { print -l -- "${completions_with_descriptions[@]}" }
eval "$(klingkit completion zsh)"
words=("$@"); CURRENT=$#
_klingkit_completion
""",
    "fish": """
klingkit completion fish | source
complete -C "$argv"
""",
}
"""What asks each shell for what could stand in the place of the last word."""


def completed(shell: str, *words: str) -> list[str]:
    """Return what a shell offers for the last word, without what it says of each."""
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell}")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    flags = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    script = [shell, *flags, "-c", ASK[shell], *["script"] * (shell != "fish"), "klingkit", *words]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return [line.replace(":", "\t").split("\t")[0] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_commands_and_names(shell: str) -> None:
    assert completed(shell, "ad") == ["advance", "advice"]
    assert sorted(completed(shell, "queue", "fail-")) == ["fail-fetch", "fail-moderation", "fail-pixels"]
    assert completed(shell, "cases", "--contract", "k") == ["kling"]
    assert sorted(completed(shell, "account", "--assume", "prompt-l")) == [
        "prompt-length=bytes",
        "prompt-length=characters",
    ]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("serve", "--assume", "prompt-length", "=", "by"), ["bytes"]),
        (("serve", "--assume", "prompt-length", "="), ["characters", "bytes"]),
        (("serve", "--assume", "prompt-length=by"), ["prompt-length=bytes"]),
        (("cases", "--contract", "=", "k"), ["kling"]),
        (("cases", "--contract", "="), list(CONTRACTS)),
        (("serve", "--assume", "prompt-length", "=", "bytes", "--contract", "k"), ["kling"]),
    ],
)
def test_bash_cuts_words_at_an_equals_sign(words: tuple[str, ...], offered: list[str]) -> None:
    assert completed("bash", *words) == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_the_one_that_click_makes(shell: str) -> None:
    by_variable = subprocess.run(
        [sys.executable, "-c", "from klingkit.cli import main; main(prog_name='klingkit')"],
        env={**os.environ, "_KLINGKIT_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert run("completion", shell).stdout.rstrip() == by_variable.rstrip()


def names(kind: str) -> list[str]:
    return list(NAMES[kind](None))


def test_every_kind_of_name_comes_from_its_table() -> None:
    contract = load_contract()
    assert set(CONTRACTS) == set(names("contract")) == set(names("served")) - {"all"}
    assert set(contract.rules) <= set(names("rule"))
    assert set(contract.operations) <= set(names("operation"))
    assert set(PROGRESSIONS) == set(names("progression"))
    assert set(contract.callbacks.retry_after_ms) == set(names("retry_schedule"))
    assert {f"{each.id}={way}" for each in contract.assumptions for way in each.alternatives} <= set(names("assume"))


def test_names_are_those_of_the_contract_that_was_given() -> None:
    old, new = (set(NAMES["scenario"](name)) for name in ("cometapi", "kling"))
    assert old != new
    assert set(NAMES["scenario"](None)) == old | new | set(NAMES["scenario"]("cometapi-2026"))
    assert NAMES["scenario"]("no such contract") == NAMES["scenario"](None)


def test_what_is_said_of_a_name_is_one_line() -> None:
    parameter = main.commands["queue"].params[0]
    for kind in NAMES:
        for item in complete(kind)(Context(main), parameter, ""):
            assert len((item.help or "").splitlines()) <= 1, item.value


NAMED = {
    "contract", "scenario", "query_scenario", "progression", "callback_retries", "assume", "only", "rule", "operation",
    "case_id", "names", "choice", "a", "b", "name", "when", "shell",
}  # fmt: skip
"""Parameters that take a name from a table, wherever they stand."""
OTHERWISE = {("drift", "a"), ("drift", "b")}
"""Of these names, what takes something else: a URL or a folder."""


def test_every_option_that_takes_a_name_completes_it() -> None:
    found = set()
    for path, command in every_command():
        for parameter in command.params:
            if parameter.name not in NAMED or (path, parameter.name) in OTHERWISE:
                continue
            found.add(parameter.name)
            assert parameter.shell_complete(Context(command), ""), (path, parameter.name)
    assert found == NAMED
