"""Try it: a request of one's own or with two sample portraits, what it is answered, and its task until the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..control.asking import ControlError
from .create_operation import create_operation
from .trying import FORM, KEY

if TYPE_CHECKING:
    from .ask import Ask

SAMPLES = ("portrait-1.png", "portrait-2.png")
"""Static files that are sent in place of pictures of one's own."""
FIRST = {"prompt": "Two friends laugh at a table in a café in Paris", "n": "1", "aspect_ratio": "3:2", "key": KEY}
"""What is filled in for somebody who has not filled in anything."""
FIELDS = ("contract", "prompt", "n", "aspect_ratio", "external_task_id", "callback_url", "scenario", "key", "samples")
"""What can be filled in, beside pictures."""


def show(ask: Ask) -> dict[str, Any]:
    """Return what can be filled in, what was, and the task that came of it."""
    contracts = ask.operations("get_index", None, {})["contract"].split(" and ")
    tried = ask.outcome if ask.outcome and ask.outcome.operation_id == FORM else None  # a clock is moved here too
    return {
        "contracts": contracts,
        "ratios": lambda: _ratios(ask, contracts[0]),  # neither is asked for at each poll
        "scenarios": lambda: ask.operations("list_scenarios", None, {})["scenarios"],
        "filled": dict.fromkeys(FIELDS, "") | dict(tried.fields if tried else {**FIRST, "samples": "1"}),
        "first": FIRST,
        "samples": SAMPLES,
        "tried": tried and tried.answer,
        **_task(ask),
    }


def _ratios(ask: Ask, contract: str) -> list[str]:
    _, schema = create_operation(ask.operations("get_api", None, {"contract": contract}))
    return [each for each in schema["properties"]["aspect_ratio"]["enum"] if each]


def _task(ask: Ask) -> dict[str, Any]:
    """Return the task of the address, if there is one, or why it cannot be shown."""
    if not ask.query.get("task"):
        return {"task": None, "gone": "", "stands": None}
    try:
        task = ask.operations("get_task", None, {"task_id": ask.query["task"]})
    except ControlError as error:
        return {"task": None, "gone": str(error), "stands": None}
    return {"task": task, "gone": "", "stands": None if task["ended"] else _standing(ask, task)}


def _standing(ask: Ask, task: dict[str, Any]) -> dict[str, Any] | None:
    """Return the clock that a task waits for, if it stands still."""
    clock: dict[str, Any] = ask.operations("get_clock", task["account"], {})
    ahead = task["timeline"]["planned"][len(task["timeline"]["happened"]) :]
    return clock if clock["frozen"] and any(step["at"] is not None for step in ahead) else None
