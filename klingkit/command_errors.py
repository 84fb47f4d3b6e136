"""What all commands share: how one ends that does not succeed, and what an option may be."""

from __future__ import annotations

import math
import re
from decimal import Decimal

import click

LOCAL = "http://127.0.0.1:8000"


class OneLine(click.ClickException):
    """What ends a command, in one line; what it quotes of a service or a file can be printed."""

    def __init__(self, message: str) -> None:
        from klingkit.contract.printable import printable

        super().__init__(printable(message))


class CommandFailed(OneLine):
    """What was asked for did not happen."""

    exit_code = 1


class WrongUsage(OneLine):
    """The command cannot be carried out as it was given."""

    exit_code = 2


class TimedOut(OneLine):
    """The task did not end in time."""

    exit_code = 3


def finite(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    """Refuse nan, which no range does."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a number that can be used")
    return value


def money(text: str) -> Decimal:
    """Return an amount such as `5` or `0.50`."""
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text):
        raise click.BadParameter(f"{text!r} is not an amount, such as 0.50")
    return Decimal(text)
