"""The command line. A command imports what it needs when it runs, so that each starts fast."""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from . import (
    assumption_commands,
    client_commands,
    contract_commands,
    contract_documents,
    evidence_commands,
    recording_commands,
    simulator_commands,
)
from .command_errors import CommandFailed
from .ending import give_up, is_of_output, say, unwritten


class Commands(click.Group):
    """The commands; what they print may find nobody who reads it, or no room, and no command says that itself."""

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run a command. A closed pipe ends it quietly, a full disk with one line, both with 1."""
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


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="klingkit")
def main() -> None:
    """Simulate Kling's Multi-Image to Image API, and use it."""
    for stream in (sys.stdout, sys.stderr):  # a text that the encoding has no letters for ends no command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


for command in (
    simulator_commands.serve,
    simulator_commands.scenarios,
    simulator_commands.advice,
    simulator_commands.listen,
    contract_documents.contract,
    assumption_commands.assumptions,
    assumption_commands.probe,
    evidence_commands.evidence,
    contract_commands.rules,
    contract_commands.cases,
    contract_commands.verify,
    contract_commands.mutants,
    recording_commands.record,
    recording_commands.drift,
    client_commands.submit,
    client_commands.get,
    client_commands.wait,
    client_commands.list_tasks,
):
    main.add_command(command)
