"""The tasks, newest first: found by status, scenario, account and text; for whoever has none yet, what to do first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .again import FIRST_PROMPT, as_curl
from .create_operation import create_operation
from .task_pictures import thumbnails

if TYPE_CHECKING:
    from .ask import Ask

PER_PAGE = 50
MOST_REFUSED = 100
"""Refused creates that are counted."""
FILTERS = ("status", "scenario", "text", "after")
ACCOUNTS = 100
"""That can be chosen; any other is reached from the screen of accounts."""


def show(ask: Ask) -> dict[str, Any]:
    """Return a page of the tasks that fit."""
    wanted = {name: ask.query[name].strip() for name in FILTERS if ask.query.get(name, "").strip()}
    tasks = ask.call("list_tasks", order="newest", limit=PER_PAGE, **wanted)
    go_on_after = tasks.go_on_after
    filters = {name: value for name, value in wanted.items() if name != "after"}
    return {
        "tasks": [{**task, **thumbnails(task)} for task in tasks],
        "wanted": filters,
        "older": ask.here(after=go_on_after) if go_on_after else "",
        "newest": ask.here(after=None) if "after" in wanted else "",
        "statuses": [*ask.call("get_api")["x-lifecycle"]["transitions"]],
        "scenarios": [each["name"] for each in ask.call("list_scenarios")["scenarios"]],
        "accounts": _accounts(ask),
        "first": "" if tasks or wanted or ask.account else _first_create(ask),
        "refused": _refused(ask, filters.get("text", "")) if not tasks else None,
    }


def _refused(ask: Ask, text: str) -> dict[str, Any] | None:
    """Return how many creates with a text were refused, and where they are; None if no text is looked for, or none was refused."""
    if not text:
        return None
    wanted = {"operation": "create_task", "refused": "true", "text": text}
    found = ask.call("list_journal", order="newest", limit=MOST_REFUSED, **wanted)["entries"]
    count = f"{MOST_REFUSED} or more" if len(found) == MOST_REFUSED else str(len(found))
    return {"count": count, "address": ask.link("journal", **wanted)} if found else None


def _accounts(ask: Ask) -> list[str]:
    """Return the accounts that can be chosen, the one that is chosen among them."""
    found = [each["account"] for each in ask.call("list_accounts", limit=ACCOUNTS)]
    return found if ask.account is None or ask.account in found else [ask.account, *found]


def _first_create(ask: Ask) -> str:
    """Return a command line that makes a task, for somebody who has none."""
    path, _ = create_operation(ask.call("get_api"))
    pictures = [{"subject_image": f"https://example.com/{name}.png"} for name in ("one", "two")]
    return as_curl(ask.origin + path, {"prompt": FIRST_PROMPT, "subject_image_list": pictures}, "COMETAPI_KEY")
