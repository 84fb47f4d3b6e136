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
    request_id: str
    """Of the request that made it."""
    status: str
    progression: str
    scenario: str | None
    external_task_id: str
    callback_url: str
    cost: str
    timeline: dict[str, Any]
    """`planned` and `happened` statuses, `polls`, and `callbacks` with their attempts."""
