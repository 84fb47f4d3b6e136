"""The ledger of callbacks, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver a callback."""

    at: int
    """Time in ms."""
    status: int | None
    """HTTP status of the receiver; None if there was no answer."""
    problem: str
    """Empty if it was delivered."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A callback: one step of one task."""

    id: str
    task_id: str
    account: str
    step: int
    trigger: int
    """The step that makes it due when it is reached."""
    due_at: int | None
    """Time in ms of the next attempt; None: its step is not reached, and not planned, or it is settled."""
    attempts: tuple[Attempt, ...] = ()
    outcome: str = ""
    """`delivered`, `given_up` or `refused`; empty while it is pending."""
