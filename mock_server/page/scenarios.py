"""The scenarios: what is queued, what holds by default, and the table of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ask import Ask

SHOWN = 100
"""Entries of the queue, and accounts to choose from."""


def show(ask: Ask) -> dict[str, Any]:
    """Return the table, what is queued for whom, and what holds by default."""
    found = ask.call("list_scenarios")
    words = ask.query.get("text", "").lower().split()
    wanted = ask.outcome.fields if ask.outcome and ask.outcome.error else {}
    chosen = {
        "scenario": ask.query.get("queue", ""),
        "times": "1",
        "operation": "create_task",
        "account": ask.account or "",
        **wanted,
    }
    return {
        "table": found["scenarios"],
        "rows": [row for row in found["scenarios"] if _has(row, words)],
        "operations": sorted({name for row in found["scenarios"] for name in row["operations"]}),
        "queued": found["queued"][:SHOWN],
        "more": len(found["queued"][SHOWN:]),
        "chosen": chosen,
        "settings": ask.call("get_account"),
        "accounts": lambda: _accounts(ask),  # not for each poll
    }


def _accounts(ask: Ask) -> list[dict[str, Any]]:
    """Return accounts to choose from, that of the view among them."""
    found: list[dict[str, Any]] = ask.operations("list_accounts", None, {"limit": SHOWN})
    if ask.account and ask.account not in {each["account"] for each in found}:
        found = [ask.call("get_account"), *found]
    return found


def _has(row: dict[str, Any], words: list[str]) -> bool:
    text = f"{row['name']} {row['summary']}".lower()
    return all(word in text for word in words)
