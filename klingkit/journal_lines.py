"""The journal, in lines for people; and as it goes on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import click

from .terminal import coloured, moment, print_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from klingkit.mock_server.control.client import Control

UNAVAILABLE = 503
"""What a server answers that cannot use its database."""
PAUSE_S = 0.5
"""Between two looks: who waits at the server holds one of its few threads."""


def print_entry(entry: dict[str, Any]) -> None:
    """Print a request, and below it why it was refused and what advice it gave rise to."""
    status = coloured(str(entry["status"]), "red" if entry["status"] >= 400 else "green")
    about = "".join(f"  {entry[name]}" for name in ("account", "task_id") if entry[name])
    print_line(f"{entry['number']}  {moment(entry['at'])}  ", status, f"  {entry['method']} {entry['path']}{about}")
    for line in reasons(entry):
        print_line(f"    {line}")


def reasons(entry: dict[str, Any]) -> Iterator[str]:
    """Yield in words what was done to a request beside answering it, and why."""
    refused = entry["status"] >= 400
    if why := entry["why"]:
        grade = next((each["grade"] for each in why["aspects"] if each["aspect"] == "answer"), "unknown")
        yield f"{'refused' if refused else 'failed'} by {why['rule']} ({grade}): {why['why'] or words_of(entry['answer'])}"
    elif refused:
        yield f"refused: {words_of(entry['answer'])}"
    if entry["scenario"]:
        name, _, source = entry["scenario"].partition("; source=")
        yield f"scenario {name}" + f", chosen by {source}" * bool(source)
    if entry["fault"]:
        yield f"fault {entry['fault']}"
    yield from advised(entry)


def advised(entry: dict[str, Any]) -> Iterator[str]:
    """Yield what a request shows that the client does wrong, and what to do."""
    for advice in entry["advice"]:
        yield f"advice: {advice['text']}; {advice['do']}"


def words_of(answer: Any) -> str:
    """Return the text that an answer gives as its reason, with its code; of a task that failed, the task's."""
    if not isinstance(answer, dict):
        return " ".join(str(answer or "no body").split())[:300]
    found = answer.get("error", answer)
    task = answer.get("data")
    if isinstance(task, dict) and task.get("task_status_msg"):
        return str(task["task_status_msg"])
    if not isinstance(found, dict):
        return str(found)
    return f"{found.get('message', '')} ({found.get('code') or found.get('type') or 'no code'})"


def followed(control: Control, wanted: dict[str, Any], after: int) -> Iterator[dict[str, Any]]:
    """Yield the requests with a higher number as they come, for ever; say in one line when the server goes away, and when it is back."""
    from klingkit.mock_server.control.asking import ControlError

    away = False
    while True:
        try:
            found = control.journal(**wanted, after=after)
            if not found and newest(control) < after:  # reset, or started again without its state
                found = control.journal(**wanted)
        except (ConnectionError, ControlError) as error:
            if isinstance(error, ControlError) and error.http != UNAVAILABLE:
                raise
            if not away:
                click.echo("the server went away; waiting for it", err=True)
            away = True
        else:
            if away:
                click.echo("the server is back", err=True)
            away = False
            for entry in found:
                after = entry["number"]
                yield entry
        threading.Event().wait(PAUSE_S)


def newest(control: Control) -> int:
    """Return the number of the last request; of none at all, one that no request has."""
    number: int = next((entry["number"] for entry in control.journal(order="newest", limit=1)), 2**53)
    return number
