"""The commands around what is not known of the real service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .command_errors import CommandFailed, money
from .contract_option import contract_option
from .report_files import check_writable
from .run_options import INCOMPLETE, check_usable, key_options, prepare

if TYPE_CHECKING:
    from decimal import Decimal

    from klingkit.contract import Assumption, Contract

    from .probing import Asked


@click.command(short_help="List what is not known of the real service.")
@contract_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def assumptions(*, contract: Contract, as_json: bool) -> None:
    """List the open questions about the real service, the answers that each can have, which of them is taken, and what would settle it.

    Another answer than the default is taken with `serve --assume ID=ALTERNATIVE`.
    """
    rows = [_row(entry) for entry in contract.assumptions]
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
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the answers to this file.")
@click.option("--budget", type=money, metavar="AMOUNT", default="0", show_default=True, help="What may be spent.")
@click.option("--real", is_flag=True, help="Needed for anything that is not on this machine.")
@key_options
def probe(url: str, *, contract: Contract, out: Path | None, budget: Decimal, real: bool, **keys: Any) -> None:
    """Ask the service at URL the open questions, the free ones first, and find which alternative of each it follows.

    Without a budget only what every service refuses is sent, and if one takes it all the same, nothing more that could cost. With
    one, tasks too that fail on their pictures, which is not charged, but is held to be until it is known. `serve --answers FILE` and
    `klingkit.mock(answers=...)` behave as the service answered.

    Exits with 0 if all was asked that was to be; 1 if the answers could not be written; 2 if nothing could be asked, as when the key is
    refused; 3 if some of it got no answer.
    """
    from .probing import ask

    check_writable("--out", out)
    target, options = prepare(url, contract, real=real, other_key=None, budget=budget, only=None, **keys)
    target.key = options.key
    check_usable(target, contract, options)
    asked = ask(target, contract.choice, budget)
    for one in asked:
        click.echo(_told(one))
    for entry in contract.assumptions:
        if entry.id not in {one.probe.assumption for one in asked}:
            why = f"has no other answer: {entry.fixed}" if entry.fixed else "no request that may be sent shows it"
            click.echo(f"{entry.id}: open (not asked: {why})")
    if out:
        _save(asked, contract, target.url, out)
    settled = sum(bool(one.alternative) for one in asked)
    click.echo(
        f"{settled} of {len(contract.assumptions)} questions are settled{f'; the answers are in {out}' * bool(out)}"
    )
    if any(one.unanswered for one in asked):
        raise click.exceptions.Exit(INCOMPLETE)


def _save(asked: list[Asked], contract: Contract, url: str, out: Path) -> None:
    from klingkit.contract.assumption_answers import save_answers

    from .probing import answers_of

    try:
        save_answers(answers_of(asked, contract, url), out)
    except OSError as error:
        raise CommandFailed(f"{out}: {error.strerror}") from None


def _told(one: Asked) -> str:
    """Say what came of a probe, in a line."""
    from klingkit.contract.printable import printable

    came = one.problem or "; ".join(one.came)
    if one.replies and not one.alternative:
        came += f": fits {' as well as '.join(one.fits) or 'no alternative'}"
    return printable(f"{one.probe.assumption}: {one.alternative or 'open'} ({came})")
