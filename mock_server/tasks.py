"""A task is a value with its own plan; its status is a pure function of plan and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from klingkit.contract import Picture


@dataclass(frozen=True, slots=True)
class Plan:
    """The path of a task, fixed at submission."""

    steps: tuple[tuple[str, int], ...]
    """Status and the time in ms at which it begins; the first is the submission."""
    message: str = ""
    """`task_status_msg` of the end."""
    rule: str = ""
    """Id of the async rule that makes the task fail; empty if it succeeds."""


@dataclass(frozen=True, slots=True)
class Task:
    """A submitted job."""

    task_id: str
    account: str
    plan: Plan
    prompt: str
    n: int
    aspect_ratio: str
    pictures: tuple[Picture, ...]
    """What the request gave, without bytes: these lie in the store, by task id and number."""
    external_task_id: str
    """Empty if the request gave none."""
    callback_url: str
    """Empty if the request gave none."""
    base_url: str
    """Of the server, as the submitter called it; no slash at the end."""

    @property
    def created_at(self) -> int:
        """Time of the submission in ms."""
        return self.plan.steps[0][1]

    @property
    def ended_at(self) -> int:
        """Time of the planned end in ms."""
        return self.plan.steps[-1][1]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a task looks like at one moment."""

    task: Task
    status: str
    updated_at: int
    ended: bool


def snapshot(task: Task, now: int) -> Snapshot:
    """Return the task at a time in ms; before its submission it already looks submitted."""
    reached = max((index for index, (_, at) in enumerate(task.plan.steps) if at <= now), default=0)
    return at_step(task, reached)


def at_step(task: Task, index: int) -> Snapshot:
    """Return the task at one step of its plan."""
    status, at = task.plan.steps[index]
    return Snapshot(task, status, at, ended=index == len(task.plan.steps) - 1)
