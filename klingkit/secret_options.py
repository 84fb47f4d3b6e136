"""Options that hold a secret: each can come from the environment, which no list of processes shows, and says so first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable


def secret_option(*names: str, variable: str, help_text: str, **settings: Any) -> Callable[[Any], Any]:
    """Return an option for a secret that is better given as an environment variable."""
    return click.option(
        *names,
        envvar=variable,
        help=f"Better as {variable} in the environment: others can see the arguments of a command. {help_text}",
        **settings,
    )
