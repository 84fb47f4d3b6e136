"""What a scenario does: to a request, to its task, to the callbacks, and to the answer on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LONGEST_FAULT_MS = 600_000
"""For how long an answer can be held up: no client waits so long."""

FaultKind = Literal["reset", "reset-within", "cut", "drip", "delay"]
"""What happens to an answer on the wire: a reset before its first byte or within, an end before its announced length, a byte at a
time, or all of it late."""
CallbackFault = Literal["", "lost", "lost-all", "late", "twice", "reordered", "early"]
"""What happens to the callbacks of a task: the first attempt of each, or every attempt, is lost; each is late, comes twice, or comes
a step early; the last two change places. Empty: nothing."""


NO_URLS = ("empty", "null", "missing")
"""What stands in place of a URL: an empty text (if nothing else is said), null, or nothing at all."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure below the API, on the wire."""

    kind: FaultKind
    ms: int = 0
    """Of `drip`: in all. Of `delay`: before the answer."""
    spread: bool = False
    """Whether `ms` is the median of a log-normal distribution."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a scenario does; a field that is not set leaves that part of the service as it is."""

    name: str
    """With its argument in normal form."""
    error: str = ""
    """Key of the error catalogue that is answered; the rules are skipped and nothing is made."""
    http: int | None = None
    """Status under which `error` is answered, if not its own."""
    message: str = ""
    """Text with which `error` is answered, if not its own."""
    retry_after_s: int | None = None
    """What the header Retry-After of the answer asks for; None: there is no such header."""
    reason: str = ""
    """The task fails, and says this."""
    path: tuple[str, ...] = ()
    """Statuses on the wire that the task passes, from the first one; the last is where it stays."""
    rule: str = ""
    """Id of the async rule by which the task fails."""
    slowdown: float = 1
    """Factor of the durations of the task."""
    hidden_polls: int = 0
    """So many first queries of the task do not find it."""
    urls: Literal["", "none", "expired"] = ""
    """`none`: the result has no URLs. `expired`: they are served only for `url_life_ms`."""
    no_url: str = ""
    """How it has none: one of `NO_URLS`."""
    url_life_ms: int = 0
    most_pictures: int | None = None
    """The result has no more pictures than these; None: as many as were asked for."""
    shape: str = ""
    """One of the shapes in `task_bodies.py` that the answers take."""
    success_shape: str = ""
    """One of those that a task takes, in answers and callbacks, once it has succeeded."""
    units: str = "8"
    """What such a shape says that the task cost."""
    fault: Fault | None = None
    callback: CallbackFault = ""
    callback_late_ms: int = 0
    probability: float = 1

    @property
    def text(self) -> str:
        """As it was chosen, with its probability."""
        return self.name if self.probability == 1 else f"{self.name}@{self.probability:g}"

    @property
    def settles_the_end(self) -> bool:
        """Whether it says how the task ends, whatever its pictures are."""
        return bool(self.rule or self.reason or self.path)

    @property
    def fits_queries(self) -> bool:
        """Whether it does something to the answer of a query; others shape the task that a create makes."""
        return bool(self.error or self.shape or self.fault)
