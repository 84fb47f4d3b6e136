"""`klingkit completion`: the script by which a shell asks for what `completing` knows."""

from __future__ import annotations

import click

from .command_errors import CommandFailed

SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print what makes a shell complete klingkit's commands.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    r"""Print the script that makes a SHELL complete commands, options and names.

    \b
    bash, in ~/.bashrc:  eval "$(klingkit completion bash)"
    zsh, in ~/.zshrc:    eval "$(klingkit completion zsh)"
    fish:                klingkit completion fish > ~/.config/fish/completions/klingkit.fish
    """
    from click.shell_completion import get_completion_class

    from .cli import main

    found = get_completion_class(shell)
    if found is None:
        raise CommandFailed(f"click has no completion for {shell}")
    click.echo(found(main, {}, "klingkit", "_KLINGKIT_COMPLETE").source(), nl=False)
