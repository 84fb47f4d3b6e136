"""What a client should do otherwise: every kind of mistake that the journal shows, with the requests that show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ask import Ask

SHOWN = 5
"""Of one kind."""


def show(ask: Ask) -> dict[str, Any]:
    """Return the kinds of advice, in the order in which they were first seen."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for advice in ask.call("get_advice"):
        kinds.setdefault(advice["kind"], []).append({**advice, "address": _address(ask, advice["request"])})
    return {
        "kinds": [
            {"name": kind.replace("-", " "), "do": found[0]["do"], "shown": found[:SHOWN], "more": len(found) - SHOWN}
            for kind, found in kinds.items()
        ]
    }


def _address(ask: Ask, request: int) -> str:
    """Return where a request stands in the journal, on top; empty for what no single request shows."""
    return f"{ask.link('journal', after=request + 1)}#request-{request}" if request else ""
