"""What is known of one request while it is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from .clock import ClockState

if TYPE_CHECKING:
    from klingkit.contract import Contract

    from .simulator import Chosen

REAL = ClockState()
STATE = "klingkit.state"
"""Where the WSGI environ holds it."""
FAULT = "klingkit.fault"
"""Where the WSGI environ holds the fault that the server is to carry out on the wire."""
CRASH = "klingkit.crash"
"""Where it holds the exception of a bug in klingkit, which the answer does not show."""
APP = "klingkit.app"
"""Where it holds the whole application, for the page, which sends a request of the API for somebody."""

NOBODY = "-"
"""Stands for the account of a request that names none."""


class BodyTooLargeError(Exception):
    """A body is larger than the server takes."""


class HttpAnswer(NamedTuple):
    """What is answered."""

    body: bytes
    http: int
    headers: list[tuple[str, str]]


@dataclass(slots=True)
class RequestState:
    """One request on its way from `_begin` to `_finish` in `app.py`."""

    environ: dict[str, Any]
    started: float
    """Time of the machine in s since 1970."""
    of_api: bool
    """Whether it asks for the API, and belongs into the journal."""
    served: Contract
    """What the server serves at its path, whatever was set since."""
    contract: Contract
    """By which it is answered: as that was set for everybody, and once the account is known, for the account."""
    request_id: str = ""
    """The gateway's, in the header of the contract; where there is no such header, that of the body."""
    id_bits: int = 0
    """What its ids are made of."""
    clock_state: ClockState = REAL
    """How the clock goes by which it is answered."""
    clock: str = ""
    """The same as header, journal and log show it, where it is not the machine's time."""
    problem: Exception | None = None
    """Why it cannot be answered as it should."""
    account: str = NOBODY
    operation: str = ""
    raw: bytes = b""
    body: dict[str, Any] | None = None
    chosen: Chosen | None = None
    task_id: str = ""
    rule: str = ""
    """The rule that refused the request or made its task fail, explained in one line."""
    evidence: str = ""
    """How well the answer is known, where no rule has refused the request."""
    error: str = ""
    """Key of the error in the catalogue that is answered."""
    advice: list[tuple[str, str]] = field(default_factory=list)
    """Kind and text of each likely mistake."""
    answer: bytes = b""
    retry_after_s: int | None = None
    """What the answer asks the client to wait, if it does."""

    @property
    def scenario(self) -> str:
        """The scenario that applied and where it came from, as header and journal show it; empty if there was none."""
        return f"{self.chosen.scenario.text}; source={self.chosen.source}" if self.chosen else ""

    @property
    def path(self) -> str:
        """Where the request was sent to, without percent-encoding."""
        path: str = self.environ["PATH_INFO"]
        return path if path.isascii() else path.encode("latin-1").decode("utf-8", "replace")

    @property
    def announced(self) -> int:
        """How many bytes its body was said to have; 0 for one without or of unknown length."""
        length: str = self.environ.get("CONTENT_LENGTH", "")
        return int(length) if length.isdecimal() else 0
