"""What the callbacks of a task must be: where they go, which come, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .deviation import shown
from .task_history import Finding, differing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import jsonschema_rs

    from ..spec import Contract
    from ..targets.callback_receiver import Received

SAID_LATER = {"task_result", "task_status_msg"}
"""Fields that the answer to a create does not have, and a callback has."""


def judge_callbacks(
    contract: Contract, asked: str, history: Sequence[dict[str, Any]], received: Sequence[Received]
) -> Iterator[Finding]:
    """Yield what is wrong with the callbacks of a task that were to go to the URL `asked`.

    `history` is the task as answers have shown it, from its submission to its end.
    """
    wrong = next((callback.url for callback in received if callback.url != asked), None)
    if wrong is not None:
        yield Finding("callback.address", f"a POST to {asked}", f"one to {shown(wrong)}")
    first: dict[str, Received] = {}
    for callback in received:
        earlier = first.setdefault(str(callback.body.get("task_status")), callback)
        if earlier.body != callback.body:
            yield Finding("callback.sequence", "the same body again", "another body for the same status")
    lifecycle = contract.lifecycle
    last_status = str(history[-1].get("task_status"))
    silent = last_status == lifecycle.failed and contract.takes("callback-processing") == "end-only"
    wanted = [lifecycle.submitted, *([] if silent else [lifecycle.processing]), last_status]
    if list(first) != wanted:
        yield Finding("callback.sequence", " > ".join(wanted), " > ".join(first) or "none")
    yield from _judge_bodies(contract, received)
    for shown_as in (history[0], history[-1]):
        if callback_then := first.get(str(shown_as.get("task_status"))):
            yield from _judge_likeness(shown_as, callback_then.body)


def _judge_bodies(contract: Contract, received: Sequence[Received]) -> Iterator[Finding]:
    for callback in received:
        if callback.content_type != contract.callbacks.content_type:
            yield Finding(
                "callback.body", f"Content-Type {contract.callbacks.content_type}", callback.content_type[:80]
            )
            break
    validator = contract.callback_validator
    problems = (_problem(validator, callback.body) for callback in received)
    if problem := next(filter(None, problems), ""):
        yield Finding("callback.body", "the schema CallbackTask", problem)


def _judge_likeness(view: dict[str, Any], body: dict[str, Any]) -> Iterator[Finding]:
    """Yield in what a callback differs from the answer that shows its task in the same status."""
    left_out = SAID_LATER - view.keys()
    found = [each for each in differing(body, view) if each[0] not in left_out]
    if found:
        told, seen = (", ".join(f"{each[0]} {each[which]}" for each in found) for which in (1, 2))
        yield Finding("callback.body", f"the task as an answer shows it, {seen}", told)


def _problem(validator: jsonschema_rs.Draft202012Validator, body: dict[str, Any]) -> str:
    """Say what is wrong with the body of a callback; empty if nothing is."""
    try:
        errors = (error for error in validator.iter_errors(body) if error.kind.name != "additionalProperties")
        error = next(errors, None)  # a field that no page mentions is no fault
    except ValueError:
        return "a lone surrogate, which is no Unicode"
    return f"{'.'.join(map(str, error.instance_path)) or 'the body'} breaks {error.kind.name}" if error else ""
