"""`klingkit evidence`: every behaviour, how well each aspect of it is known, and what tests rest on."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .command_errors import CommandFailed, WrongUsage
from .completing import complete

if TYPE_CHECKING:
    from klingkit.contract.behaviours import Aspect
    from klingkit.contract.recordings.raised import Settled

COLOURS = {"documented": "green", "recorded": "cyan", "inferred": "yellow", "unknown": "red"}
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Say of every behaviour how well it is known.")
@click.argument("words", nargs=-1, metavar="[WORD]...")
@click.option(
    "--contract",
    "choice",
    metavar="NAME",
    shell_complete=complete("contract"),
    help="Another contract; `klingkit contract list` has them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--pin", "to", type=FILE, metavar="FILE", help="Write down what tests rest on; needs --met.")
@click.option("--met", type=FILE, metavar="FILE", help="What `pytest --klingkit-coverage-json FILE` has written.")
@click.option(
    "--from", "recording", type=click.Path(path_type=Path), metavar="FOLDER", help="Say what a recording settles."
)
@click.option("--check", type=FILE, metavar="FILE", help="Say what has changed of what --pin has written down.")
def evidence(
    words: tuple[str, ...],
    *,
    choice: str | None,
    as_json: bool,
    to: Path | None,
    met: Path | None,
    check: Path | None,
    recording: Path | None,
) -> None:
    """List every behaviour of the contract with its aspects: what each says, its grade, source and date, and open questions.

    WORDs leave those that have them all in name, grade, source or question, such as `klingkit evidence prompt inferred`.

    --check exits with 0 if all is as it was pinned or better known; 1 if something has changed, lost its grade or is gone, and
    says so in a line each; 2 if the file cannot be read. With --contract it is held against that contract.

    --from names what is inferred or unknown today and would be recorded by a recording, and what the recording contradicts.
    """
    if (to is None) != (met is None):
        raise WrongUsage(
            "--pin FILE and --met FILE belong together; pytest --klingkit-coverage-json FILE writes the latter"
        )
    if sum(map(bool, (to, check, recording, words))) > 1 or (as_json and (to or check)) or (to and choice):
        raise WrongUsage(
            "--pin takes --met alone beside it, --check takes --contract, --from takes --contract and --json"
        )
    if to and met:
        write_pin(to, met)
    elif check:
        print_changes(check, choice)
    elif recording:
        print_settled(recording, choice or "", as_json=as_json)
    else:
        print_evidence(words, choice or "", as_json=as_json)


def write_pin(to: Path, met: Path) -> None:
    """Write down what tests met."""
    from .pinned_evidence import as_text, pin, read_met
    from .report_files import check_writable

    check_writable("--pin", to)
    pinned = pin(read_met(met))
    try:
        to.write_text(as_text(pinned), encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"--pin {to} cannot be written: {error.strerror}") from None
    click.echo(f"{to}: {sum(map(len, pinned.values()))} aspects")


def print_changes(check: Path, choice: str | None) -> None:
    """Say what has changed of what was written down."""
    from klingkit.contract.printable import printable

    from .pinned_evidence import changes, read_pinned

    pinned = read_pinned(check)
    found = changes(pinned, choice)
    for line in found:
        click.echo(printable(line))
    if found:
        raise click.exceptions.Exit(CommandFailed.exit_code)
    number, names = sum(map(len, pinned.values())), ", ".join(pinned)
    against = f" as {choice} has them" if choice else ""
    click.echo(printable(f"{check}: {number} aspects of {names}{against}: each is as it was pinned, or better known"))


def print_settled(folder: Path, choice: str, *, as_json: bool) -> None:
    """Say which grades a recording would raise, and what it contradicts."""
    from klingkit.contract.choice import CONTRACTS
    from klingkit.contract.printable import printable
    from klingkit.contract.recordings.files import BrokenRecordingError, load
    from klingkit.contract.recordings.raised import as_json as jsoned
    from klingkit.contract.recordings.raised import group, settle

    from .pinned_evidence import contract_of

    contract = contract_of(choice or CONTRACTS[0])
    try:
        recording = load(folder, contract)
    except BrokenRecordingError as error:
        raise WrongUsage(f"--from {error}") from None
    rows = settle(recording, contract)
    if as_json:
        click.echo(json.dumps(jsoned(recording, rows)))
        return
    groups = group(rows)
    click.echo(printable(f"{folder}: {recording.target}, {recording.at:%Y-%m-%d}"))
    click.echo(f"would be recorded: {len(groups['raised'])}")
    for row in groups["raised"]:
        click.echo(printable(f"  {told(row)}, {row.evidence.grade} today: {row.aspect.says or 'it is there'}"))
    click.echo(f"contradicted: {len(groups['contradicted'])}")
    for row in groups["contradicted"]:
        click.echo(printable(f"  {told(row)}, {row.evidence.grade} today: {row.aspect.says or 'it is there'}"))
        for case, otherwise in row.otherwise.items():
            click.echo(printable(f"    {case}: {otherwise}"))
    click.echo(f"known as well before, and confirmed: {len(groups['confirmed'])}")


def told(row: Settled) -> str:
    """Name an aspect, and the open question for whose inputs it is meant."""
    return f"{row.aspect.id} ({row.assumption})" if row.assumption else row.aspect.id


def print_evidence(words: tuple[str, ...], choice: str, *, as_json: bool) -> None:
    """Print what the words leave of all aspects."""
    from klingkit.contract.behaviours import as_json as jsoned
    from klingkit.contract.behaviours import aspects_of
    from klingkit.contract.choice import CONTRACTS

    from .pinned_evidence import contract_of

    contract = contract_of(choice or CONTRACTS[0])
    found = [aspect for aspect in aspects_of(contract) if aspect.has(words)]
    if not found:
        raise WrongUsage(f"no aspect of {contract.choice} has {' and '.join(map(repr, words))} in it")
    if as_json:
        click.echo(json.dumps(jsoned(contract, found)))
        return
    print_table(found)


def print_table(aspects: list[Aspect]) -> None:
    """Print each behaviour with a line for each of its aspects, and how many there are of each grade."""
    from klingkit.contract.behaviours import count_grades
    from klingkit.contract.printable import printable

    behaviours = {name: list(rows) for name, rows in groupby(aspects, lambda aspect: aspect.behaviour)}
    for name, rows in behaviours.items():
        lines = [click.style(name, bold=True)]
        for row in rows:
            known = row.evidence
            grade = click.style(f"{known.grade:<10}", fg=COLOURS[known.grade])
            note = f"; {known.note}" if known.note else ""
            lines.append(
                f"  {row.aspect or 'it':<6}  {grade}  {printable(row.says) or '-'}  ({known.source}, {known.date}{note})"
            )
        if questions := dict.fromkeys(question for row in rows for question in row.assumptions):
            lines.append(f"  open    {', '.join(questions)}")
        click.echo("\n".join(lines))
    grades = ", ".join(f"{number} {grade}" for grade, number in count_grades(aspects).items())
    click.echo(f"{counted(len(aspects), 'aspect')} of {counted(len(behaviours), 'behaviour')}: {grades}")


def counted(number: int, what: str) -> str:
    """Say how many there are of something."""
    return f"{number} {what}{'s' * (number != 1)}"
