"""Callbacks as values: what is to be delivered, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["", "delivered", "given_up", "refused"]
"""What came of a delivery; empty while it is pending."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver a callback."""

    at: int
    """Time in ms."""
    status: int | None
    """HTTP status of the receiver; None if there was no answer."""
    problem: str
    """Empty if it was delivered."""
    refused: bool = False
    """Whether the URL must not be called, so that another attempt would not help."""


@dataclass(frozen=True, slots=True)
class Sequel:
    """What follows an attempt: another one after a pause, or the end of the delivery."""

    outcome: Outcome = ""
    pause_ms: int | None = None


def sequel(attempt: Attempt, earlier: tuple[Attempt, ...], pauses_ms: list[int], *, twice: bool) -> Sequel:
    """Return what follows an attempt; the n-th pause of the schedule comes after the n-th failure.

    With `twice`, the first success is repeated at once.
    """
    if attempt.refused:
        return Sequel("refused")
    failures = sum(bool(made.problem) for made in (*earlier, attempt))
    if not attempt.problem:
        is_first_success = failures == len(earlier)
        return Sequel(pause_ms=0) if twice and is_first_success else Sequel("delivered")
    if failures <= len(pauses_ms):
        return Sequel(pause_ms=pauses_ms[failures - 1])
    return Sequel("given_up")


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
    status: str = ""
    """The status of which it tells."""
    attempts: tuple[Attempt, ...] = ()
    outcome: Outcome = ""
    number: int = 0
    """In the order in which callbacks were planned; the store gives it."""
    fence: int = 0
    """Number of the claim of whoever attempts it; where the store is shared, a claim that has run out settles nothing."""
