"""The commands that steer a simulator: its time, its scenarios, its accounts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from .command_errors import WrongUsage
from .completing import complete
from .control_options import control_options, controlled, json_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from .control_options import ControlOptions

Json = dict[str, Any]
NONE = "none"
"""Says of an option of `account`: unlimited, or none."""


def print_clock(clock: Json, *, as_json: bool) -> None:
    """Print the time, and what happened on the way to it."""
    from .terminal import moment, print_json, print_line, print_table

    if as_json:
        print_json(clock)
        return
    if clock["events"]:
        print_table(("at (UTC)", "event", "what"), map(event_row, clock["events"]))
    whose = "the account's own clock" if clock["own"] else "the server's clock"
    print_line(f"{moment(clock['now'])} UTC, {'stands still' if clock['frozen'] else 'runs'}, {whose}")


def event_row(event: Json) -> tuple[str, str, str]:
    """Return the cells of what happened on the way of a clock."""
    from .terminal import moment

    said = [f"{name.replace('_', ' ')} {event[name]}" for name in event if name not in {"at", "event"} and event[name]]
    return moment(event["at"]), event["event"], ", ".join(said)


@click.command(short_help="Show the clock of a simulator.")
@json_option
@control_options
def clock(*, as_json: bool, simulator: ControlOptions) -> None:
    """Show the time of the account, or of the server, and what happens next by it."""
    with controlled(simulator) as control:
        found = control.clock()
        print_clock(found, as_json=as_json)
    for event in () if as_json else found["ahead"][:1]:
        click.echo(f"next: {', '.join(event_row(event))}")


@click.command(short_help="Let the clock of a simulator stand still.")
@json_option
@control_options
def freeze(*, as_json: bool, simulator: ControlOptions) -> None:
    """Let the clock of the account, or of the server, stand still."""
    with controlled(simulator) as control:
        print_clock(control.freeze(), as_json=as_json)


@click.command(short_help="Let the clock of a simulator go on.")
@json_option
@control_options
def resume(*, as_json: bool, simulator: ControlOptions) -> None:
    """Let the clock of the account, or of the server, go on from where it is."""
    with controlled(simulator) as control:
        print_clock(control.resume(), as_json=as_json)


@click.command(short_help="Move the clock of a simulator.")
@click.argument("when", metavar="DURATION|next|idle|TIME", shell_complete=complete("when"))
@json_option
@control_options
def advance(when: str, *, as_json: bool, simulator: ControlOptions) -> None:
    """Move the clock of the account, or of the server, and print what happened on the way; it stands still then.

    By a duration such as 20m; to the `next` event; until `idle`, when nothing lies ahead; or to a time such as 2026-01-01T12:00:00Z
    or Unix ms.
    """
    is_duration = re.fullmatch(r"[\d.]+ *[a-z]+", when)
    to: int | str = int(when) if re.fullmatch(r"[0-9]{1,16}", when) else when
    with controlled(simulator) as control:
        events = control.advance(when) if is_duration else control.advance_to(to)
        print_clock({**control.clock(), "events": events}, as_json=as_json)


@click.command(short_help="Let a scenario apply to the next requests.")
@click.argument("scenario", shell_complete=complete("scenario"))
@click.option("--times", default=1, type=click.IntRange(1, 1_000_000), show_default=True, help="To so many requests.")
@click.option(
    "--operation", default="create_task", show_default=True, shell_complete=complete("operation"), help="For this one."
)
@json_option
@control_options
def queue(scenario: str, *, times: int, operation: str, as_json: bool, simulator: ControlOptions) -> None:
    """Let a SCENARIO apply to the next requests, and print what is queued; `klingkit scenarios` lists them."""
    from .terminal import print_json, print_table

    with controlled(simulator) as control:
        queued = control.scenario(scenario, times=times, operation=operation)
    if as_json:
        print_json(queued)
    else:
        names = ("account", "operation", "scenario", "times")
        print_table(names, [[entry[name] or "all" for name in names] for entry in queued])


@click.command(short_help="Forget what a simulator holds.")
@json_option
@control_options
def reset(*, as_json: bool, simulator: ControlOptions) -> None:
    """Forget everything of the account, its settings, clock and seed too; without a key everything of everybody."""
    from .terminal import print_json

    with controlled(simulator) as control:
        control.reset()
        health = control.health()
    if as_json:
        print_json(health)
    else:
        click.echo(
            "that account begins anew" if simulator.is_one else "everything was forgotten: the server begins anew"
        )


def setting(name: str, help_text: str, **settings: Any) -> Callable[[Any], Any]:
    """Return an option of `account` for a setting of the control API, which says what is valid."""
    return click.option(name, help=help_text, **settings)


@click.command(short_help="Show or change the settings of an account.")
@setting("--balance", "Money that it has; none: unlimited.", metavar="AMOUNT")
@setting("--quota", "What it may spend; none: unlimited.", metavar="AMOUNT")
@setting("--concurrency", "Slots that it has; none: unlimited.", metavar="N")
@setting("--requests", "Requests that it may send in a window; none: unlimited.", metavar="N")
@setting("--window", "Of --requests: a duration, such as 60s.", metavar="DURATION")
@setting("--disabled/--enabled", "Refuse its key, as one that was disabled.", default=None)
@setting("--expired/--not-expired", "Refuse its key, as one that has expired.", default=None)
@setting("--progression", "What moves its tasks along.", shell_complete=complete("progression"))
@setting("--scenario", "Default scenario of its creates.", shell_complete=complete("scenario"))
@setting("--query-scenario", "Default scenario of its queries.", shell_complete=complete("scenario"))
@setting("--callback-retries", "Retry schedule of its callbacks.", shell_complete=complete("retry_schedule"))
@setting("--contract", "By which it is answered.", shell_complete=complete("contract"), metavar="NAME")
@setting("--plain-generation/--no-plain-generation", "Whether a create without subjects makes a picture.", default=None)
@setting(
    "--assume",
    "Answer this open question so, and those left out as the server does; repeat for more.",
    multiple=True,
    metavar="ID=ALTERNATIVE",
    shell_complete=complete("assume"),
)
@json_option
@control_options
def account(*, as_json: bool, simulator: ControlOptions, **settings: Any) -> None:
    """Show money, slots and settings of the account, or of the server; what is given is set before. `none` takes a value away.

    The secret that signs callbacks is not among them: `klingkit serve` takes it from the environment.
    """
    from .terminal import print_json, print_table

    changes = {name: typed(name, value) for name, value in settings.items() if value not in (None, ())}
    with controlled(simulator) as control:
        found = control.configure(**changes) if changes else control.account()
    if as_json:
        print_json(found)
        return
    rows = [(name.replace("_", " "), shown(value)) for name, value in found.items()]
    print_table(("setting", "value"), rows)


def typed(name: str, value: Any) -> Any:
    """Return what was given for a setting as JSON has it."""
    if value == NONE:
        return None
    if value == (NONE,):
        return {}
    if name == "assume":
        from klingkit.contract.choice import parse_assumptions

        try:
            return dict(parse_assumptions(value))
        except ValueError as error:
            raise WrongUsage(f"--assume {error}") from None
    if name in {"concurrency", "requests"}:
        if not re.fullmatch("[0-9]{1,10}", value):
            raise WrongUsage(f"--{name} {value!r} is neither a whole number nor none")
        return int(value)
    return value


def shown(value: Any) -> str:
    """Return a setting as text."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={each}" for name, each in value.items()) or NONE
    words = {None: NONE, True: "yes", False: "no"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
