"""What deviates, by its cause: one fact is told once, however many cases show it."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cases.case import FAILS, MAY, NEVER, PICTURES
from ..evidence import GRADES
from ..judge.deviation import DEVIATION_KINDS
from .selection import DRAWN

if TYPE_CHECKING:
    from ..evidence import Evidence
    from ..judge.deviation import Deviation
    from .results import Report, Result

OF_THE_ANSWER = {"envelope", "status", "code", "missing_field", "undocumented_field", "schema", "refused", "no_answer"}
"""Deviations that, where they look the same, have one cause whatever rule their case is about."""
BY_WHAT_CAME = {"envelope", "refused", "no_answer"}
"""Those of which only what came tells the cause: what was expected is another for each rule."""
CHEAPEST = (NEVER, FAILS, MAY, PICTURES)
"""What a case costs, the least first."""
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
VARYING = re.compile(r"[\w-]*\d[\w-]*")
"""A word with a digit: an id, a time, a size."""
LONG_VARYING = re.compile(r"(?=[\w-]{6})[\w-]*\d[\w-]*")
"""The same, but for short numbers, as codes and limits are."""
INDEX = re.compile(r"\.\d+(?=[.:]|$)")


@dataclass(frozen=True, slots=True)
class Cause:
    """One way in which a target deviates, and all that shows it."""

    found: list[tuple[Result, Deviation]]

    @property
    def example(self) -> tuple[Result, Deviation]:
        """The cheapest case that shows it, of those where what is expected is known best, and what deviates there."""
        return min(self.found, key=lambda shown: (_strength(shown[1]), _price(shown[0])))

    @property
    def requirements(self) -> list[str]:
        """The rules and promises that are not kept."""
        return list(dict.fromkeys(deviation.requirement for _, deviation in self.found))

    @property
    def cases(self) -> list[str]:
        """The ids of the cases that show it."""
        return list(dict.fromkeys(result.case.id for result, _ in self.found))

    @property
    def is_learned(self) -> bool:
        """Whether nothing of it is known otherwise: it answers open questions."""
        return all(deviation.is_learned for _, deviation in self.found)

    @property
    def evidence(self) -> Evidence:
        """How well the contract knows what it expects, where it knows it best."""
        return self.example[1].evidence

    @property
    def assumptions(self) -> list[str]:
        """The ids of the open questions that it answers."""
        return list(dict.fromkeys(deviation.assumption for _, deviation in self.found if deviation.assumption))

    @property
    def title(self) -> str:
        """What deviates, and of how many rules and cases."""
        rules, cases = self.requirements, len(self.cases)
        of = rules[0] if len(rules) == 1 else f"{rules[0]} and {len(rules) - 1} more"
        return f"{of}: {DEVIATION_KINDS[self.example[1].kind]} ({cases} case{'s' if cases > 1 else ''})"


def causes(report: Report) -> list[Cause]:
    """Return what deviates and what was learned, each cause once, in the order in which they were found."""
    found: dict[tuple[str, ...], list[tuple[Result, Deviation]]] = defaultdict(list)
    for result in report.results:
        for deviation in result.deviations:
            found[_fact(result, deviation)].append((result, deviation))
    return list(map(Cause, found.values()))


def _fact(result: Result, deviation: Deviation) -> tuple[str, ...]:
    """Return what is the same for all deviations of one cause."""
    kind, expected, got = deviation.kind, deviation.expected, deviation.got
    requirement = "" if kind in OF_THE_ANSWER else deviation.requirement
    if kind == "promise":
        return kind, requirement, *(VARYING.sub("#", QUOTED.sub("'", text)) for text in (expected, got))
    if kind == "envelope":  # what is said there is another thing for each rule
        got = got.partition(" ")[0]
    if kind == "schema":  # the field, and what it should be; what stands there instead may be anything
        got = ""
    if got == repr(expected):  # whatever was to be said, it comes as a text
        expected = got = "'"
    value = str(result.case.details.get("value", ""))
    expected = "" if kind in BY_WHAT_CAME else _without(value, expected)
    return kind, requirement, expected, _without(value, got)


def _without(value: str, text: str) -> str:
    """Return a text without what is another for each case: the value that it sent, ids, the place in a list."""
    if value:
        text = re.sub(rf"(?<!\w){re.escape(value[:100])}(?!\w)", "#", text)
    return LONG_VARYING.sub("#", INDEX.sub("[]", text))


def _strength(deviation: Deviation) -> int:
    return GRADES.index(deviation.evidence.grade)


def _price(result: Result) -> tuple[int, int, bool, bool, int]:
    case = result.case
    return CHEAPEST.index(case.cost), case.pictures, bool(case.after), case.id.startswith(DRAWN), len(case.request.data)
