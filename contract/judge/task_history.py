"""What any history of a task must satisfy, whoever serves it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from ..evidence import LIMIT, TEXT, Evidence
from .deviation import shown
from .reading import images_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ..rule import Rule
    from ..spec import Contract, Lifecycle


class Finding(NamedTuple):
    """What is wrong with a task."""

    requirement: str
    """Id of a promise, or of the rule that should end the task."""
    expected: str
    got: str
    evidence: Evidence | None = None
    """Of what is expected, where it is not that of the requirement."""


PROMISES = {
    "task_id": "task.id",
    "created_at": "task.times",
    "updated_at": "task.times",
    "task_info": "task.external_id",
    "task_result": "task.result",
}
"""The promise that says what a field of a task must be."""
STAYS = {"task_id", "created_at"}


def promise_of(lifecycle: Lifecycle, field: str, data: dict[str, Any]) -> str:
    """Return the promise that a field of a task, as it is shown, does not keep if it is wrong."""
    if field == "task_status_msg":
        return "task.failure" if data.get("task_status") == lifecycle.failed else "task.success"
    return PROMISES.get(field, "task.status")


def goes_on(lifecycle: Lifecycle, data: dict[str, Any]) -> bool:
    """Tell whether a task is shown in a status that another follows; an unknown one is not worth waiting for."""
    status = data.get("task_status")
    return isinstance(status, str) and bool(lifecycle.transitions.get(status))


def judge_history(
    contract: Contract,
    request: dict[str, Any],
    history: Sequence[dict[str, Any]],
    failure: Rule | None,
    tried: Collection[str] = (),
) -> Iterator[Finding]:
    """Yield what is wrong with a task.

    `history` is `data` of the create's answer and of the queries after it, in order; `failure` the rule that must end it.
    If it fails without one, that is put down to the rule that its text names, to one of `tried` rather than others.
    """
    lifecycle, request = contract.lifecycle, contract.request.meant(request)
    yield from _judge_statuses(lifecycle, history)
    yield from _judge_times(history)
    given = request.get("external_task_id") or None
    for data in history:
        info = data.get("task_info")
        carried = info.get("external_task_id") if isinstance(info, dict) else info
        if carried != given:
            yield Finding("task.external_id", f"external_task_id {given!r}", repr(carried))
            break
    last = history[-1]
    if goes_on(lifecycle, last):
        yield Finding("task.end", "an end", str(last.get("task_status")))
    elif failure:
        yield from _judge_failure(lifecycle, last, failure)
    elif last.get("task_status") == lifecycle.failed:
        message = last.get("task_status_msg")
        named = [rule.id for rule in contract.rules.values() if rule.phase == "async" and rule.text() == message]
        requirement = next((rule_id for rule_id in named if rule_id in tried), "") or "".join(named[:1])
        yield Finding(requirement or "task.success", lifecycle.succeeded, f"{lifecycle.failed}, {message!r}")
    elif last.get("task_status") == lifecycle.succeeded:
        yield from _judge_success(last, request["n"])


def _judge_statuses(lifecycle: Lifecycle, history: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    roles = lifecycle.roles
    statuses = [data.get("task_status") for data in history]
    for status in statuses:
        if not isinstance(status, str) or status not in roles:
            yield Finding("task.status", f"one of {', '.join(roles)}", repr(status))
            return
    if statuses[0] != lifecycle.submitted:
        yield Finding("task.status", f"{lifecycle.submitted} at first", str(statuses[0]))
    for before, after in itertools.pairwise(history):
        was, is_now = str(before["task_status"]), str(after["task_status"])
        if was != is_now and is_now not in _reachable(lifecycle, was):
            yield Finding("task.status", f"no way from {was} to {is_now}", f"{was}, then {is_now}")
            return
        if (
            not lifecycle.transitions[was]
            and was == is_now
            and (changed := [each for each in differing(before, after) if each[0] not in STAYS])
        ):
            for name, once, now in changed:
                yield Finding(
                    promise_of(lifecycle, name, after), f"an ended task as it was, {name} {once}", f"{name} {now}"
                )
            return


def _reachable(lifecycle: Lifecycle, status: str) -> set[str]:
    """Return the statuses that can follow, some of which nobody may have seen."""
    following = set(lifecycle.transitions[status])
    for next_status in list(following):
        following |= _reachable(lifecycle, next_status)
    return following


def _judge_times(history: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    ids = {str(data.get("task_id")) for data in history}
    if len(ids) > 1:
        yield Finding("task.id", "one task_id", ", ".join(sorted(ids)))
    created = {str(data.get("created_at")) for data in history}
    if len(created) > 1:
        yield Finding("task.times", "one created_at", ", ".join(sorted(created)))
    updated = [data["updated_at"] for data in history if isinstance(data.get("updated_at"), int)]
    for before, after in itertools.pairwise(updated):
        if after < before:
            yield Finding("task.times", f"updated_at {before} or later", str(after))
            return
    first = history[0]
    if first.get("created_at") != first.get("updated_at"):
        yield Finding("task.times", "created_at and updated_at alike at first", f"{first.get('updated_at')}")


def _judge_failure(lifecycle: Lifecycle, last: dict[str, Any], rule: Rule) -> Iterator[Finding]:
    if last.get("task_status") == lifecycle.succeeded:
        expected = f"{lifecycle.failed}, {rule.text()!r}"
        yield Finding(rule.id, expected, str(last["task_status"]), rule.aspects[LIMIT])
    elif last.get("task_status") == lifecycle.failed and last.get("task_status_msg") != rule.text():
        told = repr(rule.text()), repr(last.get("task_status_msg"))
        yield Finding("task.failure", *told, rule.aspects[TEXT])


def _judge_success(last: dict[str, Any], n: int) -> Iterator[Finding]:
    if last.get("task_status_msg", "") != "":  # a success can lack it
        yield Finding("task.success", "an empty task_status_msg", repr(last.get("task_status_msg")))
    images = images_of(last)
    if len(images) != n:
        yield Finding("task.result", f"{n} pictures", str(len(images)))
    elif any("index" in image for image in images) and [image.get("index") for image in images] != list(range(n)):
        yield Finding("task.result", f"index 0 to {n - 1}", str([image.get("index") for image in images]))
    urls = [image.get("url") for image in images]
    if len(set(map(str, urls))) != len(urls) or not all(isinstance(url, str) and "://" in url for url in urls):
        yield Finding("task.result", "a URL for each picture", "a URL that is missing, or is there twice")


def differing(one: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the fields in which two views of a task differ, each with both values; what one of them lacks is a matter of its schema.

    URLs may be signed anew each time, so of a result only the order of its pictures counts; how it is shown, too.
    """
    views = [_comparable(view) for view in (one, other)]
    for name in sorted(views[0].keys() & views[1].keys()):
        if views[0][name] != views[1][name]:
            yield name, shown(views[0][name]), shown(views[1][name])


def _comparable(view: dict[str, Any]) -> dict[str, Any]:
    """Return a view of a task without what may be left out of one view and not of another, and without its URLs."""
    indexes = [image.get("index", place) for place, image in enumerate(images_of(view))]
    return {"task_status_msg": "", **view, "task_result": indexes}
