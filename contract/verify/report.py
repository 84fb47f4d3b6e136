"""A report of a run in four forms: text for a terminal, Markdown, JSON, JUnit. What a service has repeated of a key is hidden before (`verify/sending.py`)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from ..judge.deviation import DEVIATION_KINDS
from ..markdown import code, prose
from .reproduce import curl, python
from .results import DEVIATES, HOLDS, SKIPPED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ..judge.deviation import Deviation
    from ..spec import Contract
    from .results import Report, Result


def as_text(report: Report) -> str:
    """Return the report for a terminal: what deviates, by rule, then what it comes to."""
    lines = []
    for requirement, found in by_requirement(report).items():
        lines.append(f"{requirement}  {meaning(report.contract, requirement)}")
        lines += [f"  {line}" for result, deviation in found for line in _lines(result, deviation)]
        lines += [f"  {line}" for line in commands(report, found[0][0], requirement)]
        lines.append("")
    return "\n".join(lines + summary(report))


def case_text(report: Report, result: Result) -> str:
    """Return what deviates in one case; empty if nothing does."""
    if not result.deviations:
        return ""
    lines = []
    for deviation in result.deviations:
        lines.append(f"{deviation.requirement}  {meaning(report.contract, deviation.requirement)}")
        lines += _lines(result, deviation)
    return "\n".join([*lines, *commands(report, result, result.deviations[0].requirement)])


def commands(report: Report, result: Result, requirement: str) -> list[str]:
    """Return the lines of a command and of a program that show a deviation again."""
    program = python(report, result, requirement)
    return [*curl(report, result, requirement).split("\n"), *filter(None, program.split("\n"))]


def _lines(result: Result, deviation: Deviation) -> Iterator[str]:
    yield f"{result.case.id}: {DEVIATION_KINDS[deviation.kind]}"
    yield f"  expected {deviation.expected}"
    yield f"  got {deviation.got}"
    yield f"  evidence {deviation.evidence}"


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


WORDS = {HOLDS: "hold", DEVIATES: "deviate", SKIPPED: "not tested"}


def as_markdown(report: Report, at: datetime) -> str:
    """Return the report in Markdown."""
    lines = [f"# {report.target} against the contract {report.contract.name}", "", f"{at:%Y-%m-%d %H:%M} UTC.", ""]
    lines += [f"- {prose(line)}" for line in summary(report)]
    for requirement, found in by_requirement(report).items():
        lines += ["", f"## {requirement}", "", meaning(report.contract, requirement), ""]
        lines += ["| case | what | expected | got | evidence |", "|---|---|---|---|---|"]
        lines += [_row(result, deviation) for result, deviation in found]
        first = found[0][0]
        lines += ["", "```sh", curl(report, first, requirement), "```"]
        if program := python(report, first, requirement):
            lines += ["", "```python", program, "```"]
    return "\n".join(lines) + "\n"


def _row(result: Result, deviation: Deviation) -> str:
    what, expected, got = DEVIATION_KINDS[deviation.kind], code(deviation.expected), code(deviation.got)
    return f"| {code(result.case.id)} | {what} | {expected} | {got} | {deviation.evidence} |"


def as_json(report: Report, at: datetime) -> str:
    """Return the report as one JSON object."""
    return json.dumps(
        {
            "target": report.target,
            "contract": report.contract.name,
            "at": at.isoformat(timespec="seconds"),
            "seed": report.options.seed,
            "requests": report.requests,
            "creates": report.creates,
            "spent": str(report.spent),
            "notes": report.notes,
            "incomplete": report.incomplete,
            "results": [_result(report, result) for result in report.results],
        },
        indent=1,
    )


def _result(report: Report, result: Result) -> dict[str, Any]:
    case = result.case
    row: dict[str, Any] = {"case": case.id, "rule": case.requirement, "state": result.state}
    if result.state == SKIPPED:
        row["reason"] = result.reason
    if result.deviations:
        row["deviations"] = [_deviation(deviation) for deviation in result.deviations]
        first = result.deviations[0].requirement
        row |= {"curl": curl(report, result, first), "python": python(report, result, first)}
    return row


def _deviation(deviation: Deviation) -> dict[str, str]:
    row = {name: getattr(deviation, name) for name in ("kind", "expected", "got", "evidence")}
    return {"subject": deviation.requirement, **row}


def as_junit(report: Report, at: datetime) -> str:
    """Return the report as JUnit XML: a suite for each rule, a test for each case."""
    root = ET.Element("testsuites", name=f"klingkit verify {report.target}")
    suites: dict[str, list[Result]] = defaultdict(list)
    for result in report.results:
        suites[result.case.requirement or "accepted"].append(result)
    for requirement, results in suites.items():
        failed, skipped = (sum(result.state == state for result in results) for state in (DEVIATES, SKIPPED))
        suite = ET.SubElement(root, "testsuite", name=requirement, timestamp=at.isoformat(timespec="seconds"))
        counts = {"tests": len(results), "failures": failed, "skipped": skipped, "errors": 0}
        suite.attrib.update({name: str(count) for name, count in counts.items()})
        for result in results:
            _add_test(suite, report, result)
    ET.indent(root, " ")
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_test(suite: ET.Element, report: Report, result: Result) -> None:
    test = ET.SubElement(suite, "testcase", classname=f"klingkit.{suite.get('name')}", name=result.case.id)
    if result.state == SKIPPED:
        ET.SubElement(test, "skipped", message=result.reason)
    for deviation in result.deviations:
        message = f"{deviation.requirement}: {DEVIATION_KINDS[deviation.kind]}"
        failure = ET.SubElement(test, "failure", type=deviation.kind, message=message)
        lines = (f"expected {deviation.expected}", f"got {deviation.got}", f"evidence {deviation.evidence}")
        failure.text = _xml_safe("\n".join([*lines, *commands(report, result, deviation.requirement)]))


def _xml_safe(text: str) -> str:
    return "".join(char if char in "\n\t" or " " <= char < "\ufffe" or char > "\uffff" else "?" for char in text)


def by_requirement(report: Report) -> dict[str, list[tuple[Result, Deviation]]]:
    """Return the deviations by the rule or promise that is not kept."""
    found: dict[str, list[tuple[Result, Deviation]]] = defaultdict(list)
    for result in report.results:
        for deviation in result.deviations:
            found[deviation.requirement].append((result, deviation))
    return found


def meaning(contract: Contract, requirement: str) -> str:
    """Say what a rule or promise is, where it stands and what it rests on."""
    if promise := contract.promises.get(requirement):
        source = f", {promise.source}" if promise.source else ""
        return f"{promise.text} (#/x-promises/{requirement}; {promise.evidence}{source})"
    if rule := contract.rules.get(requirement):
        source = f"; {rule.source}" if rule.source else ""
        answer = "an HTML page" if "<html>" in rule.template else rule.template
        return f"{answer} (#{rule.pointer}; rule {rule.limit_evidence}, answer {rule.evidence}{source})"
    return ""
