"""Verify a target: send the cases, follow the tasks that are made to their end, and judge all that comes back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ..cases.case import COSTS, FAILS, SMALLEST, UNKNOWN_TASK, Case
from ..judge.answer_schema import schemas_of
from ..judge.deviation import Deviation
from ..judge.reading import describe, envelope_of, task_id_of
from ..judge.reply import judge, limit_of, may_cost
from ..judge.rule_texts import named_rules
from ..targets.target import NoAnswerError, Reply, Request, without
from .budget import BudgetError, make_plan
from .following import Follower
from .results import DEVIATES, HOLDS, SKIPPED, Report, Result
from .selection import EXPLORED, MAX_CREATES, Options, explored_cases, select_cases, untested, why_not
from .sending import NotTestedError, Sender
from .workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from ..cases.case import Boundary
    from ..spec import Contract
    from ..targets.target import Target

STOPPED = "comes after the first deviation, at which the run has stopped"
INTERRUPTED = "was not tested to the end before the run was interrupted"
TOO_DEAR = "does not fit into what is left of the budget"
MAX_SILENCES = 3
"""Cases in a row without an answer, after which the target is given up."""


class UnusableTargetError(Exception):
    """Nothing can be tested there; the message says why, in one line."""


def verify(
    target: Target,
    contract: Contract,
    options: Options,
    on_result: Callable[[Result], object] = lambda _: None,
    on_wait: Callable[[str], object] = lambda _: None,
) -> Report:
    """Send the cases to a target and judge what it does; after a Ctrl-C, report what came until then.

    `on_wait` is told what the run waits for. Raises UnusableTargetError if nothing can be tested there.
    """
    sender = Sender(target, contract, options, on_wait)
    one_by_one = not options.budget or options.stop_early  # without a budget, so that at most one can cost
    with Workers(1 if one_by_one else target.parallel, sender.stop) as workers:
        return Run(sender, contract, options, on_result, workers).execute()


class Run:
    """One run: sends the cases, within the budget."""

    def __init__(
        self,
        sender: Sender,
        contract: Contract,
        options: Options,
        on_result: Callable[[Result], object],
        workers: Workers,
    ) -> None:
        self._sender = sender
        self._target = target = sender.target
        self._contract = contract
        self._options = options
        self._on_result = on_result
        self._workers = workers
        self._schemas = None if options.keep else schemas_of(contract)
        self._follower = Follower(sender, contract, options, self._schemas, workers)
        self._silences = 0
        self._silent = ""
        """Why the target was given up."""
        self._stop = ""
        """Why nothing more is sent."""
        self._broke = ""
        """Why nothing more is sent that is to be accepted."""
        url = target.name if "://" in target.name else "http://127.0.0.1:8000"
        self._report = Report(target.name, url, target.local, contract, options)
        self._cases: list[Case] = []
        self._results: dict[str, Result] = {}
        self._parts: set[str] = set()
        """Ids of the tasks made of parts of a pack."""
        self._judged: set[str] = set()
        self._followed: set[str] = set()
        """Ids of the cases whose replies, and whose tasks, have been judged."""

    def execute(self) -> Report:
        """Run to the end, or until something stops it."""
        probe(self._target, self._contract, self._options)
        self._cases = select_cases(self._contract, self._options, self._target.callback_url)
        try:
            self._send_all()
            if self._options.keep and not self._stop:
                self._ask_again([self._results[case.id] for case in self._cases])
        except KeyboardInterrupt:
            self._stop = INTERRUPTED
            self._report.interrupted = True
        self._close()
        return self._report

    def _send_all(self) -> None:
        """Send the cases, and those that are drawn besides, and follow their tasks."""
        cases = self._cases
        if self._options.budget < self._enough():  # what costs nothing goes first, before the money is spent
            cases = sorted(cases, key=lambda case: COSTS.index(case.cost))
        failing = {case.id for case in cases if case.cost == FAILS}
        late = [case for case in cases if case.after in failing]
        self._each([case for case in cases if not case.after])
        self._each([case for case in cases if case.after and case not in late])
        explored: tuple[Case, ...] = ()
        if self._options.whole and self._options.budget and not (self._stop or self._options.keep):
            self._judge_replies()
            room = MAX_CREATES - self._sender.creates - sum(case.creates for case in late)
            explored = explored_cases(self._contract, self._options.seed, max(0, min(EXPLORED, room)))
            self._cases = [*self._cases, *explored]
        self._judge_replies()
        self._follow()
        self._each(explored)  # now that the tasks which fail have given back what was set aside for them
        self._each(late)
        self._judge_replies()
        self._follow()
        self._judge_leftovers()

    def _enough(self) -> Decimal:
        return make_plan(self._contract, [case for case in self._cases if not why_not(case, self._options)]).enough

    def _close(self) -> None:
        """Fill in the report."""
        report, sender = self._report, self._sender
        report.results = [self._results.setdefault(case.id, Result(case)) for case in self._cases]
        if self._stop:
            self._judge_replies()
            for result in report.results:
                silent = bool(result.deviations) and all(each.kind == "no_answer" for each in result.deviations)
                untold = result.state == HOLDS and (result.reply is None or self._is_open(result))
                if untold or (silent and self._silent):
                    result.skip(self._stop, planned=self._stop == STOPPED)
        report.requests, report.creates, report.spent = sender.requests, sender.creates, sender.purse.most
        report.incomplete = self._why_incomplete()
        if self._silent and not (report.of(HOLDS) or report.of(DEVIATES)):
            raise UnusableTargetError(f"{self._silent}; {report.total}")
        if missing := untested(self._contract, self._cases) if self._options.whole else []:
            report.notes.append(f"not tested, since it cannot be brought about from outside: {', '.join(missing)}")

    def _why_incomplete(self) -> str:
        missed = [result for result in self._report.of(SKIPPED) if not result.planned]
        dear = sum(result.reason == TOO_DEAR for result in missed)
        if self._report.interrupted or self._silent or not missed:
            return "interrupted" if self._report.interrupted else self._silent
        if dear:
            return f"the budget was too small for {dear} cases; {self._enough()} {self._contract.currency} is enough for all"
        return f"{len(missed)} cases were not tested that were to be; the first {missed[0].reason}"

    def _is_open(self, result: Result) -> bool:
        """Tell whether the task of a result was not followed."""
        return result.case.accepted and bool(result.task_id) and result.case.id not in self._followed

    # Sending

    def _each(self, cases: Sequence[Case]) -> None:
        def one(case: Case) -> None:
            self._try(case)
            if self._options.stop_early:
                self._follow()

        self._workers.each(one, cases)

    def _try(self, case: Case) -> None:
        """Send a case and judge the answer, unless something speaks against it."""
        result = Result(case)
        self._results[case.id] = result
        before = self._results.get(case.after)
        if reason := why_not(case, self._options):
            result.skip(reason, planned=True)
        elif self._stop:
            result.skip(self._stop, planned=self._stop == STOPPED)
        elif case.after and (before is None or not before.task_id):
            result.skip(f"needs the task of {case.after}, which was not made", planned=True)
        elif self._broke and case.creates and case.accepted:
            result.skip(self._broke)
        else:
            self._send_case(result, before.task_id if before else "")
        self._on_result(result)
        self._halt_at_deviation()

    def _send_case(self, result: Result, task_id: str) -> None:
        case = result.case
        request = replace(case.request, path=case.request.path.replace("{task_id}", task_id))
        try:
            reply = result.reply = self._sender.ask(case, request)
        except BudgetError:
            result.skip(TOO_DEAR)
            return
        except NotTestedError as error:
            self._broke = str(error)
            result.skip(self._broke)
            return
        except NoAnswerError as error:
            self._note_silence(result, error)
            return
        self._silences = 0
        if case.creates and (made := task_id_of(reply)):
            result.task_id, result.history = made, [reply.data]
        if self._options.stop_early or not self._options.budget:
            self._judge_replies()
        if case.creates and not self._options.budget and may_cost(self._contract, reply):
            self._stop_for_money(case, describe(reply))

    def _stop_for_money(self, case: Case, answer: str) -> None:
        """End a run without a budget, since a request that was to be refused may cost money."""
        self._stop = f"was not sent, since {case.id} may cost money: it was answered {answer}"
        price = self._contract.price_per_picture * case.pictures
        self._report.notes.append(
            f"{case.id} was not refused ({answer}): breaking {case.requirement} may have cost {price} {self._contract.currency}"
        )

    def _ask_again(self, results: list[Result]) -> None:
        """Send a query of each kind of refusal a second time; a query costs nothing."""
        seen = set()
        for result in results:
            request, reply = result.case.request, result.reply
            if reply is None or request.method != "GET" or "{" in request.path or envelope_of(reply.body) in seen:
                continue
            seen.add(envelope_of(reply.body))
            with suppress(NoAnswerError):
                result.again = self._sender.send(request, self._options.key)

    def _judge_replies(self) -> None:
        """Judge what has come; many at a time are judged after they were sent, while their tasks go on."""
        for result in list(self._results.values()):
            case, reply = result.case, result.reply
            if reply is None or case.id in self._judged:
                continue
            if takes_any_key(self._contract, self._options, case, reply):
                self._report.notes.append("the target takes any key")
            else:
                for deviation in judge(self._contract, self._schemas, case, reply):
                    result.add(self._blamed(case, deviation))
            self._judged.add(case.id)

    def _note_silence(self, result: Result, error: NoAnswerError) -> None:
        case = result.case
        subject = case.requirement or "answer.schema"
        result.add(Deviation(subject, "no_answer", "an answer", str(error), limit_of(self._contract, subject)))
        self._silences += 1
        if self._silences >= MAX_SILENCES and not self._silent:
            self._silent = f"{self._target.name} stopped answering: {error}"
            self._stop = f"was not tested before {self._silent}"
        elif case.creates and error.arrived and not self._options.budget and not self._stop:
            self._stop_for_money(case, f"nothing, {error}")

    # Who is guilty

    def _blamed(self, case: Case, deviation: Deviation) -> Deviation:
        """Find the boundary for which a pack was refused, if its text does not name the rule: try the halves."""
        named = self._named(case)
        tried = {each.requirement for each in case.covers}
        sure = (
            deviation.requirement == "refusal.nothing" or not tried.isdisjoint(named) or self._refuses_all or self._stop
        )
        if deviation.kind != "refused" or len(case.covers) < 2 or sure:
            return deviation
        suspects = list(case.covers)
        try:
            while len(suspects) > 1 and self._sender.creates < MAX_CREATES:
                half = suspects[: len(suspects) // 2]
                suspects = half if self._refuses(case, half) else suspects[len(half) :]
        except (BudgetError, NotTestedError, NoAnswerError):
            return deviation
        if len(suspects) > 1 or not self._refuses(case, suspects):
            return deviation
        found = suspects[0]
        subject = next(
            (rule for rule in named if found.place and rule.startswith(f"{found.place[0]}.")), found.requirement
        )
        return replace(
            deviation,
            requirement=subject,
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
        made = task_id_of(self._sender.ask(part, part.request))
        if made:
            self._parts.add(made)
        return not made

    # Tasks

    def _follow(self) -> None:
        if self._stop:
            return
        fresh = [each for each in self._made() if each.history and self._is_open(each)]
        self._follower.follow(fresh)
        self._followed |= {result.case.id for result in fresh}
        self._halt_at_deviation()

    def _made(self) -> list[Result]:
        return [result for result in list(self._results.values()) if result.task_id]

    def _halt_at_deviation(self) -> None:
        if self._options.stop_early and any(each.state == DEVIATES for each in list(self._results.values())):
            self._stop = STOPPED

    def _judge_leftovers(self) -> None:
        """Find callbacks for tasks that nobody was told of: a refused create has left one behind."""
        known = {result.task_id for result in self._made()} | self._parts
        called = {str(each.body["task_id"]) for each in list(self._target.received) if each.body.get("task_id")}
        strangers = called - known
        if strangers and self._results and not (self._stop or self._sender.unclear):
            result = next(iter(self._results.values()))
            self._follower.find(
                result, "refusal.nothing", "no callbacks but those of accepted tasks", f"task {min(strangers)}"
            )


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
    for name, key in (("key", options.key), ("other key", options.other_key)):
        if key is not None:
            _probe(target, request, name, key)


def _probe(target: Target, request: Request, name: str, key: str) -> None:
    try:
        reply = without([key], target.send(request, key))
    except NoAnswerError as error:
        raise UnusableTargetError(f"{target.name}: {error}") from None
    if 300 <= reply.http < 400:
        raise UnusableTargetError(f"{target.name} redirects; give the address that it redirects to")
    body = reply.body if isinstance(reply.body, dict) else {}
    known = isinstance(body.get("error"), dict) or ("code" in body and "message" in body)
    if reply.http >= 500:
        raise UnusableTargetError(f"{target.name} is out of order: a query was answered with {describe(reply)}")
    if not known:
        raise UnusableTargetError(
            f"{target.name} is some other service, or a wrong address: a query was answered with {describe(reply)}"
        )
    if reply.http == 401:
        raise UnusableTargetError(f"{target.name} does not accept the {name}: {describe(reply)}")
