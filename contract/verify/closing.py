"""Fill in the report of a run that has ended, whatever ended it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .budget import make_plan
from .results import HOLDS, SKIPPED, Report
from .selection import to_send, untested

if TYPE_CHECKING:
    from .sending import Sender
    from .stopping import Stopping

TOO_DEAR = "does not fit into what is left of the budget"
"""Why a case was skipped that the budget has no room for."""


def close(report: Report, stopping: Stopping, sender: Sender) -> None:
    """Say what came of the run as a whole."""
    report.requests, report.creates, report.spent = sender.requests, sender.creates, sender.budget.most
    report.incomplete = report.bug
    if stopping.reason:
        _skip_what_was_not_tested(report, stopping)
    report.incomplete = _why_incomplete(report, stopping)
    if missing := untested(report.contract, report.cases) if report.options.whole else []:
        report.notes.append(f"not tested, since it cannot be brought about from outside: {', '.join(missing)}")


def _skip_what_was_not_tested(report: Report, stopping: Stopping) -> None:
    for result in report.results:
        if result.state == HOLDS and (result.reply is None or result.is_open):
            result.skip(stopping.reason, planned=stopping.planned)


def _why_incomplete(report: Report, stopping: Stopping) -> str:
    if report.interrupted:
        return "interrupted"
    if report.bug:
        return report.bug
    missed = [result for result in report.of(SKIPPED) if not result.planned]
    if stopping.silent or not missed:
        return stopping.silent
    if dear := sum(result.reason == TOO_DEAR for result in missed):
        enough = make_plan(report.contract, to_send(report.cases, report.options)).enough
        return f"the budget was too small for {dear} cases; {enough} {report.contract.currency} is enough for all"
    first = stopping.no_creates or missed[0].reason
    return f"{len(missed)} cases were not tested that were to be; the first {first}"
