"""The commands that show what a simulator holds: tasks, callbacks, requests, and what they say of the client."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from .command_errors import CommandFailed, WrongUsage
from .completing import complete
from .control_options import control_options, controlled, json_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .control_options import ControlOptions

Json = dict[str, Any]
SHOWN = 3
"""Requests that are shown of those with equal advice."""


def limit_option(shown: int) -> Callable[[Any], Any]:
    """Return the option that says how many are shown."""
    return click.option(
        "--limit", default=shown, type=click.IntRange(1, 1000), show_default=True, help="At most so many."
    )


def given(**options: Any) -> Json:
    """Return the options that were given: the control API has the filters, and says what is wrong with one."""
    return {name: value for name, value in options.items() if value is not None}


@click.command(short_help="List the tasks of a simulator.")
@click.option("--status", shell_complete=complete("status"), help="Only those that have it now.")
@click.option("--scenario", shell_complete=complete("scenario"), help="Only those that it applied to.")
@click.option("--text", help="Only those with it in prompt, external id or task id.")
@limit_option(20)
@json_option
@control_options
def tasks(*, limit: int, as_json: bool, simulator: ControlOptions, **filters: str | None) -> None:
    """List the tasks that a simulator holds, newest first."""
    from .terminal import print_json, print_table

    with controlled(simulator) as control:
        found = control.tasks(order="newest", limit=limit, **given(**filters))
    if as_json:
        print_json(found)
        return
    heads = ("task", "status", "made (UTC)", "account", "scenario", "external id", "callbacks", "prompt")
    print_table(heads, map(task_row, found))
    say_limit(found, limit)


def say_limit(found: Sequence[Json], limit: int) -> None:
    """Say, beside the table, that there may be more."""
    if len(found) == limit:
        click.echo(f"the newest {limit}; --limit shows more", err=True)


def task_row(task: Json) -> Sequence[str]:
    """Return the cells of a task."""
    from .terminal import clipped, moment

    outcomes = [delivery["outcome"] for delivery in task["timeline"]["callbacks"]]
    callbacks = ", ".join(f"{outcomes.count(each)} {each}" for each in dict.fromkeys(outcomes))
    names = task["account"], task["scenario"] or "", clipped(task["external_task_id"])
    made = moment(task["timeline"]["happened"][0]["at"])
    return task["task_id"], task["status"], made, *names, callbacks, clipped(task["prompt"])


@click.command(short_help="Show a task of a simulator: planned, happened, and why.")
@click.argument("task_id", metavar="ID|latest", shell_complete=complete("task"))
@json_option
@control_options
def task(task_id: str, *, as_json: bool, simulator: ControlOptions) -> None:
    """Show the task of an id, or the latest: what was planned beside what happened, why it failed, its polls and callbacks."""
    from .task_report import print_task
    from .terminal import print_json

    with controlled(simulator) as control:
        found = control.task(task_id)
        if as_json:
            print_json(found)
        else:
            print_task(found, control.journal(task_id=found["task_id"], limit=1000))


@click.command(short_help="List the callbacks of a simulator.")
@click.option("--task-id", help="Only those of this task; latest is one too.")
@click.option("--outcome", help="Only those of which this came: pending, delivered, given_up or refused.")
@limit_option(20)
@json_option
@control_options
def callbacks(*, limit: int, as_json: bool, simulator: ControlOptions, **filters: str | None) -> None:
    """List the callbacks that a simulator owes, has delivered or gave up, newest first, with what came of the last attempt."""
    from .task_report import print_callbacks, remedies
    from .terminal import print_json, print_line

    with controlled(simulator) as control:
        found = control.deliveries(order="newest", limit=limit, **given(**filters))
    if as_json:
        print_json(found)
        return
    print_callbacks(found)
    for line in remedies(found):
        print_line(line)
    say_limit(found, limit)


@click.command(short_help="Show the requests that came to a simulator.")
@click.option("--operation", shell_complete=complete("operation"), help="Only requests for this operation.")
@click.option("--rule", shell_complete=complete("rule"), help="Only what this rule refused.")
@click.option("--status", type=int, help="Only answers with this HTTP status.")
@click.option("--refused/--not-refused", default=None, help="Only what was answered with an error, or only the rest.")
@click.option("--task-id", help="Only requests about this task; latest is one too.")
@click.option("--text", help="Only requests with it in path, ids, body, answer, rule or advice.")
@click.option(
    "--follow", is_flag=True, help="Go on with those that come, until Ctrl-C; --json prints an object a line then."
)
@limit_option(20)
@json_option
@control_options
def journal(
    *,
    limit: int,
    follow: bool,
    refused: bool | None,
    as_json: bool,
    simulator: ControlOptions,
    **filters: str | int | None,
) -> None:
    """Show the last requests that came to a simulator, the newest at the end: what was answered, why it was refused, and advice."""
    from .journal_lines import followed, print_entry
    from .terminal import print_json

    wanted = given(refused=None if refused is None else str(refused).lower(), **filters)
    with controlled(simulator) as control:
        found = control.journal(order="newest", limit=limit, **wanted)[::-1]
        if as_json and not follow:
            print_json(found)
            return
        show = print_json if as_json else print_entry
        for entry in found:
            show(entry)
        if follow:
            with suppress(KeyboardInterrupt):
                for entry in followed(control, wanted, found[-1]["number"] if found else 0):
                    show(entry)


def advice_lines(found: list[dict[str, Any]]) -> Iterator[str]:
    """Yield advice with what it is about: of what is to be done about many requests, the first three."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for hint in found:
        groups.setdefault((hint["kind"], hint["do"]), []).append(hint)
    for (kind, do), hints in groups.items():
        for hint in hints[:SHOWN]:
            yield f"{kind} (request {hint['request']}): {hint['text']}"
        if len(hints) > SHOWN:
            yield f"{kind}: {len(hints) - SHOWN} more, which --json lists"
        yield f"  {do}"


@click.command(short_help="Name likely mistakes of a client.")
@json_option
@control_options
def advice(*, as_json: bool, simulator: ControlOptions) -> None:
    """Name likely mistakes of a client, as the simulator's journal shows them; exits with 1 if there are any."""
    from klingkit.contract.printable import printable

    from .terminal import print_json

    with controlled(simulator, failed=WrongUsage) as control:
        requests = len(control.journal())
        found = control.advice()
    if not requests:
        raise WrongUsage(
            "no requests" + " of that account" * simulator.is_one + " have come yet, so there is nothing to judge"
        )
    if as_json:
        print_json(found)
    elif not found:
        click.echo(f"no mistakes found; requests: {requests}")
    for line in () if as_json else advice_lines(found):
        click.echo(printable(line))
    if found:
        raise click.exceptions.Exit(CommandFailed.exit_code)
