"""What lies ahead, as values in order of time: of each task what its plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from .tasks import Task

LAST_ORDER = 2**62
"""Comes after every task: the order of windows."""

Place = tuple[int, int, int]
"""Beginning of a Due, by which the agenda is read on from where somebody was."""


class Due(NamedTuple):
    """Something ahead. In order: the earlier first, of the same moment the older task."""

    at: int
    """Time in ms, by the clock of the account that it is about."""
    order: int
    """Number of its task in the order of creation; LAST_ORDER of a window."""
    step: int
    """Of the plan; of an expiry one more than the last."""
    kind: Literal["status", "expiry", "window"]
    whose: str
    """Id of the task; of a window, its account."""

    @property
    def place(self) -> Place:
        """Where it stands in the agenda."""
        return self[:3]


def just_after(now: int) -> Place:
    """Return the place after everything of a moment."""
    return (now, LAST_ORDER, LAST_ORDER)


def ahead_of(task: Task, order: int) -> list[Due]:
    """Return what comes of a task as it stands.

    Of one that queries move it is the next step, at its planned time, which may have passed: when somebody moves the clock, it
    goes there by its plan. What is reached at the submission does not lie ahead.
    """
    steps, reached, created_at = task.plan.steps, len(task.moved_at), task.created_at
    last = len(steps) - 1
    by_time = task.progression == "time"
    found = []
    if by_time or task.progression == "polls":
        for step in range(reached + 1, last + 1 if by_time else min(reached + 2, last + 1)):
            at = steps[step][1]
            if at > created_at or not by_time:
                found.append(Due(at, order, step, "status", task.task_id))
    if task.plan.result_ms and (ended := task.reached_at(last)) is not None:
        found.append(Due(ended + task.plan.result_ms, order, last + 1, "expiry", task.task_id))
    return found
