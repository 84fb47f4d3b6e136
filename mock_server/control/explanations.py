"""Why a rule has refused a request or failed a task: what it says, where it stands, how well each of that is known, what is open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from klingkit.contract.behaviours import RULE, aspect_body, aspects_of
from klingkit.contract.evidence import weakest

if TYPE_CHECKING:
    from klingkit.contract import Contract
    from klingkit.contract.assumption import Assumption
    from klingkit.contract.behaviours import Aspect

    from ..tasks import Task

ASSUMPTION = re.compile(r"; assumption=([\w-]+)")
"""In what header and journal say of a rule: the open question that the kind of input belongs to."""

SOURCES = {
    "prefer": "the header Prefer of its create asks for the scenario {}",
    "queue": "the scenario {} was queued for it",
    "prompt": "its prompt asks for the scenario {}",
    "account": "the scenario {} is the default of its account",
    "server": "the scenario {} is the default of the server",
}
"""Where a scenario came from."""


def scenario_why(contract: Contract, task: Task) -> str:
    """Return what scenario makes a task fail, and where that came from; empty if none does."""
    scenario = task.scenario
    if scenario is None or not scenario.settles_the_end or task.plan.steps[-1][0] != contract.lifecycle.failed:
        return ""
    said = SOURCES.get(task.scenario_source, "its scenario is {}").format(scenario.text)
    return f"{said}; your pictures are not at fault"


def explanation(contract: Contract, rule: str, why: str = "") -> dict[str, Any] | None:
    """Return what there is to know of a rule, as `Explanation` in `control.yaml`; None if the contract has no such rule.

    `rule` is its id, or the line that begins with it, as the journal has it. `why` says what in this request breaks it.
    """
    found = contract.rules.get(rule.partition(";")[0])
    if found is None:
        return None
    aspects = [aspect for aspect in aspects_of(contract) if aspect.behaviour == f"{RULE} {found.id}"]
    open_ones = _questions(contract, rule, aspects)
    return {
        "rule": found.id,
        "spec": f"#{found.pointer}",
        "says": found.template,
        "why": why,
        "aspects": [_aspect(contract, aspect, open_ones[:1] if ASSUMPTION.search(rule) else []) for aspect in aspects],
        "assumptions": [_assumption(contract, question) for question in open_ones],
    }


def _questions(contract: Contract, line: str, aspects: list[Aspect]) -> list[Assumption]:
    """Return the open questions about a rule: first that of the kind of input, then those about any input."""
    named = ASSUMPTION.findall(line)
    about = [name for aspect in aspects for name in aspect.assumptions if "(" not in name]
    by_id = {question.id: question for question in contract.assumptions}
    return [by_id[name] for name in dict.fromkeys([*named, *about]) if name in by_id]


def _aspect(contract: Contract, aspect: Aspect, weakened_by: list[Assumption]) -> dict[str, Any]:
    """Return an aspect as well as it is known for this kind of input."""
    known = [question.aspects[aspect.aspect] for question in weakened_by if aspect.aspect in question.aspects]
    body = aspect_body(contract, aspect, weakest([aspect.evidence, *known]))
    return {name: body[name] for name in ("aspect", "says", "grade", "source", "title", "date", "note")}


def _assumption(contract: Contract, question: Assumption) -> dict[str, Any]:
    taken = contract.takes(question.id)
    return {
        "id": question.id,
        "question": question.question,
        "taken": taken,
        "does": question.alternatives.get(taken, ""),
        "settled_by": question.probe,
    }
