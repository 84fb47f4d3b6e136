"""The task, as the API describes it."""

from __future__ import annotations

from dataclasses import dataclass

SUCCEED = "succeed"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BalanceDeduction:
    """What an ended task took from a balance, in the words and numbers of the vendor."""

    quota: str
    list_price: str


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
    watermark_urls: tuple[str, ...] = ()
    """The same pictures with a watermark, where one was asked for (`kling`); an empty text for one that has none."""
    final_unit_deduction: str = ""
    """Units that the task took, a number as the service wrote it; empty where it says nothing."""
    final_balance_deduction: BalanceDeduction | None = None
    """What the task took from a balance; None where the service says nothing."""

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
