"""The journal, newest first: each request and its answer, why it was refused, what of it is ignored, and what to do otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .named_task import task_id_of
from .shown_json import json_lines

if TYPE_CHECKING:
    from .ask import Ask

PER_PAGE = 25
FILTERS = ("text", "refused", "operation", "status", "task_id", "request_id", "rule", "after")


def show(ask: Ask) -> dict[str, Any]:
    """Return a page of the requests that fit."""
    wanted = {name: ask.query[name].strip() for name in FILTERS if ask.query.get(name)}
    if "task_id" in wanted:
        wanted["task_id"] = task_id_of(ask, wanted["task_id"])
    found = ask.call("list_journal", order="newest", limit=PER_PAGE, **wanted)
    advice = _advice(ask)
    return {
        "entries": [_with_lines(entry, advice.get(entry["number"], [])) for entry in found["entries"]],
        "dropped": found["dropped"],
        "older": ask.here(after=found["next"]) if found["next"] is not None else "",
        "newest": ask.here(after=None) if "after" in wanted else "",
        "wanted": {name: value for name, value in wanted.items() if name != "after"},
    }


def _advice(ask: Ask) -> dict[int, list[dict[str, Any]]]:
    """Return what the journal as a whole shows, by the number of the request that shows it."""
    found: dict[int, list[dict[str, Any]]] = {}
    for advice in ask.call("get_advice"):
        found.setdefault(advice["request"], []).append(advice)
    return found


def _with_lines(entry: dict[str, Any], advice: list[dict[str, Any]]) -> dict[str, Any]:
    remarks = {_place(field): f"ignored{'; ' * bool(field['meant'])}{field['meant']}" for field in entry["ignored"]}
    own = {each["text"] for each in entry["advice"]}
    return {
        **entry,
        "external_task_id": _external(entry["request"]),
        "advice": entry["advice"] + [each for each in advice if each["text"] not in own],
        "request_lines": json_lines(entry["request"], remarks) if entry["request"] is not None else [],
        "answer_lines": json_lines(entry["answer"]) if entry["answer"] is not None else [],
    }


def _external(request: Any) -> str:
    found = request.get("external_task_id") if isinstance(request, dict) else ""
    return found if isinstance(found, str) else ""


def _place(field: dict[str, str]) -> str:
    return f"{field['place']}.{field['name']}" if field["place"] else field["name"]
