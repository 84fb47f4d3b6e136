"""A report of a run in four forms: text for a terminal, Markdown, JSON, JUnit. What a service has repeated of a key is hidden before (`verify/sending.py`)."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from ..judge.deviation import DEVIATION_KINDS
from ..markdown import code, prose
from ..printable import printable
from .causes import causes
from .reproduce import curl, python
from .results import SKIPPED
from .told import commands, explanation, keep, known_by, listed, meaning, summary, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ..evidence import Evidence
    from ..judge.deviation import Deviation
    from .causes import Cause
    from .results import Report, Result

LEGEND = """\
## Words

- *Deviates*: an answer is another than is documented, or than was recorded. *Learned*: it is another than was inferred, which answers an open
  question about the service; `klingkit assumptions` lists those. *Holds*: it is as expected. *Not tested*: the case was not sent, or what
  came says nothing of the service.
- A *case* is one request with the answer that the contract expects; `klingkit cases` lists them, `klingkit rules` the rules.
  `openapi.yaml#/...` is the place of a rule in the contract of klingkit.
- *Evidence* is how well the contract knows what deviates: *documented* on a page of the vendor, *recorded* as somebody got it, or *inferred*.
  What is unknown is judged nowhere.
- *May cost money*: whether the request is refused rests on an assumption; if it is not, it makes pictures, which are billed.
"""


def as_text(report: Report) -> str:
    """Return the report for a terminal: what deviates, each cause once, then what was learned, then what it comes to."""
    lines: list[str] = []
    for cause in _deviating_first(report):
        result, deviation = cause.example
        word = "" if cause.is_learned else "deviates: "
        lines += [f"{word}{_title(cause)}", f"  {meaning(report.contract, deviation.requirement)}"]
        lines += [f"  {line}" for line in [*_facts(report, deviation), *_shown_by(cause), *_settled(report, cause)]]
        lines += [f"  {line}" for line in commands(report, result, deviation.requirement)]
        lines.append("")
    return _lines([*lines, *summary(report)])


def _deviating_first(report: Report) -> list[Cause]:
    return sorted(causes(report), key=lambda cause: cause.is_learned)


def _title(cause: Cause) -> str:
    return f"learned: {cause.title}" if cause.is_learned else cause.title


def _settled(report: Report, cause: Cause) -> Iterator[str]:
    """Yield which open questions something answers, and how that is kept."""
    if cause.assumptions:
        yield f"settles {listed(cause.assumptions, 8)}"
    if cause.is_learned:
        yield f"keep it: {keep(report, cause.example[1].requirement)}"


def case_text(report: Report, result: Result, *, learned: bool = False) -> str:
    """Return what deviates in one case, or what was learned by it; empty if there is nothing."""
    found = [deviation for deviation in result.deviations if deviation.is_learned == learned]
    if not found:
        return ""
    lines = []
    for deviation in found:
        lines.append(f"{deviation.requirement}  {meaning(report.contract, deviation.requirement)}")
        lines.append(f"{result.case.id}: {DEVIATION_KINDS[deviation.kind]}")
        lines += [f"  {line}" for line in _facts(report, deviation)]
    return _lines([*lines, *commands(report, result, found[0].requirement)])


def _lines(lines: Iterable[str]) -> str:
    """Return lines as they can be printed, whatever a service has put into them."""
    return "\n".join(map(printable, lines))


def _facts(report: Report, deviation: Deviation) -> list[str]:
    known = known_by(report.contract, deviation.evidence)
    return [f"expected {deviation.expected}", f"got {deviation.got}", f"evidence {known}"]


def _shown_by(cause: Cause) -> Iterator[str]:
    if len(cause.requirements) > 1:
        yield f"rules {listed(cause.requirements, 8)}"
    yield f"cases {listed(cause.cases, 8)}"


def as_markdown(report: Report, at: datetime) -> str:
    """Return the report in Markdown: the verdict first, then a table of what deviates, then each with one way to show it."""
    found = _deviating_first(report)
    deviating = [cause for cause in found if not cause.is_learned]
    word = verdict(report).capitalize()
    lines = [f"# {word}: {code(report.target)}", "", f"{prose(explanation(report, found))}", ""]
    lines += [f"- {prose(line)}" for line in summary(report)]
    lines += [f"- {at:%Y-%m-%d %H:%M} UTC, contract {code(str(report.contract.choice))}"]
    if deviating:
        lines += ["", "| | rule | what | expected | got | cases | evidence |", "|---|---|---|---|---|---|---|"]
        lines += [_row(number, cause) for number, cause in enumerate(deviating, 1)]
    if learned := found[len(deviating) :]:
        lines += ["", "What was learned: the service answers open questions otherwise than was inferred.", ""]
        lines += ["| | rule | what | inferred | got | cases | settles |", "|---|---|---|---|---|---|---|"]
        lines += [_row(number, cause) for number, cause in enumerate(learned, len(deviating) + 1)]
    for number, cause in enumerate(found, 1):
        lines += ["", *_section(report, number, cause)]
    return "\n".join([*lines, "", LEGEND])


def _row(number: int, cause: Cause) -> str:
    _, deviation = cause.example
    rules = cause.requirements
    more = f" and {len(rules) - 1} more" if len(rules) > 1 else ""
    cells = (
        str(number),
        code(rules[0]) + more,
        DEVIATION_KINDS[deviation.kind],
        code(deviation.expected),
        code(deviation.got),
        str(len(cause.cases)),
        ", ".join(map(code, cause.assumptions)) or "-" if cause.is_learned else cause.evidence.grade,
    )
    return f"| {' | '.join(cells)} |"


def _section(report: Report, number: int, cause: Cause) -> Iterator[str]:
    """Yield the lines about one cause."""
    result, deviation = cause.example
    yield from (f"## {number}. {prose(_title(cause))}", "")
    if text := meaning(report.contract, deviation.requirement):
        yield from (f"{code(deviation.requirement)}: {prose(text)}", "")
    for line in [f"evidence {known_by(report.contract, cause.evidence)}", *_shown_by(cause), *_settled(report, cause)]:
        yield from (f"{prose(line)}", "")
    yield from ("```sh", *curl(report, result, deviation.requirement).split("\n"), "```")
    if program := python(report, result, deviation.requirement):
        yield from ("", "```python", program, "```")


def as_json(report: Report, at: datetime) -> str:
    """Return the report as one JSON object."""
    found = causes(report)
    return json.dumps(
        {
            "target": report.target,
            "contract": str(report.contract.choice),
            "at": at.isoformat(timespec="seconds"),
            "verdict": verdict(report),
            "explanation": explanation(report, found),
            "seed": report.options.seed,
            "requests": report.requests,
            "creates": report.creates,
            "spent": str(report.spent),
            "notes": report.notes,
            "incomplete": report.incomplete,
            "causes": [_cause(report, cause) for cause in found if not cause.is_learned],
            "learned": [_cause(report, cause) for cause in found if cause.is_learned],
            "unmentioned_fields": report.unmentioned,
            "results": [_result(report, result) for result in report.results],
        },
        indent=1,
    )


def _cause(report: Report, cause: Cause) -> dict[str, Any]:
    result, deviation = cause.example
    requirement = deviation.requirement
    return {
        "rules": cause.requirements,
        **{name: getattr(deviation, name) for name in ("kind", "expected", "got")},
        **_known(report, cause.evidence),
        "settles": cause.assumptions,
        "cases": cause.cases,
        "curl": curl(report, result, requirement),
        "python": python(report, result, requirement),
    }


def _result(report: Report, result: Result) -> dict[str, Any]:
    case = result.case
    row: dict[str, Any] = {"case": case.id, "rule": case.requirement, "state": result.state}
    if result.state == SKIPPED:
        row["reason"] = result.reason
    if result.deviations:
        row["deviations"] = [_deviation(report, deviation) for deviation in result.deviations]
        first = result.deviations[0].requirement
        row |= {"curl": curl(report, result, first), "python": python(report, result, first)}
    return row


def _deviation(report: Report, deviation: Deviation) -> dict[str, str]:
    row = {name: getattr(deviation, name) for name in ("kind", "expected", "got")}
    settled = {"settles": deviation.assumption} if deviation.assumption else {}
    return {"subject": deviation.requirement, **row, **_known(report, deviation.evidence), **settled}


def _known(report: Report, evidence: Evidence) -> dict[str, str]:
    source = report.contract.sources.entries.get(evidence.source, {}).get("title", evidence.source)
    return {"evidence": evidence.grade, "source": source, "date": evidence.date}


def as_junit(report: Report, at: datetime) -> str:
    """Return the report as JUnit XML: a suite for each rule, a test for each case, with the time that its exchange took."""
    root = ET.Element(
        "testsuites", {"name": f"klingkit verify {printable(report.target)}", **_totals(report, report.results)}
    )
    suites: dict[str, list[Result]] = defaultdict(list)
    for result in report.results:
        suites[result.case.requirement or "accepted"].append(result)
    for requirement, results in suites.items():
        timestamp = at.isoformat(timespec="seconds")
        suite = ET.SubElement(
            root, "testsuite", {"name": requirement, "timestamp": timestamp, **_totals(report, results)}
        )
        for result in results:
            _add_test(suite, report, result)
    ET.indent(root, " ")
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _totals(report: Report, results: list[Result]) -> dict[str, str]:
    failed = sum(any(map(report.counts, result.deviations)) for result in results)
    skipped = sum(result.state == SKIPPED for result in results)
    counts = {"tests": len(results), "failures": failed, "skipped": skipped, "errors": 0}
    return {**{name: str(count) for name, count in counts.items()}, "time": f"{sum(map(_seconds, results)):.3f}"}


def _seconds(result: Result) -> float:
    return result.reply.seconds if result.reply else 0.0


def _add_test(suite: ET.Element, report: Report, result: Result) -> None:
    where = {"classname": f"klingkit.{suite.get('name')}", "name": result.case.id}
    test = ET.SubElement(suite, "testcase", {**where, "time": f"{_seconds(result):.3f}"})
    if result.state == SKIPPED:
        ET.SubElement(test, "skipped", message=printable(result.reason))
    failures = [deviation for deviation in result.deviations if report.counts(deviation)]
    if learned := case_text(report, result, learned=True):
        ET.SubElement(test, "system-out").text = f"learned:\n{learned}"
    if failures:
        first, more = failures[0], len(failures) - 1
        message = f"{first.requirement}: {DEVIATION_KINDS[first.kind]}{f', and {more} more' if more else ''}"
        failure = ET.SubElement(test, "failure", type=first.kind, message=message)
        failure.text = case_text(report, result) or learned
