"""How well a fact is known: `evidence` in `openapi.yaml`, of which each aspect of a behaviour has its own.

One fact of one aspect is written `[grade, source]`, a behaviour of several `{limit: [grade, source], ...}`; a third entry is a
note. Each source stands in `x-sources`, with its title and date.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DOCUMENTED, RECORDED, INFERRED, UNKNOWN = GRADES = ("documented", "recorded", "inferred", "unknown")
"""Grades, the strongest first. Nobody is judged by what is unknown."""
RULE_ASPECTS = LIMIT, ANSWER, TEXT = ("limit", "answer", "text")
"""Of a rule: that it is there, with this limit; envelope, status and code of its answer; the text of that."""
ERROR_ASPECTS = (ANSWER, TEXT)


class ContractError(Exception):
    """`openapi.yaml` itself is wrong; the message says where and what."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """How well one aspect is known."""

    grade: str
    """One of GRADES."""
    source: str
    """Key of `x-sources`."""
    date: str
    """Of the source, as YYYY, YYYY-MM or YYYY-MM-DD."""
    note: str = ""


class Sources:
    """`x-sources`: what evidence rests on; reads the evidence of everything else."""

    def __init__(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        self.entries = entries

    def evidence(self, entry: Any, place: str) -> Evidence:
        """Return the evidence of one aspect. Raises ContractError, which names `place`, for what is none."""
        grade, source, note = [*entry, "", "", ""][:3] if isinstance(entry, list) else ("", "", "")
        if grade not in GRADES or source not in self.entries:
            raise ContractError(f"{place}: evidence is [one of {', '.join(GRADES)}; a key of x-sources], not {entry!r}")
        return Evidence(grade, source, str(self.entries[source]["date"]), note)

    def aspects(self, entry: Any, names: Sequence[str], place: str) -> dict[str, Evidence]:
        """Return the evidence of all aspects named; one entry stands for all. Raises ContractError if one has none."""
        entries = dict.fromkeys(names, entry) if isinstance(entry, list) else entry or {}
        if set(entries) != set(names):
            raise ContractError(
                f"{place}: evidence of {', '.join(names)} is wanted, not of {', '.join(entries) or 'nothing'}"
            )
        return {name: self.evidence(entries[name], f"{place}, {name}") for name in names}


def weakest(evidence: Iterable[Evidence]) -> Evidence:
    """Return the evidence of what rests on all of these."""
    return max(evidence, key=lambda one: GRADES.index(one.grade))


def told(aspects: Mapping[str, Evidence]) -> str:
    """Say how well a behaviour is known: one grade, or that of each aspect."""
    grades = {aspect: evidence.grade for aspect, evidence in aspects.items()}
    if len(set(grades.values())) == 1:
        return next(iter(grades.values()))
    return ", ".join(f"{aspect} {grade}" for aspect, grade in grades.items())
