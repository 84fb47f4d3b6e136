"""A task of a simulator, and callbacks, for people at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .journal_lines import advised, reasons
from .terminal import coloured, moment, print_line, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Json = dict[str, Any]
FACTS = (
    "account",
    "contract",
    "external_task_id",
    "progression",
    "prompt",
    "n",
    "aspect_ratio",
    "request_id",
    "callback_url",
)


def print_task(task: Json, requests: Iterable[Json]) -> None:
    """Print a task: what was asked, what was planned beside what happened, why it failed, its polls and callbacks."""
    print_line(f"task {task['task_id']}: ", coloured(task["status"]), f", {task['message']}" * bool(task["message"]))
    print_table(("", ""), [(f"  {name}", value) for name, value in facts(task) if value])
    there = {step["status"]: moment(step["at"]) for step in task["timeline"]["happened"]}
    planned = task["timeline"]["planned"]
    rows = [
        (step["status"], moment(step["at"], "when moved"), there.get(step["status"], "not yet")) for step in planned
    ]
    print_table(("status", "planned (UTC)", "happened (UTC)"), rows)
    for line in lines_below(task, requests):
        print_line(line)
    if task["timeline"]["callbacks"]:
        print_callbacks({**delivery, "task_id": ""} for delivery in task["timeline"]["callbacks"])
    if task["callbacks_why"]:
        print_line(f"callbacks: {task['callbacks_why']}")


def facts(task: Json) -> Iterator[tuple[str, Any]]:
    """Yield what is known of a task, each with its name."""
    yield from ((name.replace("_", " "), task[name]) for name in FACTS)
    source = f", from {task['scenario_source']}" * bool(task["scenario_source"])
    yield "scenario", task["scenario"] and task["scenario"] + source
    yield "cost", f"{task['cost']} {task['currency']}" + ", given back" * (task["status"] == "failed")
    for picture in task["inputs"]:
        size = f"{picture['width']} x {picture['height']}" if picture["width"] else "Base64"
        yield picture["role"], picture["url"] or size
    for picture in task["results"]:
        yield "result", picture["url"] or picture["address"]


def lines_below(task: Json, requests: Iterable[Json]) -> Iterator[str]:
    """Yield why a task fails, by its scenario, by the rule and by its requests, how often it was asked for, and what was done to its clock."""
    if task["scenario_why"]:
        yield f"fails since {task['scenario_why']}"
    if task["failure"]:
        yield from explained(task["failure"])
    said = (reasons(entry) if entry["status"] >= 400 else advised(entry) for entry in requests)
    yield from dict.fromkeys(line for lines in said for line in lines)
    polls = task["timeline"]["polls"]
    yield f"polls: {len(polls)}" + (f", the last at {moment(polls[-1]['at'])}" if polls else "")
    for move in task["timeline"]["moves"]:
        yield f"clock: {move['by']} from {moment(move['from'])} to {moment(move['to'])}"


def explained(why: Json) -> Iterator[str]:
    """Yield why a rule was broken, where it stands, how well each aspect of it is known, and what is open about it."""
    yield f"fails by {why['rule']} ({why['spec']}): {why['why'] or why['says']}"
    for aspect in why["aspects"]:
        yield f"  {aspect['aspect']}: {aspect['grade']}, {aspect['title']} ({aspect['date']})"
    for question in why["assumptions"]:
        yield f"  open question {question['id']}: {question['question']} Taken: {question['taken']}"


def print_callbacks(found: Iterable[Json]) -> None:
    """Print callbacks with what came of the last attempt of each."""
    print_table(
        ("callback", "task", "of status", "outcome", "attempts", "last (UTC)", "came of it", "next (UTC)"),
        map(_callback_row, found),
    )


def _callback_row(delivery: Json) -> Sequence[Any]:
    last: Json = delivery["attempts"][-1] if delivery["attempts"] else {"at": None, "http_status": None, "why": ""}
    came = last["why"] or (f"HTTP {last['http_status']}" if last["http_status"] else "")
    tried = len(delivery["attempts"]), moment(last["at"]), came, moment(delivery["due_at"])
    return delivery["id"], delivery["task_id"], delivery["status"], delivery["outcome"], *tried


def remedies(found: Iterable[Json]) -> Iterator[str]:
    """Yield, each once, why attempts failed and what to do about it."""
    attempts = (attempt for delivery in found for attempt in delivery["attempts"] if attempt["do"])
    yield from dict.fromkeys(f"{attempt['why']}: {attempt['do']}" for attempt in attempts)
