"""What all forms of a report say: the verdict, what a run comes to, what a rule means."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..evidence import told
from .reproduce import curl, python
from .results import DEVIATES, HOLDS, SKIPPED

if TYPE_CHECKING:
    from ..spec import Contract
    from .causes import Cause
    from .results import Report, Result

WORDS = {HOLDS: "hold", DEVIATES: "deviate", SKIPPED: "not tested"}
INCOMPLETE = "incomplete"


def verdict(report: Report) -> str:
    """Say in one word what came of it: `holds`, `deviates` or `incomplete`."""
    if report.of(DEVIATES):
        return DEVIATES
    return INCOMPLETE if report.incomplete or not report.of(HOLDS) else HOLDS


def explanation(report: Report, found: list[Cause]) -> str:
    """Explain the verdict in a sentence or two."""
    tested, deviating = len(report.results) - len(report.of(SKIPPED)), len(report.of(DEVIATES))
    left = f" Besides, the run is incomplete: {report.incomplete}." if report.incomplete else ""
    name = report.contract.name
    if verdict(report) == DEVIATES:
        ways = f"{len(found)} ways" if len(found) > 1 else "one way"
        return f"It deviates from the contract {name} in {ways}, seen in {deviating} of {tested} tested cases.{left}"
    if verdict(report) == HOLDS:
        return f"It does what the contract {name} says in all of {tested} tested cases."
    if not tested:
        return f"No case was tested, so nothing is known of it.{left}"
    return f"It does what the contract {name} says in {tested} tested cases, but less was tested than was to be.{left}"


def summary(report: Report) -> list[str]:
    """Return what the run comes to, in a few lines."""
    counts = ", ".join(f"{len(report.of(state))} {word}" for state, word in WORDS.items())
    lines = [f"{report.target}: {counts}; {report.total}", *not_tested(report), *report.notes]
    return [*lines, f"incomplete: {report.incomplete}"] if report.incomplete else lines


def not_tested(report: Report) -> list[str]:
    """Return a line for each reason why cases were not tested."""
    reasons = Counter(result.reason for result in report.of(SKIPPED))
    return [f"not tested: {cases_for(reason, count)}" for reason, count in reasons.items()]


def cases_for(reason: str, count: int) -> str:
    """Say of how many cases a reason is."""
    return f"1 case, which {reason}" if count == 1 else f"{count} cases, each {reason}"


def listed(names: list[str], most: int) -> str:
    """Return names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def commands(report: Report, result: Result, requirement: str) -> list[str]:
    """Return the lines of a command and of a program that show a deviation again."""
    program = python(report, result, requirement)
    return [*curl(report, result, requirement).split("\n"), *filter(None, program.split("\n"))]


def meaning(contract: Contract, requirement: str) -> str:
    """Say what a rule or promise is, where it stands and what it rests on."""
    if promise := contract.promises.get(requirement):
        return f"{promise.text} (openapi.yaml#/x-promises/{requirement}; {promise.evidence.grade})"
    if rule := contract.rules.get(requirement):
        answer = "an HTML page" if "<html>" in rule.template else rule.template
        return f"{answer} (openapi.yaml#{rule.pointer}; {told(rule.aspects)})"
    return ""
