"""The commands around the contracts that there are: which, what each says, and how two differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from .command_errors import CommandFailed, WrongUsage
from .completing import complete

if TYPE_CHECKING:
    from klingkit.contract import Contract
    from klingkit.contract.changes import Change

FORMATS = ("text", "markdown", "json")


@click.group(short_help="List, show and compare the contracts.")
def contract() -> None:
    """List the contracts that there are, show one as an OpenAPI document, or say what differs between two."""


@contract.command("list", short_help="List the contracts.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_contracts(*, as_json: bool) -> None:
    """List the contracts, the default first."""
    from klingkit.contract import CONTRACTS, load_contract

    rows = [
        {
            "name": found.name,
            "title": found.document["info"]["title"],
            "version": found.document["info"]["version"],
            "url": found.server_url + found.operations["create_task"].path,
            "summary": found.document["info"]["summary"],
        }
        for found in map(load_contract, CONTRACTS)
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['name']}: {row['title']} ({row['version']})\n  {row['url']}\n  {row['summary']}")


@contract.command(short_help="Print a contract as an OpenAPI document.")
@click.argument("name", metavar="NAME", shell_complete=complete("contract"))
@click.option("--plain-generation", is_flag=True, help="With what CometAPI makes of a create without subject pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, not YAML.")
def show(name: str, *, plain_generation: bool, as_json: bool) -> None:
    """Print the contract NAME as one OpenAPI 3.1 document: openapi.yaml with the overlays on it applied."""
    from dataclasses import replace

    from klingkit.contract import Choice, UnknownChoiceError, load_contract

    try:
        choice = Choice.parse(name)
        document = load_contract(replace(choice, plain_generation=plain_generation or choice.plain_generation)).document
    except UnknownChoiceError as error:
        raise WrongUsage(str(error)) from None
    if as_json:
        click.echo(json.dumps(document, indent=1, ensure_ascii=False))
        return
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    click.echo(yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=True, width=140), nl=False)


@contract.command(short_help="Say what a caller of one contract meets in another.")
@click.argument("a", metavar="A", shell_complete=complete("contract"))
@click.argument("b", metavar="B", shell_complete=complete("contract"))
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How it is printed."
)
def diff(a: str, b: str, *, form: str) -> None:
    """Say what a caller of the contract A has to change to call B, what breaks first.

    A and B are names, such as cometapi and kling, or whole choices, such as cometapi+plain-generation.

    Exits with 0 if nothing breaks, 1 if something does, 2 if there is no such contract.
    """
    from klingkit.contract import UnknownChoiceError, load_contract
    from klingkit.contract.changes import changes

    try:
        old, new = load_contract(a), load_contract(b)
    except UnknownChoiceError as error:
        raise WrongUsage(str(error)) from None
    found = changes(old, new)
    click.echo({"text": as_text, "markdown": as_markdown, "json": as_json}[form](old, new, found))
    if any(change.breaking for change in found):
        raise click.exceptions.Exit(CommandFailed.exit_code)


def summary(old: Contract, new: Contract, found: list[Change]) -> str:
    """Say in one line what it comes to."""
    breaking = sum(change.breaking for change in found)
    return f"from {old.choice} to {new.choice}: {breaking} of {len(found)} changes break a caller"


def as_text(old: Contract, new: Contract, found: list[Change]) -> str:
    """Return the changes for a terminal."""
    lines = [f"{'breaks' if change.breaking else 'other '}  {change.rule}: {change.what}" for change in found]
    return "\n".join([summary(old, new, found), *lines])


def as_markdown(old: Contract, new: Contract, found: list[Change]) -> str:
    """Return the changes as Markdown."""
    from klingkit.contract.markdown import code, prose

    rows = [
        f"| {'yes' if change.breaking else 'no'} | {code(change.rule)} | {prose(change.what)} |" for change in found
    ]
    table = ["", "| breaks | what | how |", "|---|---|---|", *rows] if rows else []
    return "\n".join([f"**{prose(summary(old, new, found))}**", *table])


def as_json(old: Contract, new: Contract, found: list[Change]) -> str:
    """Return the changes as one JSON object."""
    changes = [change.as_dict() for change in found]
    return json.dumps({"from": str(old.choice), "to": str(new.choice), "changes": changes}, indent=1)
