"""The task, as the API describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import UnexpectedAnswerError

SUCCEED = "succeed"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Task:
    """A submitted job, as one answer or callback showed it."""

    task_id: str
    """Larger than 2^53: never make a float of it."""
    status: str
    """`submitted`, `processing`, `succeed` or `failed`."""
    image_urls: tuple[str, ...] = ()
    """Result pictures, by index; empty until the task has succeeded. They expire after 30 days."""
    message: str = ""
    """Why the task failed."""
    external_task_id: str = ""
    """The id that the submitter gave, if any."""
    created_at: int = 0
    """Time of the submission, Unix ms."""
    updated_at: int = 0
    """Time of the last change, Unix ms."""

    @property
    def succeeded(self) -> bool:
        """The pictures are there."""
        return self.status == SUCCEED

    @property
    def failed(self) -> bool:
        """The task ended without pictures."""
        return self.status == FAILED

    @property
    def ended(self) -> bool:
        """The status will not change any more."""
        return self.succeeded or self.failed


def read_task(data: Any) -> Task:
    """Read a task from an answer's `data` or a callback's body.

    Raises UnexpectedAnswerError if it is no task.
    """
    if not isinstance(data, dict):
        raise UnexpectedAnswerError("this is no task: it is not a JSON object")
    if missing := [name for name in ("task_id", "task_status") if name not in data]:
        raise UnexpectedAnswerError(f"this is no task: it has no {missing[0]}")
    try:
        images = (data.get("task_result") or {}).get("images") or []
        return Task(
            task_id=str(data["task_id"]),
            status=str(data["task_status"]),
            image_urls=tuple(str(image["url"]) for image in images if image.get("url")),
            message=str(data.get("task_status_msg") or ""),
            external_task_id=str((data.get("task_info") or {}).get("external_task_id") or ""),
            created_at=int(data.get("created_at") or 0),
            updated_at=int(data.get("updated_at") or 0),
        )
    except (AttributeError, TypeError, ValueError):
        raise UnexpectedAnswerError("this is no task: a field has another type than documented") from None
