"""The accounts: what each has and what holds for it, or one of them with what can be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ask import Ask

SHOWN = 50
"""Accounts on a page."""
LIMITS = (
    ("balance", "Balance", "What creates may still cost before they are refused with 1102."),
    ("quota", "Quota of the key", "What the key may spend, apart from the balance."),
    (
        "concurrency",
        "Slots",
        "Pictures that may be in the making at a time; a task holds as many as it makes, else 1303.",
    ),
    ("requests", "Requests per window", "More of them are refused with 1302."),
)
"""Settings that are a number, or unlimited: name, label, what it does."""


def show(ask: Ask) -> dict[str, Any]:
    """Return the settings of the account whose view it is, else those of the server with a page of the accounts."""
    schemas = ask.call("get_openapi")["components"]["schemas"]
    settings = ask.call("get_account")
    return {
        "settings": settings,
        "limits": LIMITS,
        "wanted": ask.outcome.fields if ask.outcome and ask.outcome.error else {},
        "choices": {
            "progression": schemas["Progression"]["enum"],
            "callback_retries": schemas["RetrySchedule"]["enum"],
            "contract": schemas["ContractName"]["enum"],
        },
        **({"accounts": [], "next": None} if ask.account else _page(ask)),
    }


def _page(ask: Ask) -> dict[str, Any]:
    after = {"after": ask.query["after"]} if ask.query.get("after") else {}
    found = ask.call("list_accounts", limit=SHOWN + 1, **after)
    return {"accounts": found[:SHOWN], "next": found[SHOWN - 1]["account"] if len(found) > SHOWN else None}
