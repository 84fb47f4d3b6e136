"""The options that say which simulator a command sees and steers, and for whom; and the control that they make."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from .command_errors import LOCAL, CommandFailed, OneLine, WrongUsage
from .ending import is_of_output
from .secret_options import secret_option
from .service_options import place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from klingkit.mock_server.control.client import Control


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """What the options say; without key and account it is the server that is meant."""

    url: str
    account: str | None
    key: str | None = field(repr=False)
    control_token: str | None = field(repr=False)

    @property
    def is_one(self) -> bool:
        """Whether one account is meant, and not everybody."""
        return bool(self.key or self.account)


def control_options(command: Any) -> Any:
    """Add the options that choose simulator and account; the command gets them as `simulator`."""

    @click.option(
        "--url",
        "--base-url",
        envvar="COMETAPI_BASE_URL",
        show_envvar=True,
        default=LOCAL,
        show_default=True,
        help="The simulator.",
    )
    @secret_option(
        "--key",
        variable="KLINGKIT_ACCOUNT_KEY",
        help_text="The account of this key, its clock too; without a key everybody, and the server's clock.",
    )
    @click.option(
        "--account", metavar="NAME", help="The account of this name, as the lists show it, in place of --key."
    )
    @secret_option("--control-token", variable="KLINGKIT_CONTROL_TOKEN", help_text="If the simulator has one.")
    @wraps(command)
    def with_simulator(**options: Any) -> Any:
        said = {entry.name: options.pop(entry.name) for entry in fields(ControlOptions)}
        return command(simulator=ControlOptions(**said), **options)

    return with_simulator


def json_option(command: Any) -> Any:
    """Add the option that prints what the control API answers, as it is."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


@contextmanager
def controlled(simulator: ControlOptions, failed: type[OneLine] = CommandFailed) -> Iterator[Control]:
    """Give the control of a simulator. What it refuses ends the command: as wrong usage if that is what it says, else as `failed`."""
    from klingkit.mock_server.control.asking import ControlError
    from klingkit.mock_server.control.client import Control

    from .steerable import TOKEN, check_steered, with_remedy

    place(simulator.url, "--url")
    try:
        control = Control.over_http(
            simulator.url, key=simulator.key, token=simulator.control_token, account=simulator.account
        )
        check_steered(control, simulator.url)
        yield control
    except ControlError as error:
        said = with_remedy(error)
        said += ", or give --control-token" if said.endswith(TOKEN) else ""
        raise (WrongUsage if error.http == 400 else failed)(said) from None
    except ConnectionError as error:
        if is_of_output(error):
            raise
        raise failed(f"{error}: start one with `klingkit serve`, or name another with --url") from None
