"""Make a recording of a run.

What varies from run to run and what is private is masked (`masking.py`), so that a new recording differs from the old one only
where the service does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..judge.reading import describe
from ..verify.results import takes_any_key
from .masking import Masker
from .recording import LONGEST_SENT, RecordedAnswer, Recording, canonical_body, key_of, section_of

if TYPE_CHECKING:
    from datetime import datetime

    from ..verify.results import Report, Result

REPEATED = re.compile(r"(.)\1{40,}")


def record(report: Report, at: datetime) -> Recording:
    """Return the answers of a run, masked. Its options must have had `keep`."""
    masker = Masker(report)
    answers: dict[str, dict[str, RecordedAnswer]] = {}
    for result in report.results:
        if result.reply and not takes_any_key(report.contract, report.options, result.case, result.reply):
            key = key_of(result.case, report.options.run)
            answers.setdefault(section_of(result.case), {})[key] = _answer(report, masker, result)
    return Recording(_public(report.target), str(report.contract.choice), at, answers)


def _answer(report: Report, masker: Masker, result: Result) -> RecordedAnswer:
    case, reply = result.case, result.reply
    assert reply  # noqa: S101 - only answered cases come here
    masked = masker.mask(result, reply)
    body = canonical_body(case, report.options.run)
    body = REPEATED.sub(r"\1\1\1...", body)[:LONGEST_SENT]
    sent = masker.text(f"{case.request.method} {case.request.path} {body}".strip())
    blamed = next((refusal.requirement for refusal in result.deviations if refusal.kind == "refused"), "")
    value = case.details.get("value")
    quotable = isinstance(value, (str, int, float)) and not isinstance(value, bool) and len(str(value)) <= LONGEST_SENT
    return RecordedAnswer(
        case=case.id,
        sent=sent,
        http=reply.http,
        headers=masked.headers,
        body=masked.body,
        other="" if masked.body is not None else describe(reply).partition(", ")[2],
        blamed=blamed if case.accepted else "",
        value=masker.text(str(value)) if quotable else "",
        task=masked.task,
    )


def _public(target: str) -> str:
    """Return the name of a target without what could be private in a URL."""
    if "://" not in target:
        return target
    parts = urlsplit(target)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
