"""A task of the simulator, as a test sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task of the simulator; times are its own, in ms."""

    task_id: str
    account: str
    contract: str
    create_url: str
    """Where it was made."""
    request_id: str
    """Of the request that made it."""
    status: str
    message: str
    """`task_status_msg` of its end; empty before."""
    age_ms: int
    """Since its submission, when it was looked at."""
    updated_at: int
    ended: bool
    progression: str
    scenario: str | None
    scenario_source: str
    """Where the scenario came from, such as `prompt`; empty if there was none."""
    scenario_why: str
    """That the scenario makes it fail, and not its pictures; empty if it does not."""
    prompt: str
    n: int
    aspect_ratio: str
    external_task_id: str
    callback_url: str
    callbacks_why: str
    """Why a callback has not come, or will not; empty if each was delivered."""
    cost: str
    currency: str
    inputs: list[dict[str, Any]]
    """Pictures that were sent; what only their bytes tell is known of one task that is looked at by itself."""
    results: list[dict[str, Any]]
    failure: dict[str, Any] | None
    """The rule by which its pictures, or its scenario in their place, make it fail, as `Explanation` in `control.yaml`; None if none does."""
    timeline: dict[str, Any]
    """`planned` and `happened` statuses, `polls`, `callbacks` with their attempts, and `moves` of its clock."""
