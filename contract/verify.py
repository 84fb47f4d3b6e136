"""Verify a target: send the cases, follow the tasks that are made to their end, and judge all that comes back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .answers import schemas_of
from .cases import FAILS, SMALLEST, UNKNOWN_TASK, Case
from .judge import Deviation, describe, envelope_of, judge, limit_of, named_rules, printable, task_id_of
from .lifecycle import goes_on, images_of, judge_callbacks, judge_history, judge_picture
from .money import BudgetError, Purse
from .selection import EXPLORED, MAX_CREATES, Options, explored_cases, select_cases, untested, why_not
from .targets import NoAnswerError, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .cases import Boundary
    from .receiver import Received
    from .spec import Contract
    from .targets import Target

HOLDS, DEVIATES, SKIPPED = "holds", "deviates", "skipped"
"""States of a result."""
TASK_S = 300.0
"""Time for all tasks to end; the longest recorded took 41 s."""
CALLBACK_S = 5.0
"""Time for callbacks after the end of their tasks."""
BUSY_S = 120.0
"""Time in which a create is repeated that the service has no room for."""
BUSY_CODES = (1302, 1303, 5001)
"""Codes after which nothing was made and the same request may be accepted later."""
STOPPED = "comes after the first deviation, at which the run has stopped"
MAX_SILENCES = 3
"""Cases in a row without an answer, after which the target is given up."""


class UnusableTargetError(Exception):
    """Nothing can be tested there; the message says why, in one line."""


class RunInterruptedError(Exception):
    """Somebody has interrupted a run; the message says what it has sent and may have spent until then."""


@dataclass(slots=True)
class Result:
    """What came of one case."""

    case: Case
    state: str = HOLDS
    reply: Reply | None = None
    deviations: list[Deviation] = field(default_factory=list)
    reason: str = ""
    """Why it was skipped."""
    task_id: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)
    """Its task as each answer showed it."""
    again: Reply | None = None
    """What the same request was answered the second time, if it was sent twice."""

    def add(self, deviation: Deviation) -> None:
        """Note a deviation, once."""
        self.state = DEVIATES
        if deviation not in self.deviations:
            self.deviations.append(deviation)


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
    crossed: str = ""
    """Why the budget ended the run early; empty if it did not."""

    def of(self, state: str) -> list[Result]:
        """Return the results in one state."""
        return [result for result in self.results if result.state == state]

    def counted(self, weakest: str) -> list[Deviation]:
        """Return the deviations whose evidence is at least so strong."""
        order = ("documented", "recorded", "inferred")
        strong = order[: order.index(weakest) + 1]
        return [each for result in self.results for each in result.deviations if each.evidence in strong]


def verify(
    target: Target, contract: Contract, options: Options, on_result: Callable[[Result], object] = lambda _: None
) -> Report:
    """Send the cases to a target and judge what it does.

    Raises UnusableTargetError if nothing can be tested there, RunInterruptedError after a Ctrl-C.
    """
    run = Run(target, contract, options, on_result)
    try:
        return run.execute()
    except KeyboardInterrupt:
        raise RunInterruptedError(f"interrupted: {run.so_far}") from None


class Run:
    """One run: sends each case once, within the budget."""

    def __init__(
        self, target: Target, contract: Contract, options: Options, on_result: Callable[[Result], object]
    ) -> None:
        self._target = target
        self._contract = contract
        self._options = options
        self._on_result = on_result
        self._purse = Purse(options.budget)
        self._schemas = None if options.keep else schemas_of(contract)
        self._price = contract.price_per_picture
        self._lock = threading.Lock()
        self._silences = 0
        self._stop = ""
        url = target.name if "://" in target.name else "http://127.0.0.1:8000"
        self._report = Report(target.name, url, target.local, contract, options)
        self._results: dict[str, Result] = {}
        self._parts: set[str] = set()
        """Ids of the tasks made of parts of a pack."""
        self._judged: set[str] = set()
        self._followed: set[str] = set()
        """Ids of the cases whose replies, and whose tasks, have been judged."""
        self._parallel = target.parallel if options.budget and not options.stop_early else 1
        """Without a budget one at a time, so that at most one can cost."""

    def execute(self) -> Report:
        """Run to the end, or until something stops it."""
        probe(self._target, self._contract, self._options)
        cases = select_cases(self._contract, self._options, self._target.callback_url)
        self._each([case for case in cases if not case.after])
        self._each([case for case in cases if case.after and self._expects_success(case)])
        explored: tuple[Case, ...] = ()
        if self._options.whole and self._options.budget and not (self._halted or self._options.keep):
            room = MAX_CREATES - sum(case.creates for case in cases)
            explored = explored_cases(self._contract, self._options.seed, min(EXPLORED, room))
        self._judge_replies()
        self._follow()
        self._each(explored)  # now that the tasks which fail have given back what was set aside for them
        cases += explored
        self._each([case for case in cases if case.after and not self._expects_success(case)])
        self._judge_replies()
        self._follow()
        self._judge_leftovers()
        if self._options.keep and not self._stop:
            self._ask_again([self._results[case.id] for case in cases])
        self._report.results = [self._results[case.id] for case in cases]
        self._report.spent = self._purse.spent
        if missing := untested(self._contract, cases) if self._options.whole else []:
            self._report.notes.append(
                f"not tested, since it cannot be brought about from outside: {', '.join(missing)}"
            )
        return self._report

    @property
    def so_far(self) -> str:
        """What has been sent, and what it may have cost, in a few words."""
        report, most = self._report, self._purse.most
        return f"{report.requests} requests, {report.creates} creates, {most} {self._contract.currency} at most"

    @property
    def _halted(self) -> bool:
        """Whether a deviation has ended the run."""
        return self._stop == STOPPED

    def _expects_success(self, case: Case) -> bool:
        before = self._results.get(case.after)
        return before is None or before.case.cost != FAILS

    # Sending

    def _each(self, cases: Sequence[Case]) -> None:
        if self._parallel == 1:
            for case in cases:
                self._try(case)
                if self._options.stop_early:
                    self._follow()
            return
        with ThreadPoolExecutor(self._parallel) as pool:
            for done in [pool.submit(self._try, case) for case in cases]:
                done.result()

    def _try(self, case: Case) -> None:
        """Send a case and judge the answer, unless something speaks against it."""
        result = Result(case)
        self._results[case.id] = result
        before = self._results.get(case.after)
        reason = self._stop or why_not(case, self._options)
        if not reason and case.after and (before is None or not before.task_id):
            reason = f"needs the task of {case.after}, which was not made"
        try:
            if not reason:
                self._send_case(result, before.task_id if before else "")
        except BudgetError as error:
            reason = self._stop = f"the budget: {error}"
            self._report.crossed = str(error)
        except NoAnswerError as error:
            self._note_silence(result, error)
        if reason:
            result.state, result.reason = SKIPPED, reason
        self._on_result(result)
        self._halt_at_deviation()

    def _send_case(self, result: Result, task_id: str) -> None:
        case = result.case
        request = replace(case.request, path=case.request.path.replace("{task_id}", task_id))
        reply = result.reply = self._ask(case, request)
        self._silences = 0
        made = task_id_of(reply) if case.creates else ""
        if made:
            result.task_id, result.history = made, [reply.data]
        if self._parallel == 1:
            self._judge_replies()
        if made and not self._options.budget:
            subject = case.subject
            self._stop = f"the run has stopped: {subject} was not enforced, and its task {made} may cost money"
            self._report.notes.append(f"{case.id} was accepted: breaking {subject} cost {self._price * case.pictures}")

    def _ask_again(self, results: list[Result]) -> None:
        """Send a query of each kind of refusal a second time; a query costs nothing."""
        seen = set()
        for result in results:
            request, reply = result.case.request, result.reply
            if reply is None or request.method != "GET" or "{" in request.path or envelope_of(reply.body) in seen:
                continue
            seen.add(envelope_of(reply.body))
            with suppress(NoAnswerError):
                result.again = self._send(request, self._options.key)

    def _judge_replies(self) -> None:
        """Judge what has come; many at a time are judged after they were sent, while their tasks go on."""
        for result in list(self._results.values()):
            case, reply = result.case, result.reply
            if reply is None or case.id in self._judged:
                continue
            self._judged.add(case.id)
            if takes_any_key(self._contract, self._options, case, reply):
                self._report.notes.append("the target takes any key")
                continue
            for deviation in judge(self._contract, self._schemas, case, reply):
                result.add(self._blamed(case, deviation))

    def _note_silence(self, result: Result, error: NoAnswerError) -> None:
        self._silences += 1
        if self._silences >= MAX_SILENCES:
            raise UnusableTargetError(f"{self._target.name} stopped answering: {error}")
        subject = result.case.subject or "answer.schema"
        result.add(Deviation(subject, "no_answer", "an answer", str(error), limit_of(self._contract, subject)))

    def _ask(self, case: Case, request: Request) -> Reply:
        """Send a request, again while the service has no room for it; no attempt can cross the budget."""
        key = self._options.other_key if case.other_key and self._options.other_key else self._options.key
        pause, waited = 0.5, 0.0
        while True:
            reply = self._pay(case, request, key) if case.creates else self._send(request, key)
            code = reply.body.get("code") if isinstance(reply.body, dict) else None
            busy = code in BUSY_CODES and not (case.rule and case.rule.error and case.rule.error.code == code)
            if not busy or waited >= BUSY_S:
                return reply
            self._target.wait(pause)
            waited += pause
            pause = min(pause * 1.5, 10)

    def _pay(self, case: Case, request: Request, key: str) -> Reply:
        amount = self._price * case.pictures
        if self._options.budget:
            self._purse.hold(amount)
        held = amount if self._options.budget else Decimal(0)
        self._report.creates += 1
        try:
            reply = self._send(request, key)
        except NoAnswerError:
            self._purse.settle(held, amount)  # it may have been carried out all the same
            raise
        self._purse.settle(held, amount if task_id_of(reply) else Decimal(0))
        return reply

    def _send(self, request: Request, key: str) -> Reply:
        with self._lock:
            self._report.requests += 1
        return self._target.send(request, key)

    # Who is guilty

    def _blamed(self, case: Case, deviation: Deviation) -> Deviation:
        """Find the boundary for which a pack was refused, if its text does not name the rule: try the halves."""
        named = self._named(case)
        tried = {each.rule for each in case.covers}
        sure = deviation.subject == "refusal.nothing" or not tried.isdisjoint(named) or self._refuses_all
        if deviation.kind != "refused" or len(case.covers) < 2 or sure:
            return deviation
        suspects = list(case.covers)
        try:
            while len(suspects) > 1 and self._report.creates < MAX_CREATES:
                half = suspects[: len(suspects) // 2]
                suspects = half if self._refuses(case, half) else suspects[len(half) :]
        except (BudgetError, NoAnswerError):
            return deviation
        if len(suspects) > 1 or not self._refuses(case, suspects):
            return deviation
        found = suspects[0]
        subject = next((rule for rule in named if found.place and rule.startswith(f"{found.place[0]}.")), found.rule)
        return replace(
            deviation,
            subject=subject,
            expected=f"accepted, with {found.label}",
            evidence=limit_of(self._contract, subject),
        )

    def _named(self, case: Case) -> list[str]:
        reply = self._results[case.id].reply
        return named_rules(self._contract, reply) if reply else []

    @property
    def _refuses_all(self) -> bool:
        """Whether even the smallest request was refused, which is no fault of a boundary."""
        smallest = self._results.get(SMALLEST)
        return smallest is not None and smallest.reply is not None and not smallest.task_id

    def _refuses(self, case: Case, covers: list[Boundary]) -> bool:
        part = replace(case, id=f"{case.id}/part", request=case.repack(tuple(covers)), covers=())
        made = task_id_of(self._ask(part, part.request))
        if made:
            self._parts.add(made)
        return not made

    # Tasks

    def _follow(self) -> None:
        """Query the open tasks until all have ended, and judge each as it ends: history, pictures, then callbacks."""
        if self._halted:
            return
        fresh = [each for each in self._made() if each.case.accepted and each.case.id not in self._followed]
        self._followed |= {result.case.id for result in fresh}
        waited = 0.0
        left = fresh
        while left:
            ended = [each for each in left if self._has_ended(each) or waited >= TASK_S]
            self._query_all(ended)  # once more: an end stays an end
            self._judge_tasks(ended)
            left = [each for each in left if each not in ended]
            if left:
                pause = max(0.1 if self._target.local else 1.0, waited / 15)
                self._target.wait(pause)
                waited += pause
                self._query_all(left)
        if self._target.callback_url and not self._stop:
            self._judge_callbacks([each for each in fresh if self._calls_back(each)])

    def _made(self) -> list[Result]:
        return [result for result in list(self._results.values()) if result.task_id]

    def _has_ended(self, result: Result) -> bool:
        lost = any(each.subject == "task.end" for each in result.deviations)
        return lost or not goes_on(self._contract.lifecycle, result.history[-1])

    def _query_all(self, results: list[Result]) -> None:
        if self._parallel == 1:
            for result in results:
                self._query(result)
            return
        with ThreadPoolExecutor(self._parallel) as pool:
            list(pool.map(self._query, results))

    def _query(self, result: Result) -> None:
        operation = self._contract.operations["get_task"]
        path = operation.path.replace("{task_id}", result.task_id)
        key = self._options.other_key if result.case.other_key and self._options.other_key else self._options.key
        try:
            reply = self._send(Request(operation.method, path), key)
        except NoAnswerError as error:
            result.add(Deviation("task.end", "no_answer", "the task", str(error), "documented"))
            return
        if not reply.data:
            evidence = self._contract.promises["task.end"].evidence
            result.add(Deviation("task.end", "promise", "the task", describe(reply), evidence))
            return
        result.history.append(reply.data)
        for deviation in self._schemas.judge("get_task", path, reply) if self._schemas else ():
            result.add(deviation)

    def _judge_tasks(self, results: list[Result]) -> None:
        for result in results:
            request = dict(result.case.request.body or {})
            failure = result.case.rule
            tried = {each.rule for each in result.case.covers}
            for finding in judge_history(self._contract, request, result.history, failure, tried):
                self._find(result, *finding)
            if failure and result.history[-1].get("task_status") == self._contract.lifecycle.failed:
                self._purse.refund(self._price * result.case.pictures)
        self._halt_at_deviation()
        if not (self._halted or self._options.keep):
            self._fetch_pictures(results)
            self._halt_at_deviation()

    def _halt_at_deviation(self) -> None:
        if self._options.stop_early and any(each.state == DEVIATES for each in self._results.values()):
            self._stop = STOPPED

    def _find(self, result: Result, promise: str, expected: str, got: str) -> None:
        kind = "accepted" if result.case.rule else "refused"
        kind = "promise" if promise in self._contract.promises else kind
        result.add(Deviation(promise, kind, printable(expected), printable(got), limit_of(self._contract, promise)))

    def _fetch_pictures(self, results: list[Result]) -> None:
        wanted = [
            (result, url)
            for result in results
            for image in images_of(result.history[-1])
            if isinstance(url := image.get("url"), str)
        ]

        def fetch(pair: tuple[Result, str]) -> None:
            result, url = pair
            try:
                reply = self._target.fetch(url)
            except NoAnswerError as error:
                self._find(result, "task.picture", "a PNG", str(error))
                return
            for finding in judge_picture(self._contract, dict(result.case.request.body or {}), reply):
                self._find(result, *finding)

        if self._parallel == 1:
            for pair in wanted:
                fetch(pair)
            return
        with ThreadPoolExecutor(self._parallel) as pool:
            list(pool.map(fetch, wanted))

    # Callbacks

    def _calls_back(self, result: Result) -> bool:
        return (result.case.request.body or {}).get("callback_url") == self._target.callback_url

    def _judge_callbacks(self, results: list[Result]) -> None:
        waited = 0.0
        while waited < CALLBACK_S and not all(self._end_called_back(each) for each in results):
            self._target.wait(0.05)
            waited += 0.05
        nameless = any(not each.body.get("task_id") for each in list(self._target.received))
        for result in results:
            mine = self._called_back(result)
            if nameless and not mine:
                self._find(result, "callback.body", "the bare task", "a body without task_id")
                continue
            for finding in judge_callbacks(self._contract, result.history[-1], mine):
                self._find(result, *finding)
        self._halt_at_deviation()

    def _called_back(self, result: Result) -> list[Received]:
        return [each for each in list(self._target.received) if str(each.body.get("task_id")) == result.task_id]

    def _end_called_back(self, result: Result) -> bool:
        end = result.history[-1].get("task_status")
        return any(each.body.get("task_status") == end for each in self._called_back(result))

    def _judge_leftovers(self) -> None:
        """Find callbacks for tasks that nobody was told of: a refused create has left one behind."""
        known = {result.task_id for result in self._made()} | self._parts
        called = {str(each.body["task_id"]) for each in list(self._target.received) if each.body.get("task_id")}
        strangers = called - known
        if strangers and self._results and not self._halted:
            result = next(iter(self._results.values()))
            self._find(result, "refusal.nothing", "no callbacks but those of accepted tasks", f"task {min(strangers)}")


def takes_any_key(contract: Contract, options: Options, case: Case, reply: Reply) -> bool:
    """Tell whether a target that may do so takes an unknown key for that of another account, which has no such task."""
    if not options.any_key or not case.id.endswith("/unknown-key"):
        return False
    stranger = contract.rules["task_id.exists"].require_error()
    return envelope_of(reply.body) == stranger.envelope and reply.http == stranger.http


def probe(target: Target, contract: Contract, options: Options) -> None:
    """Look whether a target speaks this API and takes the key; it costs nothing.

    Raises UnusableTargetError.
    """
    operation = contract.operations["get_task"]
    request = Request(operation.method, operation.path.replace("{task_id}", UNKNOWN_TASK))
    try:
        reply = target.send(request, options.key)
    except NoAnswerError as error:
        raise UnusableTargetError(f"{target.name}: {error}") from None
    if 300 <= reply.http < 400:
        raise UnusableTargetError(f"{target.name} redirects; give the address that it redirects to")
    body = reply.body if isinstance(reply.body, dict) else {}
    known = isinstance(body.get("error"), dict) or ("code" in body and "message" in body)
    if not known:
        raise UnusableTargetError(
            f"{target.name} is some other service, or a wrong address: a query was answered with {describe(reply)}"
        )
    if reply.http == 401:
        raise UnusableTargetError(f"{target.name} does not accept the key: {describe(reply)}")
