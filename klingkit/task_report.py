"""A task of a simulator, and callbacks, for people at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .journal_lines import reasons
from .terminal import coloured, moment, print_line, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Json = dict[str, Any]


def print_task(task: Json, requests: Iterable[Json]) -> None:
    """Print a task with what was planned beside what happened, and its requests that say why it failed."""
    print_line(f"task {task['task_id']}: ", coloured(task["status"]))
    named = ("account", "contract", "external_task_id", "scenario", "progression", "cost", "request_id", "callback_url")
    print_table(("", ""), [(f"  {name.replace('_', ' ')}", task[name]) for name in named if task[name]])
    planned, happened = (task["timeline"][name] for name in ("planned", "happened"))
    there = {step["status"]: moment(step["at"]) for step in happened}
    rows = [
        (step["status"], moment(step["at"], "when moved"), there.get(step["status"], "not yet")) for step in planned
    ]
    print_table(("status", "planned (UTC)", "happened (UTC)"), rows)
    print_polls(task["timeline"]["polls"])
    for line in dict.fromkeys(line for entry in requests for line in reasons(entry)):
        print_line(line)
    if task["timeline"]["callbacks"]:
        print_callbacks(task["timeline"]["callbacks"])
    elif task["callback_url"]:
        print_line("callbacks: none yet")


def print_polls(polls: Sequence[Json]) -> None:
    """Say how often a task was asked for, and when last."""
    last = f", the last at {moment(polls[-1]['at'])} (request {polls[-1]['request']})" if polls else ""
    print_line(f"polls: {len(polls)}{last}")


def print_callbacks(found: Iterable[Json]) -> None:
    """Print callbacks with what came of the last attempt of each."""
    heads = ("callback", "task", "of status", "outcome", "attempts", "last attempt (UTC)", "answered", "next (UTC)")
    print_table(heads, map(_callback_row, found))


def _callback_row(delivery: Json) -> Sequence[Any]:
    last: Json = delivery["attempts"][-1] if delivery["attempts"] else {"at": None, "http_status": None, "problem": ""}
    answered = last["problem"] or (f"HTTP {last['http_status']}" if last["http_status"] else "")
    tried = len(delivery["attempts"]), moment(last["at"]), answered, moment(delivery["due_at"])
    return delivery["id"], delivery["task_id"], delivery["status"], delivery["outcome"], *tried
