"""What a recording settles: which aspects would be recorded by it that are inferred or unknown today, and which it contradicts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..behaviours import SHOWN, aspects_of, fields_in
from ..cases.catalogue import build_cases
from ..evidence import ANSWER, DOCUMENTED, LIMIT, RECORDED, TEXT, weakest
from ..judge.answer_schema import ENVELOPES
from ..judge.rule_texts import is_of
from .replay import recorded_error, recorded_failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..behaviours import Aspect
    from ..evidence import Evidence
    from ..rule import Rule
    from ..spec import Contract
    from .recording import RecordedAnswer, Recording

KNOWN = (DOCUMENTED, RECORDED)


@dataclass(slots=True)
class Settled:
    """What the recorded answers say of one aspect, for all inputs or for those of one open question."""

    aspect: Aspect
    evidence: Evidence
    """How well it is known today for these inputs."""
    assumption: str
    """The open question whose inputs they are; empty for all others."""
    agree: list[str] = field(default_factory=list)
    """Cases."""
    otherwise: dict[str, str] = field(default_factory=dict)
    """By case what was answered that the contract does not say."""

    @property
    def raised(self) -> bool:
        """Whether it would be recorded, and is less than that today."""
        return not self.otherwise and self.evidence.grade not in KNOWN


def settle(recording: Recording, contract: Contract) -> list[Settled]:
    """Return what a recording settles, in the order of the contract.

    A limit counts as seen if every recorded case that breaks it was refused; that the good side was accepted is judged by `verify`.
    """
    aspects = {aspect.id: aspect for aspect in aspects_of(contract)}
    found: dict[tuple[str, str], Settled] = {}
    for section, answers in recording.answers.items():
        for answer in answers.values():
            rule = contract.rules.get(section)
            seen = dict(_seen(contract, rule, answer)) if rule else {}
            for name, otherwise in seen.items():
                aspect = aspects[f"rule {section}, {name}"]
                evidence, assumption = _known_today(contract, aspect, answer)
                row = found.setdefault((aspect.id, assumption), Settled(aspect, evidence, assumption))
                if otherwise:
                    row.otherwise[answer.case] = otherwise
                else:
                    row.agree.append(answer.case)
            for name in _fields(answer) & aspects.keys():
                row = found.setdefault((name, ""), Settled(aspects[name], aspects[name].evidence, ""))
                row.agree.append(answer.case)
    places = {name: place for place, name in enumerate(aspects)}
    return [row for _, row in sorted(found.items(), key=lambda item: (places[item[0][0]], item[0][1]))]


def _known_today(contract: Contract, aspect: Aspect, answer: RecordedAnswer) -> tuple[Evidence, str]:
    """Return how well an aspect is known for the input of a case, and the open question that overrules it there."""
    for assumption in contract.questions.about_kind(aspect.name, _kinds(contract).get(answer.case, "")):
        if aspect.aspect in assumption.aspects:
            return weakest([aspect.evidence, assumption.aspects[aspect.aspect]]), assumption.id
    return aspect.evidence, ""


@lru_cache(maxsize=4)
def _kinds(contract: Contract) -> dict[str, str]:
    """Return the kind of the input of each case that breaks a rule."""
    return {case.id: case.rule.kind for case in build_cases(contract) if case.rule}


def _seen(contract: Contract, rule: Rule, answer: RecordedAnswer) -> Iterator[tuple[str, str]]:
    """Yield each aspect that an answer shows, and what it has that the contract does not say; empty if they agree."""
    seen = recorded_error(contract, rule.error, answer) if rule.error else recorded_failure(contract, answer)
    refused = isinstance(seen, tuple) or bool(rule.error and not answer.accepted)
    yield LIMIT, "" if refused else answer.summary
    if not refused:
        return
    if isinstance(seen, str):
        yield ANSWER, answer.summary
        return
    error, text = seen
    yield ANSWER, "" if error == rule.error else answer.summary
    if text is not None:
        yield TEXT, "" if is_of(rule, text) else text


def _fields(answer: RecordedAnswer) -> set[str]:
    """Return the fields that an answer and its task show, as the aspects name them."""
    data = answer.body.get("data") if answer.body else None
    operation = "get_task" if isinstance(data, dict) and "task_result" in data else "create_task"
    operation = "list_tasks" if isinstance(data, list) else operation
    shown = list(fields_in(ENVELOPES.get(answer.envelope, operation), answer.body))
    for view in answer.task:
        shown += fields_in("get_task.data", view)
    return {f"{SHOWN} {place}" for place, _ in shown}


def group(rows: list[Settled]) -> dict[str, list[Settled]]:
    """Return what would be raised, what is contradicted, and what was known as well before."""
    groups: dict[str, list[Settled]] = defaultdict(list)
    for row in rows:
        groups["raised" if row.raised else "contradicted" if row.otherwise else "confirmed"].append(row)
    return groups


def as_json(recording: Recording, rows: list[Settled]) -> dict[str, Any]:
    """Return it as JSON."""
    groups = group(rows)
    return {
        "target": recording.target,
        "contract": recording.contract,
        "date": f"{recording.at:%Y-%m-%d}",
        "raised": [{**_row(row), "cases": row.agree} for row in groups["raised"]],
        "contradicted": [
            {**_row(row), "cases": row.agree, "otherwise": row.otherwise} for row in groups["contradicted"]
        ],
        "confirmed": len(groups["confirmed"]),
    }


def _row(row: Settled) -> dict[str, Any]:
    aspect = row.aspect
    return {
        "kind": aspect.kind,
        "name": aspect.name,
        "aspect": aspect.aspect,
        "assumption": row.assumption,
        "grade": row.evidence.grade,
        "says": aspect.says,
    }
