"""The commands around what is not known of the real service."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from .command_errors import CommandFailed, WrongUsage, money
from .secret_options import secret_option

if TYPE_CHECKING:
    from klingkit.contract import Assumption, Contract

    from .probing import Asked


@click.command(short_help="List what is not known of the real service.")
@click.option("--contract", "name", default="cometapi", show_default=True, help="Whose questions.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def assumptions(*, name: str, as_json: bool) -> None:
    """List the open questions about the real service, the answers that each can have, which of them is taken, and what would settle it.

    Another answer than the default is taken with `serve --assume ID=ALTERNATIVE`.
    """
    rows = [_row(entry) for entry in contract_named(name).assumptions]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        click.echo(f"{row['id']} ({row['evidence']}): {row['question']}")
        for each, does in row["alternatives"].items():
            click.echo(f"  {'*' if each == row['default'] else ' '} {each}: {does}")
        if row["fixed"]:
            click.echo(f"    no other: {row['fixed']}")
        click.echo(f"    about: {', '.join(row['about']) or 'no rule'}")
        click.echo(f"    probe: {row['probe']}")


def contract_named(text: str) -> Contract:
    """Return the contract of a choice. Raises WrongUsage for one that there is not."""
    from klingkit.contract import UnknownChoiceError, load_contract

    try:
        return load_contract(text)
    except UnknownChoiceError as error:
        raise WrongUsage(str(error)) from None


def _row(entry: Assumption) -> dict[str, Any]:
    from klingkit.contract.evidence import told

    return {
        "id": entry.id,
        "question": entry.question,
        "default": entry.default,
        "alternatives": dict(entry.alternatives),
        "fixed": entry.fixed,
        "evidence": told(entry.aspects),
        "about": list(entry.about),
        "probe": entry.probe,
    }


@click.command(short_help="Ask a service what is not known.")
@click.argument("url")
@click.option("--out", type=click.Path(dir_okay=False, writable=True), help="Write the answers to this file.")
@click.option("--contract", "name", default="cometapi", show_default=True, help="Whose questions.")
@click.option("--budget", type=money, metavar="AMOUNT", default="0", show_default=True, help="What may be spent.")
@click.option("--real", is_flag=True, help="Needed for anything that is not on this machine.")
@secret_option("--key", variable="COMETAPI_KEY", help_text="On this machine any will do.")
def probe(url: str, *, out: str | None, name: str, budget: Decimal, real: bool, key: str | None) -> None:
    """Ask the service at URL the open questions, the free ones first, and find which alternative of each it follows.

    Without a budget only what every service refuses is sent, and if one takes it all the same, nothing more that could cost. With
    one, tasks too that fail on their pictures, which is not charged, but is held to be until it is known. `serve --answers FILE` and `klingkit.mock(answers=...)` behave as the service answered.
    """
    from pathlib import Path

    from klingkit.contract.answers import save_answers

    from .probing import answers_of, ask
    from .run_options import prepare

    contract = contract_named(name)
    target, _ = prepare(url, contract, real=real, key=key, other_key=None, budget=Decimal(0), only=None)
    target.key = key or target.key
    asked = ask(target, contract.choice, budget)
    for one in asked:
        click.echo(_told(one))
    if not any(one.replies for one in asked):
        raise WrongUsage(f"nothing could be asked: {asked[0].problem}")
    if out:
        try:
            save_answers(answers_of(asked, contract, target.url), Path(out))
        except OSError as error:
            raise CommandFailed(f"{out}: {error.strerror}") from None
    settled = sum(bool(one.alternative) for one in asked)
    click.echo(
        f"{settled} of {len(contract.assumptions)} questions are settled{f'; the answers are in {out}' * bool(out)}"
    )


def _told(one: Asked) -> str:
    """Say what came of a probe, in a line."""
    from klingkit.contract.printable import printable

    came = one.problem or "; ".join(one.came)
    return printable(f"{one.probe.assumption}: {one.alternative or 'open'} ({came})")
