"""Send the requests of one run: count them, pay for creates within the budget, and ask again while there is no room."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from ..judge.reading import describe, inner_of
from ..targets.target import Request, without
from .budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..cases.case import Case
    from ..spec import Contract
    from ..targets.target import Reply, Target
    from .selection import Options

BUSY_S = 120.0
"""Time in which a request is repeated that the service has no room for."""
BUSY = ("1302", "1303", "5001", "saturated")
"""Errors after which nothing was made and the same request may be accepted later."""
BROKE = ("1100", "1101", "1102", "1103", "quota_exhausted")
"""Errors that say that the account cannot pay, or may not."""

REQUEST_ID = re.compile(r" \(request id: [^)]*\)")
"""What makes each refusal of the gateway another text."""


class NotTestedError(Exception):
    """A case says nothing of the service, since the account or the service was in no state to carry it out."""


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
        self._on_wait = on_wait
        self._contract = contract
        self._options = options
        self._query = contract.operations["get_task"]
        self._busy, self._broke = ({contract.errors[name].code for name in names} for names in (BUSY, BROKE))
        self._full = False
        """Whether there was no room for too long already."""
        self._stopped = False
        # Both flags are set once and need no lock: a thread that sees one late waits for room a little longer, no more.
        self._lock = threading.Lock()

    def wait_for(self, what: str, seconds: float) -> None:
        """Let so much time go by, and say what for."""
        self._on_wait(self._options.without_keys(what))
        self.target.wait(seconds)

    def stop(self) -> None:
        """Send no create any more, and wait for nothing."""
        self._stopped = True
        self.budget.close()

    def ask(self, case: Case, request: Request) -> Reply:
        """Return the answer to a request of a case, which may be asked several times; no attempt can cross the budget.

        Raises BudgetError, NotTestedError, NoAnswerError.
        """
        key = self._options.other_key if case.other_key and self._options.other_key else self._options.key
        started = self.target.now()
        pause = 0.5
        while True:
            reply = self._create(case, request, key) if case.creates else self.send(request, key)
            if not self._is_hindered(case, reply):
                return reply
            said = REQUEST_ID.sub("", self._options.without_keys(describe(reply)))
            if inner_of(reply.body)["code"] in self._broke:
                raise NotTestedError(f"needs another account: {said}")
            if self._full or self._stopped or self.target.now() - started >= BUSY_S:
                self._full = True
                raise NotTestedError(f"found no room within {BUSY_S:g} s: {said}")
            self.wait_for(f"room, since the service answers {said}", pause)
            pause = min(pause * 1.5, 10)

    def _is_hindered(self, case: Case, reply: Reply) -> bool:
        """Tell whether a reply says something of the account, or of the state of the service, instead of the request."""
        code = inner_of(reply.body).get("code")
        expected = case.rule and case.rule.error and case.rule.error.code == code
        return not expected and isinstance(code, (int, str)) and code in self._busy | self._broke

    def query(self, case: Case, task_id: str) -> tuple[str, Reply]:
        """Return the path of a case's task, and the answer to a query of it. Raises NotTestedError, NoAnswerError."""
        path = self._query.path.replace("{task_id}", task_id)
        question = replace(case, operation=self._query.operation_id, rule=None)
        return path, self.ask(question, Request(self._query.method, path))

    def send(self, request: Request, key: str) -> Reply:
        """Send a request once, and pay nothing for it. Raises NoAnswerError."""
        with self._lock:
            self.requests += 1
        reply = self.target.send(request, key)
        return reply if self._options.keep else without([self._options.key, self._options.other_key], reply)

    def _create(self, case: Case, request: Request, key: str) -> Reply:
        def send() -> Reply:
            with self._lock:
                self.creates += 1
            return self.send(request, key)

        return self.budget.pay(case.pictures, send)
