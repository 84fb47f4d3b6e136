"""The clock of the server or of an account: what time it is, what lies ahead, and a hand to move it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ask import Ask

MOST_EVENTS = 200
MOST_ACCOUNTS = 200
MOVES = ("freeze_clock", "advance_clock", "resume_clock")


def show(ask: Ask) -> dict[str, Any]:
    """Return the clock that is looked at, and what its last move made happen."""
    done = ask.outcome if ask.outcome and ask.outcome.operation_id in MOVES and not ask.outcome.error else None
    events = done.answer["events"] if done else []
    return {
        "clock": ask.call("get_clock"),
        "accounts": [each["account"] for each in ask.operations("list_accounts", None, {"limit": MOST_ACCOUNTS}, None)],
        "moved": done,
        "events": events[:MOST_EVENTS],
        "more_events": max(0, len(events) - MOST_EVENTS),
        "filled": dict(ask.outcome.fields) if ask.outcome and ask.outcome.error else {},
    }
