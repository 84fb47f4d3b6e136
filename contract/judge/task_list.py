"""What a page of the list of tasks must be: no longer than asked for, the newest first, each task as a query shows it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from .deviation import shown
from .task_history import Finding, differing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PAGE, ORDER, ISOLATION = "list.page", "list.order", "account.isolation"


def judge_pages(
    pages: Sequence[Sequence[dict[str, Any]]], size: int, known: Mapping[str, dict[str, Any]]
) -> Iterator[Finding]:
    """Yield what is wrong with the first pages of an account; `known` are its tasks that have ended, by their id."""
    longest = max(map(len, pages))
    if longest > size:
        yield Finding(PAGE, f"{size} tasks at most", str(longest))
    left = len(known)
    for page in pages:
        if len(page) < min(size, left):
            yield Finding(PAGE, f"{min(size, left)} tasks or more", str(len(page)))
        left -= size
    listed = [task for page in pages for task in page]
    ids = [str(task.get("task_id")) for task in listed]
    if len(set(ids)) < len(ids):
        yield Finding(PAGE, "each task once", "one that stands there twice")
    times = [task["created_at"] for task in listed if isinstance(task.get("created_at"), int)]
    for newer, older in itertools.pairwise(times):
        if older > newer:
            yield Finding(ORDER, f"a task of {newer} or before", str(older))
            break
    for task, task_id in zip(listed, ids, strict=True):
        for name, once, seen in differing(known[task_id], task) if task_id in known else ():
            yield Finding(PAGE, f"the task as a query shows it, {name} {once}", f"{name} {shown(seen)}")


def judge_strangers(page: Sequence[dict[str, Any]], foreign: Mapping[str, object]) -> Iterator[Finding]:
    """Yield what is wrong with the page of an account on which tasks of others stand; `foreign` has their ids."""
    strangers = [str(task.get("task_id")) for task in page if str(task.get("task_id")) in foreign]
    if strangers:
        yield Finding(ISOLATION, "no tasks of another account", f"task {strangers[0]}")
