"""A task is a value with its own plan; its status is a pure function of plan, progression and time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from klingkit.contract import Picture

    from .scenario import Scenario


LONGEST_KEPT = 10_000
"""Characters that are kept of a text that a request gives."""
LONGEST_CALLBACK_URL = 8000
"""Characters; no server takes longer ones."""


def shortened(text: str) -> str:
    """Return what is kept of a text: of a very long one its beginning, size and hash, so that two of them still differ.

    Whether the real service takes, and echoes, texts of megabytes is not known.
    """
    if len(text) <= LONGEST_KEPT:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[:LONGEST_KEPT]}... ({len(text)} characters, sha256 {digest})"


@dataclass(frozen=True, slots=True)
class Plan:
    """The path of a task, fixed at submission."""

    steps: tuple[tuple[str, int], ...]
    """Status and the time in ms at which it begins; the first is the submission."""
    ends: bool = True
    """Whether the last status is an end; a task that is stuck has none."""
    message: str = ""
    """`task_status_msg` of the end."""
    rule: str = ""
    """Id of the async rule that makes the task fail; empty if none does."""
    result_ms: int = 0
    """For how long after the end its results are kept; 0 if there are none."""
    why: str = ""
    """What is wrong with the picture that makes it fail, in one line; empty if none does."""

    @property
    def fails(self) -> bool:
        """Whether it ends in a failure, which always has a reason."""
        return self.ends and bool(self.message)


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
    """What the request gave, without bytes: these lie in the store, by task id and number. A URL is `shortened`."""
    external_task_id: str
    """Empty if the request gave none; `shortened`."""
    callback_url: str
    """Empty if the request gave none; one that is longer than LONGEST_CALLBACK_URL is not called."""
    base_url: str
    """Of the server, as the submitter called it; no slash at the end."""
    cost: Decimal = Decimal(0)
    """In the currency of the contract; given back when the task fails."""
    contract: str = ""
    """Text of the choice of the contract by which it was made."""
    request_id: str = ""
    """Of the request that made it, as its answer showed it."""
    path: str = ""
    """Where it was made; it is found under this path only, and its external id is unique there."""
    watermark: bool = False
    """Whether its request asked for pictures with a watermark too."""
    progression: str = "time"
    """One of `progressions.py`."""
    scenario: Scenario | None = None
    """The one that applied to its create."""
    scenario_source: str = ""
    """Where that one came from: `prefer`, `queue`, `prompt`, `account` or `server`; empty if it is not known."""
    chance: int = 0
    """What all that is left to chance of it is drawn from (`chance.py`)."""
    moved_at: tuple[int, ...] = field(default=())
    """Time in ms at which each step after the first was reached, as far as that was by a query or by hand."""

    @property
    def created_at(self) -> int:
        """Time of the submission in ms."""
        return self.plan.steps[0][1]

    def reached_at(self, step: int) -> int | None:
        """Time in ms at which a step is or was reached; None if only a query or somebody's hand brings the task there."""
        if step <= len(self.moved_at):
            return self.moved_at[step - 1] if step else self.created_at
        if self.progression != "time":
            return None
        return self.plan.steps[step][1]


class Snapshot(NamedTuple):
    """What a task looks like at one moment."""

    task: Task
    step: int
    status: str
    updated_at: int
    ended: bool


def snapshot(task: Task, now: int) -> Snapshot:
    """Return the task at a time in ms; before its submission it already looks submitted."""
    reached = 0
    if task.progression == "time" and not task.moved_at:  # as most are, and each create and query asks
        steps = task.plan.steps
        while reached + 1 < len(steps) and steps[reached + 1][1] <= now:
            reached += 1
        return Snapshot(task, reached, *steps[reached], ended=task.plan.ends and reached == len(steps) - 1)
    for step in range(1, len(task.plan.steps)):
        at = task.reached_at(step)
        if at is None or at > now:
            break
        reached = step
    return at_step(task, reached)


def at_step(task: Task, step: int) -> Snapshot:
    """Return the task at one step of its plan; a step that is not reached yet is shown with its planned time."""
    status, planned = task.plan.steps[step]
    at = task.reached_at(step)
    return Snapshot(
        task, step, status, planned if at is None else at, ended=task.plan.ends and step == len(task.plan.steps) - 1
    )
