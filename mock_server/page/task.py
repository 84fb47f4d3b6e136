"""One task: its planned life beside what happened, its pictures, why it fails, and its create once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .again import again
from .task_pictures import pictures
from .timeline import timeline

if TYPE_CHECKING:
    from .ask import Ask

ADVICE, REQUESTS = 5, 200
"""Kinds that are shown, and requests of a task, its create first, that they are looked for among."""
LONG = 600
"""Characters of a prompt from which on it is folded."""
SOURCES = {
    "prefer": "the header Prefer of its create",
    "queue": "the queue",
    "prompt": "its prompt",
    "account": "the default of its account",
    "server": "the default of the server",
}
"""Where a scenario came from."""
MOVED_BY = {"polls": "each query moves it a step", "manual": "only a hand moves it: the button, or move_task"}
"""What moves a task that time does not."""


def show(ask: Ask) -> dict[str, Any]:
    """Return one task, by its id or as the `latest`."""
    task = ask.call("get_task", task_id=ask.rest or "latest")
    planned = task["timeline"]["planned"]
    at_its_last = len(task["timeline"]["happened"]) == len(planned)
    return {
        "task": task,
        "is_latest": ask.rest in {"", "latest"},
        "begun": planned[0]["at"],
        "now": planned[0]["at"] + task["age_ms"],
        "long": LONG,
        "scenario": (task["scenario"] or "").partition("@")[0].partition(":")[0],
        "advice": _advice(ask, task["task_id"]),
        "source": SOURCES.get(task["scenario_source"], ""),
        "moved_by": MOVED_BY.get(task["progression"], ""),
        "cannot_move": _why_not(task) if at_its_last else "",
        "failed": task["ended"] and bool(task["message"]),
        "pictures": pictures(task),
        "line": timeline(task),
        "again": again(task, ask.origin),
    }


def _advice(ask: Ask, task_id: str) -> list[dict[str, Any]]:
    """Return what the requests of a task could do otherwise, each kind once, by the first that shows it."""
    own = {entry["number"] for entry in ask.call("list_journal", task_id=task_id, limit=REQUESTS)["entries"]}
    kinds = {
        advice["kind"]: advice
        for advice in reversed(ask.call("get_advice"))
        if advice["request"] in own or task_id in advice["text"].replace(",", "").split()
    }
    return [*kinds.values()][::-1][:ADVICE]


def _why_not(task: dict[str, Any]) -> str:
    """Say why a task goes no step further."""
    if task["ended"]:
        return f"It has ended: {task['status']} is where its plan ends."
    return f"Its scenario keeps it in {task['status']} for ever: its plan has no further step."
