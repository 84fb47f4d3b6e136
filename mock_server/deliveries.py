"""Callbacks as values: what is to be delivered, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

ANSWER_KEPT = 2048
"""Bytes of a receiver's answer that are kept; and as many of its headers."""
ATTEMPT_BYTES = 600
"""What an attempt takes beside the texts of the answer."""
HEADER_BYTES = 162

Headers = tuple[tuple[str, str], ...]

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
    cause: str = ""
    """Why there was no answer: what `attempt_words.py` has words for."""
    ms: int = 0
    """How long it took of the machine's time."""
    told_at: int = 0
    """`updated_at` of the body that was sent, from which that can be made again; 0 if nothing was."""
    signed: tuple[str, str] = ("", "")
    """Headers webhook-timestamp and webhook-signature; empty if it was not signed."""
    answer_headers: Headers = ()
    """Of the receiver, as they came; so many as were `bounded`."""
    answer: str = ""
    """The beginning of the receiver's body, a character for each byte (Latin-1)."""
    more: bool = False
    """Whether it was longer, or came too slowly, than what is kept of it."""

    @property
    def size(self) -> int:
        """Bytes in memory, more or less."""
        texts = len(self.problem) + len(self.answer)
        return ATTEMPT_BYTES + texts + sum(HEADER_BYTES + len(name) + len(value) for name, value in self.answer_headers)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a receiver answered."""

    status: int
    headers: Headers = field(default=())
    body: bytes = b""
    """Its beginning."""
    more: bool = False
    """Whether there was more, or it did not come at once."""


def bounded(headers: Headers) -> Headers:
    """Return so many of a receiver's headers as are kept."""
    kept, room = [], ANSWER_KEPT
    for name, value in headers:
        room -= len(name) + len(value)
        if room < 0:
            break
        kept.append((name, value))
    return tuple(kept)


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
