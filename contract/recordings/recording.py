"""Recordings: what a service answered to the cases, by rule and by what was sent.

What varies from run to run and what is private is masked (`recordings/masking.py`), so that a new recording differs from the old one only
where the service does.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pybase64

from ..judge.reply import describe, envelope_of, shown
from ..pictures import measure
from ..verify.results import takes_any_key
from .masking import Masker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cases.case import Case
    from ..verify.results import Report, Result

ACCEPTED = "accepted"
"""Name of the file for the cases that are of no single rule."""
OLD = timedelta(days=90)
LONGEST_SENT = 300
LARGE = 100_000
"""Bytes of a picture file that was made so large on purpose; the size of others depends on the version of a library."""
REPEATED = re.compile(r"(.)\1{40,}")
PICTURE = re.compile(r"(?:iVBORw0KGgo|/9j/)[A-Za-z0-9+/_\-\n]{20,}={0,2}")
"""A PNG or JPEG in Base64 of any dialect."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered to one case, masked."""

    case: str
    """Id of the case, for the reader."""
    sent: str
    """What was sent, in short, for the reader."""
    http: int
    headers: Mapping[str, str]
    body: dict[str, Any] | None
    """None where the answer was no JSON object."""
    other: str = ""
    """What such an answer was: a page, a redirect, ..."""
    blamed: str = ""
    """The rule for which a request that should be accepted was refused."""
    value: str = ""
    """The value that broke the rule, where a text may quote it."""
    task: list[dict[str, Any]] = field(default_factory=list)
    """The task in each state in which it was seen."""

    @property
    def envelope(self) -> str:
        """Name of its envelope, as `envelope_of` has it."""
        return envelope_of(self.body)

    @property
    def accepted(self) -> bool:
        """Whether the request was accepted."""
        return 200 <= self.http < 300 and (bool(self.task) or self.envelope == "success")

    @property
    def inner(self) -> dict[str, Any]:
        """What holds code and message."""
        inner = (self.body or {}).get("error", self.body)
        return inner if isinstance(inner, dict) else {}

    @property
    def summary(self) -> str:
        """The answer in a few words."""
        if self.body is None:
            return f"{self.http}, {self.other}"
        if self.accepted:
            end = self.task[-1] if self.task else {}
            reason = f", {shown(end['task_status_msg'])}" if end.get("task_status_msg") else ""
            return f"accepted, then {end.get('task_status')}{reason}" if end else f"{self.http}, accepted"
        return f"{self.http}/{shown(self.inner.get('code'))} {shown(self.inner.get('message'))}"


@dataclass(frozen=True, slots=True)
class Recording:
    """The answers of one service."""

    target: str
    contract: str
    at: datetime
    answers: Mapping[str, Mapping[str, Answer]]
    """By rule (or promise, or ACCEPTED), then by the key of the case."""

    def find(self, place: str, key: str) -> Answer | None:
        """Return the answer to a case, if there is one; `place_of` and `key_of` tell where it stands."""
        return self.answers.get(place, {}).get(key)

    def is_old(self, now: datetime) -> bool:
        """Tell whether it should be made anew."""
        return now - self.at > OLD


# What was sent


def place_of(case: Case) -> str:
    """Return under which name the answers to a case are kept."""
    return case.subject or ACCEPTED


def key_of(case: Case, run: str) -> str:
    """Return what stands for a request: the same in each run, another for everything else that is sent."""
    request = case.request
    canonical = {
        "method": request.method,
        "path": request.path.replace(run, "<run>"),
        "authorization": request.authorization,
        "content_type": request.content_type,
        "other_key": case.other_key,
        "after": bool(case.after),
        "body": canonical_body(case, run),
    }
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()[:16]


def canonical_body(case: Case, run: str) -> str:
    """Return the body of a case without what differs from run to run: external ids, and the bytes of pictures."""
    request = case.request
    if request.raw is not None:
        text = PICTURE.sub(lambda match: _picture(match[0]), request.raw.decode("utf-8", "backslashreplace"))
    elif request.body is None:
        return ""
    else:
        body = _without_pictures(request.body)
        text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.replace(f"{run}-", "<run>-")


def _without_pictures(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _without_pictures(child) for name, child in node.items()}
    if isinstance(node, list):
        return [_without_pictures(child) for child in node]
    if isinstance(node, str) and len(node) > LONGEST_SENT:
        starts = [node.find(start) for start in ("iVBORw0KGgo", "/9j/")]
        start = min((each for each in starts if each >= 0), default=-1)
        return node if start < 0 else node[:start] + _picture(node[start:])
    return node


def _picture(text: str) -> str:
    """Describe a picture in Base64; two libraries pack the same picture into different bytes."""
    plain = text.replace("\n", "") if "\n" in text else text
    size = len(plain.rstrip("=")) * 3 // 4
    head = plain[:4000].replace("-", "+").replace("_", "/").rstrip("=")
    pixels = measure(pybase64.b64decode(head + "=" * (-len(head) % 4)))
    facts = ["PNG" if plain.startswith("iVBOR") else "JPEG"]
    facts += [f"{pixels[0]} x {pixels[1]} px"] if pixels else []
    facts += [f"{size} bytes"] if size > LARGE else []
    facts += ["line breaks"] if plain is not text else []
    facts += ["no padding"] if len(plain) % 4 else []
    facts += ["URL-safe"] if "_" in plain or "-" in plain else []
    return f"<{', '.join(facts)}>"


# From a run


def record(report: Report, at: datetime) -> Recording:
    """Return the answers of a run, masked. Its options must have had `keep`."""
    masker = Masker(report)
    answers: dict[str, dict[str, Answer]] = {}
    for result in report.results:
        if result.reply and not takes_any_key(report.contract, report.options, result.case, result.reply):
            key = key_of(result.case, report.options.run)
            answers.setdefault(place_of(result.case), {})[key] = _answer(report, masker, result)
    return Recording(_public(report.target), report.contract.name, at, answers)


def _answer(report: Report, masker: Masker, result: Result) -> Answer:
    case, reply = result.case, result.reply
    assert reply  # noqa: S101 - only answered cases come here
    masked = masker.mask(result, reply)
    body = canonical_body(case, report.options.run)
    body = REPEATED.sub(r"\1\1\1...", body)[:LONGEST_SENT]
    sent = masker.text(f"{case.request.method} {case.request.path} {body}".strip())
    blamed = next((each.subject for each in result.deviations if each.kind == "refused"), "")
    value = case.details.get("value")
    quotable = isinstance(value, (str, int, float)) and not isinstance(value, bool) and len(str(value)) <= LONGEST_SENT
    return Answer(
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
