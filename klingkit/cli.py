"""The command line. A command imports what it needs when it runs, so that each starts fast."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import click

from .command_errors import CommandFailed
from .ending import give_up, is_of_output, say, unwritten

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping


PLACES = {
    "serve": "simulator_commands",
    "scenarios": "simulator_commands",
    "advice": "watching_commands",
    "listen": "simulator_commands",
    "contract": "contract_documents",
    "assumptions": "assumption_commands",
    "probe": "assumption_commands",
    "evidence": "evidence_commands",
    "rules": "contract_commands",
    "cases": "contract_commands",
    "verify": "contract_commands",
    "mutants": "contract_commands",
    "record": "recording_commands",
    "drift": "recording_commands",
    "submit": "client_commands",
    "get": "client_commands",
    "wait": "client_commands",
    "list": "client_commands:list_tasks",
    "tasks": "watching_commands",
    "task": "watching_commands",
    "callbacks": "watching_commands",
    "journal": "watching_commands",
    "clock": "steering_commands",
    "advance": "steering_commands",
    "freeze": "steering_commands",
    "resume": "steering_commands",
    "queue": "steering_commands",
    "account": "steering_commands",
    "reset": "steering_commands",
    "completion": "completion_command",
}
"""Module of each command, and its name there if that is another."""


class Lazily(Mapping[str, click.Command]):
    """The commands by name, each imported when it is asked for: who serves waits for none of the others."""

    def __getitem__(self, name: str) -> click.Command:
        module, _, attribute = PLACES[name].partition(":")
        command: click.Command = getattr(import_module(f".{module}", __package__), attribute or name)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)


class Commands(click.Group):
    """The commands; what they print may find nobody who reads it, or no room, and no command says that itself."""

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run a command. A closed pipe ends it quietly, a full disk with one line, both with 1."""
        if "_KLINGKIT_COMPLETE" in os.environ:
            from . import bash_words  # noqa: F401 - which click then takes for bash
        try:
            try:
                return super().main(*args, **settings)
            finally:
                if sys.stdout:  # else Python finds out when it ends, and says so in its own way
                    sys.stdout.flush()
        except OSError as error:
            if not is_of_output(error):
                raise
            give_up("stdout")
            if why := unwritten(error):
                say(f"Error: {why}", err=True)
            sys.exit(CommandFailed.exit_code)


@click.group(
    cls=Commands,
    commands=cast("MutableMapping[str, click.Command]", Lazily()),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="klingkit")
def main() -> None:
    """Simulate Kling's Multi-Image to Image API, and use it."""
    for stream in (sys.stdout, sys.stderr):  # a text that the encoding has no letters for ends no command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
