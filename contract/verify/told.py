"""What all forms of a report say: the verdict, what a run comes to, what a rule means."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from .reproduce import curl, python
from .results import DEVIATES, HOLDS, LEARNED, SKIPPED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..evidence import Evidence
    from ..spec import Contract
    from .causes import Cause
    from .results import Report, Result

WORDS = {HOLDS: "hold", DEVIATES: "deviate", LEARNED: "learned", SKIPPED: "not tested"}
INCOMPLETE = "incomplete"


def verdict(report: Report) -> str:
    """Say in one word what came of it: `holds`, `deviates`, `learned` or `incomplete`."""
    if report.of(DEVIATES):
        return DEVIATES
    if report.incomplete or not (report.of(HOLDS) or report.of(LEARNED)):
        return INCOMPLETE
    return LEARNED if report.of(LEARNED) else HOLDS


def explanation(report: Report, found: list[Cause]) -> str:
    """Explain the verdict in a sentence or two."""
    tested, deviating = len(report.results) - len(report.of(SKIPPED)), len(report.of(DEVIATES))
    left = f" Besides, the run is incomplete: {report.incomplete}." if report.incomplete else ""
    name = report.contract.choice
    learned = [cause for cause in found if cause.is_learned]
    taught = f" It answers {_counted(learned, 'open question')} otherwise than was inferred." if learned else ""
    left = taught + left
    if verdict(report) == DEVIATES:
        ways = f"{len(found) - len(learned)} ways" if len(found) - len(learned) > 1 else "one way"
        return f"It deviates from the contract {name} in {ways}, seen in {deviating} of {tested} tested cases.{left}"
    if verdict(report) == LEARNED:
        return f"It does what is known of the contract {name} in all of {tested} tested cases.{left}"
    if verdict(report) == HOLDS:
        return f"It does what the contract {name} says in all of {tested} tested cases."
    if not tested:
        return f"No case was tested, so nothing is known of it.{left}"
    return f"It does what the contract {name} says in {tested} tested cases, but less was tested than was to be.{left}"


def summary(report: Report) -> list[str]:
    """Return what the run comes to, in a few lines."""
    counts = ", ".join(f"{len(report.of(state))} {word}" for state, word in WORDS.items())
    lines = [f"{report.target}: {counts}; {report.total}", *_failing(report), *not_tested(report), *report.notes]
    lines += _unmentioned(report)
    return [*lines, f"incomplete: {report.incomplete}"] if report.incomplete else lines


def _counted(things: Sequence[object], word: str) -> str:
    return f"{len(things)} {word}s" if len(things) > 1 else f"one {word}"


def _failing(report: Report) -> list[str]:
    """Say why a run fails in which nothing deviates: by `fail_on`, what was learned counts too."""
    failing = [result for result in report.of(LEARNED) if any(map(report.counts, result.deviations))]
    return (
        [f"{_counted(failing, 'learned case')} counted as a failure, by --fail-on {report.fail_on}"] if failing else []
    )


def _unmentioned(report: Report) -> list[str]:
    fields = report.unmentioned
    return [f"fields that no page mentions, which is no deviation: {listed(fields, 8)}"] if fields else []


def known_by(contract: Contract, evidence: Evidence) -> str:
    """Say how well something is known, and from where."""
    source = contract.sources.entries.get(evidence.source, {}).get("title", evidence.source)
    note = f"; {evidence.note}" if evidence.note else ""
    return f"{evidence.grade} ({source}, {evidence.date}{note})"


def keep(report: Report, requirement: str) -> str:
    """Return the command that keeps what was learned of a rule or promise."""
    return f"klingkit record {shlex.quote(report.url)} --only {requirement} --out recordings"


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
    """Say what a rule or promise is, and where it stands."""
    if promise := contract.promises.get(requirement):
        return f"{promise.text} (openapi.yaml#/x-promises/{requirement})"
    if rule := contract.rules.get(requirement):
        answer = "an HTML page" if "<html>" in rule.template else rule.template
        return f"{answer} (openapi.yaml#{rule.pointer})"
    return ""
