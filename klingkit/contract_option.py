"""The option that says which contract a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .command_errors import WrongUsage
from .completing import complete

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.contract import Contract


def contract_option(command: Callable[..., Any]) -> Any:
    """Add the option; the command gets the contract, compiled."""
    return click.option(
        "--contract",
        metavar="NAME",
        default="cometapi",
        show_default=True,
        shell_complete=complete("contract"),
        callback=lambda _, __, text: contract_of(text),
        help="`klingkit contract list` has them; +plain-generation after the name adds that.",
    )(command)


def contract_of(text: str, option: str = "--contract") -> Contract:
    """Return the contract of a name with what is chosen beside. Raises WrongUsage, which names the valid ones."""
    from klingkit.contract import UnknownChoiceError, load_contract

    try:
        return load_contract(text)
    except UnknownChoiceError as error:
        raise WrongUsage(f"{option}: {error}") from None
