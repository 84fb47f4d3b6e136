"""Options of `serve` that can have no effect beside others: refused, since whoever gives one counts on it."""

from __future__ import annotations

import click

from .command_errors import WrongUsage


def refuse_idle(served: str) -> None:
    """Refuse what the running command was given in vain, in one line that says what to do instead."""
    values = click.get_current_context().params
    if values["no_control"] and values["control_token"]:
        raise WrongUsage("--control-token guards the control API, and --no-control leaves it out: give one of them")
    if values["allow_fetch"] and not values["fetch_inputs"]:
        raise WrongUsage("--allow-fetch does nothing without --fetch-inputs: give both, or neither")
    if values["access_keys"] or values["secret_keys"]:
        _refuse_pairs(served)


def _refuse_pairs(served: str) -> None:
    """Refuse pairs of keys where no contract takes signed tokens."""
    from klingkit.mock_server.contracts import Contracts

    try:
        contracts = Contracts(served).served
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    if not any(contract.jwt for contract in contracts):
        raise WrongUsage(
            f"the contract {served} takes keys and no signed tokens: give --key in place of --access-key and --secret-key, "
            "or --contract kling"
        )
