"""Tables and lines for people, of what a simulator says: it is shown, fits the terminal, and does nothing there."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from klingkit.contract.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.text import Text

WIDE = 1000
"""Columns of what goes to no terminal: each row is one line there, for grep."""
COLOURS = {
    "succeed": "green",
    "delivered": "green",
    "failed": "red",
    "given_up": "red",
    "refused": "red",
    "pending": "yellow",
    "processing": "yellow",
}
"""Of the words that stand in a table; the word says the same."""


def print_json(value: Any) -> None:
    """Print JSON in one line, in ASCII, so that nothing in it does anything on a terminal."""
    click.echo(json.dumps(value))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows of texts under their heads, without the columns in which no row has any; what is too wide goes on in the next line."""
    from rich.table import Table

    cells = [[str(cell) for cell in row] for row in rows]
    used = [place for place in range(len(heads)) if not cells or any(row[place] for row in cells)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=any(heads))
    for place in used:
        table.add_column(heads[place], overflow="fold")
    for row in cells:
        table.add_row(*(coloured(row[place]) for place in used))
    _print(table)


def print_line(*parts: str | Text) -> None:
    """Print parts as one line, however wide."""
    from rich.text import Text

    line = Text.assemble(*(Text(printable(part)) if isinstance(part, str) else part for part in parts))
    _print(line, soft_wrap=True)


def coloured(text: str, style: str = "") -> Text:
    """Return a text that has the colour of its first word, if that has one, or a style."""
    from rich.text import Text

    return Text(printable(text), style or COLOURS.get(text.partition(" ")[0], ""))


def _print(what: Any, **how: Any) -> None:
    from rich.console import Console

    console = Console(highlight=False, emoji=False)
    if console.is_terminal:
        console.print(what, **how)
        return
    plain = Console(highlight=False, emoji=False, width=WIDE)
    with plain.capture() as captured:
        plain.print(what, **how)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
    if sys.stdout:  # none where it was closed before the start
        sys.stdout.flush()  # who follows through a pipe waits for it


def moment(ms: int | None, none: str = "") -> str:
    """Return a time of the simulator as text, in UTC."""
    return none if ms is None else f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]


def clipped(text: str, most: int = 40) -> str:
    """Return the beginning of a text that has more letters than a table has room for."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
