"""The accounts: what each has and what holds for it, or one of them with what can be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from klingkit.contract.choice import WITH_PLAIN

from ..control.asking import account_named

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
        "Pictures that may be in the making at a time. A task holds one for each until it ends; a create for more is refused with 1303.",
    ),
    ("requests", "Requests per window", "More of them are refused with 1302."),
)
"""Settings that are a number, or unlimited: name, label, what it does."""
WORDS = {
    "time": "time: by themselves, after a while",
    "polls": "polls: one step at each query",
    "manual": "manual: only when somebody moves them here",
    "cometapi": "cometapi: the older page of CometAPI",
    "cometapi-2026": "cometapi-2026: the newer page of CometAPI",
    "kling": "kling: the vendor's own API",
}
"""What choices mean whose names do not say it."""


def show(ask: Ask) -> dict[str, Any]:
    """Return the settings of the account that is named, or whose view it is; else those of the server with a page of the accounts."""
    name = account_named(ask.rest) if ask.rest else ask.account
    schemas = ask.call("get_openapi")["components"]["schemas"]
    settings = ask.operations("get_account", name, {})
    return {
        "name": name,
        "settings": settings,
        "limits": LIMITS,
        "wanted": ask.outcome.fields if ask.outcome and ask.outcome.error else {},
        "yes_no": {"true": "yes", "false": "no"},
        "choices": {
            "progression": _choices(schemas["Progression"]),
            "callback_retries": _choices(schemas["RetrySchedule"]),
            "contract": _choices(schemas["ContractName"]),
        },
        "makes_plain": any(name in WITH_PLAIN for name in _served(ask)),
        **({"accounts": [], "next": None} if name else _page(ask)),
    }


def _choices(schema: dict[str, Any]) -> dict[str, str]:
    return {name: WORDS.get(name, name) for name in schema["enum"]}


def _served(ask: Ask) -> list[str]:
    """Return the names of the contracts that answer."""
    names: str = ask.call("get_index")["contract"]
    return [name.partition("+")[0] for name in names.split(" and ")]


def _page(ask: Ask) -> dict[str, Any]:
    after = {"after": ask.query["after"]} if ask.query.get("after") else {}
    found = ask.call("list_accounts", limit=SHOWN + 1, **after)
    return {"accounts": found[:SHOWN], "next": found[SHOWN - 1]["account"] if len(found) > SHOWN else None}
