"""A deviation: one way in which a target differs from the contract; and how what a target said can stand in a report."""

from __future__ import annotations

from dataclasses import dataclass

from ..evidence import INFERRED, UNKNOWN, Evidence
from ..printable import printable

DEVIATION_KINDS = {
    "accepted": "a request that breaks a rule is accepted",
    "refused": "a right request is refused",
    "envelope": "the error comes in another form of JSON (its envelope), or not as JSON",
    "status": "the HTTP status is another",
    "code": "the code is another",
    "text": "the text is another",
    "missing_field": "a field of the answer is missing",
    "undocumented_field": "a field of the answer is not documented",
    "schema": "a field of the answer has another type or form",
    "promise": "the service does not keep a promise",
}
LONGEST = 160
"""Characters of a foreign text that a report shows."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """One way in which a target differs from the contract."""

    requirement: str
    """Id of the rule or promise."""
    kind: str
    """One of DEVIATION_KINDS."""
    expected: str
    got: str
    evidence: Evidence
    """How well the contract itself knows what it expects, of the aspect that deviates."""
    assumption: str = ""
    """Id of the open question that this answers."""

    @property
    def is_judged(self) -> bool:
        """Whether anything is known that it could deviate from."""
        return self.evidence.grade != UNKNOWN

    @property
    def is_learned(self) -> bool:
        """Whether it answers an open question: what it differs from is inferred, and neither documented nor recorded."""
        return self.evidence.grade == INFERRED


def shown(value: object) -> str:
    """Return a value from outside as it can stand in a report: short, and without control characters."""
    return clipped(repr(value) if isinstance(value, str) else str(value))


def clipped(text: str) -> str:
    """Return a text with something of a service in it as it can stand in a report: short, and printable."""
    text = printable(text)
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
