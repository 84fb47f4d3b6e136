"""What a recording is: the answers of a service to the cases, by rule and by what was sent.

It knows nothing of the run that it was made from (`from_run.py`): a simulator that answers as recorded needs no verifier.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pybase64

from ..judge.deviation import clipped, shown
from ..judge.reading import code_and_message, envelope_of, inner_of
from ..pictures import measure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cases.case import Case

ACCEPTED = "accepted"
"""The section for the cases that are of no single rule."""
OLD = timedelta(days=90)
LONGEST_SENT = 300
TOKEN = re.compile(r"\beyJ[\w-]*\.")
"""A signed token, which is another one for each pair of keys."""
LARGE = 100_000
"""Bytes of a picture file that was made so large on purpose; the size of others depends on the version of a library."""
PICTURE = re.compile(r"(?:iVBORw0KGgo|/9j/)[A-Za-z0-9+/_\-\n]{20,}={0,2}")
"""A PNG or JPEG in Base64 of any dialect."""


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
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
        return inner_of(self.body)

    @property
    def summary(self) -> str:
        """The answer in a few words."""
        if self.accepted:
            end = self.task[-1] if self.task else {}
            reason = f", {shown(end['task_status_msg'])}" if end.get("task_status_msg") else ""
            return f"accepted, then {clipped(str(end.get('task_status')))}{reason}" if end else f"{self.http}, accepted"
        if self.body is None:
            return f"{self.http}, {self.other}"
        return code_and_message(self.http, self.body)


@dataclass(frozen=True, slots=True)
class Recording:
    """The answers of one service."""

    target: str
    contract: str
    """Its choice, as text."""
    at: datetime
    answers: Mapping[str, Mapping[str, RecordedAnswer]]
    """By rule (or promise, or ACCEPTED), then by the key of the case."""

    def find(self, section: str, key: str) -> RecordedAnswer | None:
        """Return the answer to a case, if there is one; `section_of` and `key_of` tell where it stands."""
        return self.answers.get(section, {}).get(key)

    def is_old(self, now: datetime) -> bool:
        """Tell whether it should be made anew."""
        return now - self.at > OLD


# What was sent


def section_of(case: Case) -> str:
    """Return the section of a recording in which the answers to a case are kept, a file of that name."""
    return case.requirement or ACCEPTED


def key_of(case: Case, run: str) -> str:
    """Return what stands for a request: the same in each run, another for everything else that is sent."""
    request = case.request
    canonical = {
        "method": request.method,
        "path": request.path.replace(run, "<run>"),
        "authorization": case.id if TOKEN.search(request.authorization or "") else request.authorization,
        "content_type": request.content_type,
        "other_key": case.other_key,
        "after": [bool(case.after), case.late],
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
        starts = [start for start in map(node.find, ("iVBORw0KGgo", "/9j/")) if start >= 0]
        return node[: min(starts)] + _picture(node[min(starts) :]) if starts else node
    return node


def _picture(text: str) -> str:
    """Describe a picture in Base64; two libraries pack the same picture into different bytes."""
    plain = text.replace("\n", "") if "\n" in text else text
    size = len(plain.rstrip("=")) * 3 // 4
    # The size in px stands in the first bytes; 4000 characters are whole groups of four, so a cut can be decoded.
    head = plain[:4000].replace("-", "+").replace("_", "/").rstrip("=")
    pixels = measure(pybase64.b64decode(head + "=" * (-len(head) % 4)))
    facts = ["PNG" if plain.startswith("iVBOR") else "JPEG"]
    facts += [f"{pixels[0]} x {pixels[1]} px"] if pixels else []
    facts += [f"{size} bytes"] if size > LARGE else []
    facts += ["line breaks"] if plain is not text else []
    facts += ["no padding"] if len(plain) % 4 else []
    facts += ["URL-safe"] if "_" in plain or "-" in plain else []
    return f"<{', '.join(facts)}>"
