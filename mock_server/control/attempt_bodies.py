"""An attempt to deliver a callback as the control API shows it: what was sent, what came back, and why."""

from __future__ import annotations

from codecs import getincrementaldecoder
from functools import partial
from typing import TYPE_CHECKING, Any

from ..attempt_words import words_of
from ..callbacks import encoded_body, sent_headers
from ..journal import masked_headers, readable
from ..tasks import at_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..deliveries import Attempt, Delivery
    from ..simulator import Simulator

CHECK = (
    "HMAC-SHA256 by Standard Webhooks, with the account's callback_secret, of webhook-id.webhook-timestamp.body: the library "
    "standardwebhooks checks it, or klingkit.client.parse_callback(body, headers=..., secret=...)"
)
UNSIGNED = "it was not signed, since the account had no callback_secret"


def attempt_outline(attempt: Attempt) -> dict[str, Any]:
    """Return what came of an attempt."""
    words = words_of(attempt)
    return {
        "at": attempt.at,
        "http_status": attempt.status,
        "problem": attempt.problem,
        "why": words.why,
        "do": words.do,
        "ms": attempt.ms,
    }


def attempt_bodies(simulator: Simulator, delivery: Delivery) -> Callable[[Attempt], dict[str, Any]]:
    """Return what shows the attempts of a delivery as a whole."""
    return partial(_attempt_body, simulator, delivery)


def _attempt_body(simulator: Simulator, delivery: Delivery, attempt: Attempt) -> dict[str, Any]:
    return {
        **attempt_outline(attempt),
        "request": _request(simulator, delivery, attempt) if attempt.told_at else None,
        "answer": None if attempt.status is None else _answer(attempt),
    }


def _request(simulator: Simulator, delivery: Delivery, attempt: Attempt) -> dict[str, Any] | None:
    """Return what was sent, made again: all of it follows from the task and the moment of which it tells."""
    task = simulator.store.get(delivery.task_id)
    if task is None:
        return None
    contract = simulator.contract_of(task)
    body = encoded_body(at_step(task, delivery.step)._replace(updated_at=attempt.told_at), contract)
    return {
        "headers": sent_headers(task, contract, delivery.id, attempt.signed),
        "body": readable(body),
        "size": len(body),
        "signed": bool(attempt.signed[1]),
        "check": CHECK if attempt.signed[1] else UNSIGNED,
    }


def _answer(attempt: Attempt) -> dict[str, Any]:
    headers = masked_headers(list(attempt.answer_headers))
    return {"headers": headers, "body": _text(attempt.answer.encode("latin-1")), "more": attempt.more}


def _text(data: bytes) -> str:
    """Return the beginning of a text, which may be cut within a character; of anything else how much there was."""
    try:
        text = getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return f"({len(data)} bytes that are no text)"
    return f"({len(data)} bytes that are no text)" if "\0" in text else text
