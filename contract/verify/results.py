"""What comes of a run: a result for each case, and the report of all."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..evidence import GRADES, RECORDED
from ..judge.reading import envelope_of
from ..judge.reply import is_told

if TYPE_CHECKING:
    from ..cases.case import Case
    from ..judge.deviation import Deviation
    from ..spec import Contract
    from ..targets.target import Reply
    from .selection import Options

HOLDS, DEVIATES, LEARNED, SKIPPED = "holds", "deviates", "learned", "skipped"
"""States of a result. Learned: the service does otherwise than is inferred, which answers an open question."""
ANY_KEY = "the target takes any key: of a simulator that is as wanted; a real service that does so lets everybody in"
"""A note, for a target on this machine; elsewhere it is a deviation."""
MOST_VIEWS = 30
"""Views of one task that are kept: many more than it has states."""


@dataclass(slots=True)
class Result:
    """What came of one case."""

    case: Case
    state: str = HOLDS
    reply: Reply | None = None
    deviations: list[Deviation] = field(default_factory=list)
    """How it differs, also from what is inferred only."""
    unmentioned: set[str] = field(default_factory=set)
    """Fields of its answers that no page mentions."""
    reason: str = ""
    """Why it was skipped."""
    planned: bool = False
    """Whether it was clear beforehand that it would be."""
    judged: bool = False
    """Whether the reply has been judged."""
    task_id: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)
    """Its task as each answer showed it."""
    followed: bool = False
    """Whether the task was followed to its end, and judged."""
    again: Reply | None = None
    """What the same request was answered the second time, if it was sent twice."""

    @property
    def is_open(self) -> bool:
        """Whether there is a task that was to be made and has not been followed."""
        return self.case.accepted and bool(self.task_id) and not self.followed

    def add(self, deviation: Deviation) -> None:
        """Note a deviation, once; a field that no page mentions is none."""
        if not deviation.is_judged:
            if deviation.kind == "undocumented_field":
                self.unmentioned.add(deviation.got)
        elif deviation not in self.deviations and not is_told(deviation, self.deviations):
            self.deviations.append(deviation)
            self.state = LEARNED if all(each.is_learned for each in self.deviations) else DEVIATES

    def see(self, data: dict[str, Any]) -> None:
        """Note how its task is shown; what is shown as before says nothing new, and the last view is always kept."""
        if self.history and data == self.history[-1]:
            return
        self.history[MOST_VIEWS - 1 :] = [data]

    def skip(self, reason: str, *, planned: bool = False) -> None:
        """Note that the case was not tested, whatever came of it."""
        self.state, self.reason, self.planned = SKIPPED, reason, planned
        self.deviations, self.reply, self.history = [], None, []


@dataclass(slots=True)
class Report:
    """What came of a run."""

    target: str
    url: str
    """Where the target is; where `klingkit serve` would be, for one without a socket."""
    local: bool
    contract: Contract
    options: Options
    results: list[Result] = field(default_factory=list)
    requests: int = 0
    creates: int = 0
    spent: Decimal = Decimal(0)
    notes: list[str] = field(default_factory=list)
    incomplete: str = ""
    """Why not all could be tested that was meant to be; empty if it could."""
    signal: int = 0
    """What somebody has ended the run with."""
    bug: str = ""
    """How klingkit itself has failed, if it has."""
    fail_on: str = RECORDED
    """Grade that what is expected must have at least, so that a deviation from it counts as a failure."""

    @property
    def total(self) -> str:
        """What was sent and spent, in a few words."""
        return f"{self.requests} requests, {self.creates} creates, {self.spent} {self.contract.currency}"

    @property
    def interrupted(self) -> bool:
        """Whether somebody has ended the run."""
        return bool(self.signal)

    @property
    def cases(self) -> list[Case]:
        """The cases of the run, sent or not."""
        return [result.case for result in self.results]

    def of(self, state: str) -> list[Result]:
        """Return the results in one state."""
        return [result for result in self.results if result.state == state]

    def counts(self, deviation: Deviation, weakest: str = "") -> bool:
        """Tell whether a deviation counts as a failure, or would if `fail_on` were another grade."""
        return GRADES.index(deviation.evidence.grade) <= GRADES.index(weakest or self.fail_on)

    def counted(self, weakest: str = "") -> list[Deviation]:
        """Return the deviations that count as failures, or would if `fail_on` were another grade."""
        found = [deviation for result in self.results for deviation in result.deviations]
        return [deviation for deviation in found if self.counts(deviation, weakest)]

    @property
    def unmentioned(self) -> list[str]:
        """The fields of answers that no page mentions, each once."""
        return sorted(set().union(*(result.unmentioned for result in self.results)))


def takes_any_key(contract: Contract, options: Options, case: Case, reply: Reply) -> bool:
    """Tell whether a target that may do so takes an unknown key for that of another account, which has no such task."""
    if not options.any_key or not case.id.endswith("/unknown-key"):
        return False
    stranger = contract.rules["task_id.exists"].require_error()
    return envelope_of(reply.body) == stranger.envelope and reply.http == stranger.http
