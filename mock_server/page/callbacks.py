"""The callbacks, newest first: each attempt, what came of it, and what two bodies of a task differ in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .named_task import task_id_of
from .shown_json import differences, json_lines, text_lines

if TYPE_CHECKING:
    from .ask import Ask

PER_PAGE = 20
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d\.\d{3})Z")
LAST_ATTEMPTS = 10
NEWEST_TASKS = 20
"""Of which it is said why a callback has not come."""
OUTCOMES = {
    "pending": ("pending", "busy"),
    "delivered": ("delivered", "good"),
    "given_up": ("given up", "bad"),
    "refused": ("not sent", "bad"),
}
"""Word and kind of the badge for each."""


def show(ask: Ask) -> dict[str, Any]:
    """Return a page of callbacks, those of an outcome or of a task."""
    wanted = {name: ask.query[name].strip() for name in ("outcome", "task_id", "after") if ask.query.get(name)}
    if "task_id" in wanted:
        wanted["task_id"] = task_id_of(ask, wanted["task_id"])
    found = ask.call("list_deliveries", order="newest", limit=PER_PAGE + 1, **wanted)
    task = ask.call("get_task", task_id=wanted["task_id"]) if "task_id" in wanted else None
    shown = found if task else found[:PER_PAGE]
    return {
        "deliveries": [_with_lines(delivery) for delivery in shown],
        "behind": _behind(found),
        "older": ask.here(after=shown[-1]["id"]) if len(shown) < len(found) else "",
        "newest": ask.here(after=None) if "after" in wanted else "",
        "task": task,
        "missing": [] if task or "after" in wanted or wanted.get("outcome") == "delivered" else _missing(ask),
        "misspelt": _misspelt(ask, task_id=task["task_id"]) if task and not task["callback_url"] else {},
        "short": short,
        "compared": _compared(ask, found) if task else None,
        "outcomes": OUTCOMES,
        "last_attempts": LAST_ATTEMPTS,
    }


def _missing(ask: Ask) -> list[dict[str, Any]]:
    """Return the newest tasks of which a callback has not come."""
    tasks = [task for task in ask.call("list_tasks", order="newest", limit=NEWEST_TASKS) if task["callbacks_why"]]
    misspelt = _misspelt(ask) if any(not task["callback_url"] for task in tasks) else {}
    return [{**task, "misspelt": misspelt.get(task["task_id"])} for task in tasks]


def _misspelt(ask: Ask, **wanted: str) -> dict[str, dict[str, Any]]:
    """Return by task id the field that was probably to be its callback_url, with the number of its request."""
    found = ask.call("list_journal", text="did you mean 'callback_url'", order="newest", limit=NEWEST_TASKS, **wanted)
    return {
        entry["task_id"]: {"name": field["name"], "request": entry["number"]}
        for entry in found["entries"]
        for field in entry["ignored"]
        if "'callback_url'" in field["meant"]
    }


def short(text: str) -> str:
    """Return a sentence in which a time stands as the screen writes it."""
    return _MOMENT.sub(r"\1", text)


def _behind(newest_first: list[dict[str, Any]]) -> set[str]:
    """Return the ids of those that wait for an earlier callback of their task, whatever time they were due at."""
    pending = [delivery for delivery in reversed(newest_first) if delivery["outcome"] == "pending"]
    first = {delivery["task_id"]: delivery["id"] for delivery in reversed(pending)}
    return {delivery["id"] for delivery in pending if first[delivery["task_id"]] != delivery["id"]}


def _with_lines(delivery: dict[str, Any]) -> dict[str, Any]:
    attempts = [_attempt(number, attempt) for number, attempt in enumerate(delivery["attempts"], 1)]
    return {
        **delivery,
        "attempts": attempts[: -LAST_ATTEMPTS - 1 : -1],
        "attempts_made": len(attempts),
        "external_task_id": attempts[-1]["external_task_id"] if attempts else "",
    }


def _attempt(number: int, attempt: dict[str, Any]) -> dict[str, Any]:
    request, answer = attempt["request"], attempt["answer"]
    return {
        **attempt,
        "number": number,
        "external_task_id": request["body"].get("task_info", {}).get("external_task_id", "") if request else "",
        "sent_lines": json_lines(request["body"]) if request else [],
        "answer_lines": text_lines(answer["body"]) if answer and answer["body"] else [],
    }


def _compared(ask: Ask, newest_first: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what two bodies of a task differ in: those that were chosen, else the first and the last; None if there are no two."""
    bodies = {
        delivery["id"]: (delivery["status"], delivery["attempts"][-1]["request"]["body"])
        for delivery in reversed(newest_first)
        if delivery["attempts"] and delivery["attempts"][-1]["request"]
    }
    if len(bodies) < 2:
        return None
    ids = list(bodies)
    first = chosen if (chosen := ask.query.get("first", "")) in bodies else ids[0]
    second = chosen if (chosen := ask.query.get("second", "")) in bodies else ids[-1]
    lines = differences(bodies[first][1], bodies[second][1])
    return {"bodies": bodies, "first": first, "second": second, "lines": lines}
