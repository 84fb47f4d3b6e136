"""Send the requests of one run: count them, pay for creates within the budget, and ask again where that is safe."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from ..judge.availability import NOT_NOW, TOO_MANY, failed, is_odd_page, says_not_now
from ..judge.charge import REQUEST_ID, may_cost
from ..judge.reading import describe, inner_of
from ..targets.target import NoAnswerError, Reply, Request, without
from .budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..cases.case import Case
    from ..spec import Contract
    from ..targets.target import Target
    from .selection import Options

ROOM_S = 120.0
"""Time in which nobody has found room, or a slot, after which the service is not asked for one any more."""
TRIES = 5
"""How often a request is sent to a service that cannot serve."""
DEAR_TRIES = 3
"""The same for a create of which nobody knows whether it was carried out: each may cost."""
PATIENCE_S = 20.0
"""Time after which such a request is not sent again."""
STEP_S = 0.5
"""The longest that anybody sleeps without looking whether the run is over."""

FEW_PAGES = 3
"""Cases that a page can have for an answer, before it counts as the answer of the service and not of a proxy."""

FULL = ("1302", "1303", "saturated")
"""Errors that say that the same request may be accepted when others are done."""
AWAY = ("5001",)
"""Errors that say that the service cannot serve, whatever their status."""
BROKE = ("1100", "1101", "1102", "1103", "quota_exhausted")
"""Errors that say that the account cannot pay, or may not."""


class NotTestedError(Exception):
    """A case says nothing of the service, since the account or the service was in no state to carry it out."""


class NoMoneyError(NotTestedError):
    """The account cannot pay, or may not."""


class UnavailableError(NotTestedError):
    """The service could not serve, however often it was asked."""

    def __init__(self, said: str, outcome: Reply | NoAnswerError) -> None:
        super().__init__(f"the service was unavailable: {said}")
        self.said = said
        self.outcome = outcome


def _may_pass(case: Case, reply: Reply) -> bool:
    return failed(reply) or is_odd_page(case, reply)


class Sender:
    """Sends for one run, from many threads. No reply that it returns holds a key, unless it is to be recorded."""

    def __init__(
        self, target: Target, contract: Contract, options: Options, on_wait: Callable[[str], object] = lambda _: None
    ) -> None:
        self.target = target
        self.budget = Budget(contract, options.budget or None)
        """Without one, what must be refused is sent: nothing is set aside for it, and what it costs all the same is counted."""
        self.requests = 0
        self.creates = 0
        self.repeated = 0
        """Creates that were sent before."""
        self._on_wait = on_wait
        self._contract = contract
        self._options = options
        self._query = contract.operations["get_task"]
        self._full, self._away, self._broke = (
            {contract.errors[name].code for name in names if name in contract.errors} for names in (FULL, AWAY, BROKE)
        )
        self._served_at = target.now()
        """When somebody found room."""
        self._gave_up = False
        """Whether somebody has waited for room in vain, and nobody found any since."""
        self._pages: set[str] = set()
        """Ids of cases that were answered by a page where the contract has none."""
        self._stopped = False
        # What these three say is needed by no thread at once: one that sees it late waits a little longer, no more.
        self._lock = threading.Lock()

    @property
    def keys(self) -> list[str | None]:
        """What no reply may show."""
        return [self._options.key, self._options.other_key, *(self._options.pair or ())]

    @property
    def first_creates(self) -> int:
        """Creates, but for those that were sent again."""
        return self.creates - self.repeated

    def wait_for(self, what: str, seconds: float) -> None:
        """Let so much time go by, and say what for; less, if the run is over."""
        self._on_wait(self._options.without_keys(what))
        while seconds > 0 and not self._stopped:
            self.target.wait(min(seconds, STEP_S))
            seconds -= STEP_S

    def stop(self) -> None:
        """Send no create any more, and wait for nothing."""
        self._stopped = True
        self.budget.close()

    def ask(self, case: Case, request: Request, most: int = TRIES) -> Reply:
        """Return the answer to a request of a case, which may be asked `most` times while the service cannot serve; no attempt can cross the budget.

        Raises BudgetError, UnavailableError, NotTestedError.
        """
        key = self._options.other_key if case.other_key and self._options.other_key else self._options.key
        started = self.target.now()
        pause = 0.25
        for tries in itertools.count(1):
            outcome = self._try(case, request, key, again=tries > 1)
            said = self._said(outcome)
            may_repeat = not self._stopped and self._is_safe(case, request, outcome, tries)
            if isinstance(outcome, Reply) and self._code_of(case, outcome) in self._broke:
                raise NoMoneyError(f"needs another account: {said}")
            if self._is_full(case, outcome):
                if self._has_waited_enough(started):
                    raise NotTestedError(f"found no room within {ROOM_S:g} s: {said}")
                if not may_repeat:
                    raise NotTestedError(f"found no room: {said}")
            elif isinstance(outcome, Reply) and not (self._is_away(case, outcome) or _may_pass(case, outcome)):
                self._served_at = self.target.now()
                if case.creates and case.accepted:
                    self._gave_up = False  # who found no room had asked for more than there ever is
                return outcome
            elif not may_repeat or tries >= most or self.target.now() - started >= PATIENCE_S:
                if isinstance(outcome, Reply) and self._is_its_answer(case, outcome):
                    return outcome
                raise UnavailableError(said, outcome)
            self.wait_for(f"the service: {said}", pause)
            pause = min(pause * 2, 10)
        raise AssertionError

    def _try(self, case: Case, request: Request, key: str, *, again: bool) -> Reply | NoAnswerError:
        try:
            return self._create(case, request, key, again=again) if case.creates else self.send(request, key)
        except NoAnswerError as error:
            return error

    def _said(self, outcome: Reply | NoAnswerError) -> str:
        said = describe(outcome) if isinstance(outcome, Reply) else str(outcome)
        return REQUEST_ID.sub("", self._options.without_keys(said))

    def _is_safe(self, case: Case, request: Request, outcome: Reply | NoAnswerError, tries: int) -> bool:
        """Tell whether a request can be sent again: one that costs nothing, or was not carried out.

        A create that must be refused, and may have been carried out, is sent again if there is money for it; one that is to be
        accepted is not, since there would be two tasks.
        """
        if not case.creates:
            return True
        doubt = may_cost(self._contract, request, outcome) if isinstance(outcome, Reply) else outcome.arrived
        return not doubt or (not case.accepted and bool(self._options.budget) and tries < DEAR_TRIES)

    def _is_full(self, case: Case, outcome: Reply | NoAnswerError) -> bool:
        """Tell whether a limit of the account, or of the service, is reached for the moment."""
        if isinstance(outcome, NoAnswerError):
            return False
        too_many = outcome.http == TOO_MANY and says_not_now(case, outcome)
        return too_many or self._code_of(case, outcome) in self._full

    def _is_away(self, case: Case, reply: Reply) -> bool:
        return says_not_now(case, reply) or self._code_of(case, reply) in self._away

    def _is_its_answer(self, case: Case, reply: Reply) -> bool:
        """Tell whether what may pass is how the target answers: no single page, where it has JSON for all else."""
        if is_odd_page(case, reply):
            with self._lock:
                self._pages.add(case.id)
                return len(self._pages) > FEW_PAGES
        return failed(reply)

    def _code_of(self, case: Case, reply: Reply) -> int | str | None:
        """Return the code of a refusal, unless it is the one that the case expects."""
        code = inner_of(reply.body).get("code")
        expected = case.rule and case.rule.error and case.rule.error.code == code
        return code if isinstance(code, (int, str)) and not expected else None

    def _has_waited_enough(self, started: float) -> bool:
        waited = self.target.now() - max(started, self._served_at)
        self._gave_up = self._gave_up or waited >= ROOM_S
        return self._gave_up

    def query(self, case: Case, task_id: str) -> tuple[str, Reply]:
        """Return the path of a case's task, and the answer to a query of it. Raises NotTestedError."""
        path = self._query.path.replace("{task_id}", task_id)
        question = replace(case, operation=self._query.operation_id, rule=None)
        return path, self.ask(question, Request(self._query.method, path))

    def send(self, request: Request, key: str) -> Reply:
        """Send a request once, and pay nothing for it. Raises NoAnswerError."""
        with self._lock:
            self.requests += 1
        reply = self.target.send(request, key)
        return reply if self._options.keep else without(self.keys, reply)

    def fetch(self, url: str) -> Reply:
        """Get a result picture, which costs nothing. Raises UnavailableError; NoAnswerError if nothing is there at all."""
        pause = 0.25
        for tries in itertools.count(1):
            outcome: Reply | NoAnswerError
            try:
                outcome = self.target.fetch(url)
            except NoAnswerError as error:
                outcome = error
            if isinstance(outcome, Reply) and outcome.http not in NOT_NOW:
                return outcome
            if tries >= TRIES or self._stopped:
                break
            self.wait_for("a picture", pause)
            pause *= 2
        if isinstance(outcome, NoAnswerError) and not outcome.arrived:
            raise outcome
        raise UnavailableError(self._said(outcome), outcome)

    def _create(self, case: Case, request: Request, key: str, *, again: bool) -> Reply:
        def send() -> Reply:
            with self._lock:
                self.creates += 1
                self.repeated += again
            return self.send(request, key)

        return self.budget.pay(case.pictures, request, send)
