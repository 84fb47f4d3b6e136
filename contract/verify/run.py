"""Verify a target: send the cases, follow the tasks that are made to their end, and judge all that comes back."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..bug import bug_line
from ..cases.case import COSTS, NEVER, SMALLEST
from ..judge.answer_schema import schemas_of
from ..judge.deviation import clipped
from ..judge.reading import describe, envelope_of, task_id_of
from ..judge.reply import is_inferred, judge
from ..judge.rule_texts import named_rules
from .bisection import Bisection
from .budget import BudgetError, make_plan
from .closing import TOO_DEAR, close
from .following import Follower
from .listing import Lister
from .results import ANY_KEY, LEARNED, SKIPPED, Report, Result, takes_any_key
from .selection import EXPLORED, EXTERNAL_ID, MAX_CREATES, explored_cases, select_cases, to_send, why_not
from .sending import NoMoneyError, NotTestedError, Sender, UnavailableError
from .stopping import AT_DEVIATION, BROKEN, INTERRUPTED, Stopping
from .usable_target import is_there, probe
from .workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..cases.case import Case
    from ..spec import Contract
    from ..targets.target import Reply, Request, Target
    from .selection import Options

QUERY = "get_task"
UNIQUE = f"{EXTERNAL_ID}.unique"


def verify(
    target: Target,
    contract: Contract,
    options: Options,
    on_result: Callable[[Result], object] = lambda _: None,
    on_wait: Callable[[str], object] = lambda _: None,
) -> Report:
    """Send the cases to a target and judge what it does; after a Ctrl-C or a bug of klingkit, report what came until then.

    `on_wait` is told what the run waits for. Raises UnusableTargetError if nothing can be tested there.
    """
    probe(Sender(target, contract, options, on_wait), contract, options)
    sender = Sender(target, contract, options, on_wait)
    with Workers(1 if options.one_by_one else target.parallel, sender.stop) as workers:
        return Run(sender, contract, options, on_result, workers).execute()


class Run:
    """One run, within the budget.

    Several threads send at once. Each writes the results of its own cases alone; the budget and the reasons to stop have locks
    of their own. All else is done by the thread that has begun the run, while no other is at work.
    """

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
        self._lister = Lister(sender, contract, options, self._follower.find)
        self._bisection = Bisection(sender, contract)
        self._stopping = Stopping(target.name)
        url = target.name if "://" in target.name else "http://127.0.0.1:8000"
        self._report = Report(target.name, url, target.local, contract, options)
        self._results: dict[str, Result] = {}
        """By the id of the case."""
        self._owners: dict[str, str] = {}
        """The case that each task was made for first, by its id."""

    def execute(self) -> Report:
        """Run to the end, or until something stops it."""
        self._guard(self._send_and_follow)
        self._guard(self._judge_what_came)
        self._guard(self._close)
        return self._report

    def _guard(self, step: Callable[[], object]) -> None:
        """Do something; whatever ends it, the report goes on."""
        try:
            step()
        except KeyboardInterrupt as interrupt:
            self._report.signal = next(iter(interrupt.args), signal.SIGINT)
            self._stopping.end(INTERRUPTED)
        except Exception as error:  # noqa: BLE001 - a run that has cost money is reported whatever goes wrong
            self._report.bug = self._report.bug or self._options.without_keys(bug_line(error))
            self._stopping.end(BROKEN)

    def _send_and_follow(self) -> None:
        results = self._add(select_cases(self._contract, self._options, self._target.callback_url))
        self._send_all(results)
        if self._options.keep and not self._stopping.reason:
            self._ask_again(results)

    def _judge_what_came(self) -> None:
        for result in self._report.results if self._stopping.reason else ():
            self._guard(partial(self._judge_once, result))

    def _close(self) -> None:
        close(self._report, self._stopping, self._sender)

    def _add(self, cases: Iterable[Case]) -> list[Result]:
        results = [Result(case) for case in cases]
        self._results |= {result.case.id: result for result in results}
        self._report.results += results
        return results

    def _send_all(self, results: list[Result]) -> None:
        """Send the cases, and those that are drawn besides, and follow their tasks."""
        enough = make_plan(self._contract, to_send(self._report.cases, self._options)).enough
        if self._options.budget < enough:  # what costs nothing goes first, before the money is spent
            results = sorted(results, key=lambda result: COSTS.index(result.case.cost))
        late = [result for result in results if result.case.late]
        begun = self._begin_drawing()
        for turn in _turns([result for result in results if not result.case.late]):
            self._try_all(turn)
            self._judge_replies()
            self._try_sure_parts()
        drawn = self._add_drawn(begun, sum(result.case.creates for result in late))
        self._follow()
        self._try_all(drawn)  # now that the tasks which fail have given back what was set aside for them
        self._try_all(late)
        self._judge_replies()
        self._follow()
        self._look_at_list()
        self._judge_leftovers()

    def _try_sure_parts(self) -> None:
        """Send what is sure of a request that was refused for something inferred: else that would hide what is wrong with the rest."""
        parts: list[Result] = []
        for result in [] if self._stopping.reason else list(self._report.results):
            case = result.case
            sure = tuple(each for each in case.covers if not is_inferred(self._contract, each))
            refused = result.state == LEARNED and not result.task_id
            if refused and len(sure) < len(case.covers) and f"{case.id}/sure" not in self._results:
                part = replace(case, id=f"{case.id}/sure", covers=sure, request=case.repack(sure))
                parts += self._add([part])
                self._results[case.id] = parts[-1]  # whose task is what others need
        self._try_all(parts)
        self._judge_replies()

    def _begin_drawing(self) -> Callable[[], tuple[Case, ...]]:
        """Draw cases while others are sent, if the run is about everything and may spend: Hypothesis takes its time."""
        if self._options.keep or not (self._options.whole and self._options.budget):
            return tuple
        return self._workers.begin(partial(explored_cases, self._contract, self._options.seed, EXPLORED))

    def _add_drawn(self, begun: Callable[[], tuple[Case, ...]], creates_to_come: int) -> list[Result]:
        """Add no more of the drawn cases than there is room for."""
        room = MAX_CREATES - self._sender.first_creates - creates_to_come
        return [] if self._stopping.reason or room <= 0 else self._add(begun()[:room])

    def _ask_again(self, results: Sequence[Result]) -> None:
        """Send a query of each kind of refusal a second time; a query costs nothing."""
        seen = set()
        for result in results:
            request, reply = result.case.request, result.reply
            if reply is None or request.method != "GET" or "{" in request.path or envelope_of(reply.body) in seen:
                continue
            seen.add(envelope_of(reply.body))
            with suppress(NotTestedError):
                result.again = self._sender.ask(result.case, request)

    # One case; by several threads at once

    def _try_all(self, results: Sequence[Result]) -> None:
        self._workers.for_each(self._try, results)

    def _try(self, result: Result) -> None:
        """Send a case, unless something speaks against it."""
        case, stopping = result.case, self._stopping
        before = self._results.get(case.after)
        if reason := why_not(case, self._options):
            result.skip(reason, planned=True)
        elif stopping.reason:
            result.skip(stopping.reason, planned=stopping.planned)
        elif case.after and (before is None or not before.task_id):
            missed = before is not None and before.state == SKIPPED and not before.planned
            why = f": {clipped(describe(before.reply))}" if before and before.reply else ""
            result.skip(f"needs the task of {case.after}, which was not made{why}", planned=not missed)
        elif stopping.no_creates and case.creates:
            result.skip(stopping.no_creates)
        elif stopping.broke and case.creates and case.accepted:
            result.skip(stopping.broke)
        else:
            self._send(result, before.task_id if before else "")
        self._on_result(result)
        if self._options.stop_early:
            self._stop_at_deviation()
            self._follow()

    def _send(self, result: Result, task_id: str) -> None:
        """Send a case, in whose path the id of a task may have to be put."""
        case = result.case
        if case.details.get("value") == "{task_id}":  # which a refusal repeats
            case = result.case = replace(case, details={**case.details, "value": task_id})
        request = replace(case.request, path=case.request.path.replace("{task_id}", task_id))
        sent = self._stopping.before_sending()
        try:
            reply = self._ask(case, request)
        except BudgetError:
            result.skip(TOO_DEAR)
        except UnavailableError as error:
            result.skip(f"could not be judged: {error}")
            self._note_silence(case, sent, error.said)
        except NotTestedError as error:
            self._stopping.note_answer(to_create=case.creates)
            if isinstance(error, NoMoneyError):
                self._stopping.stop_paying(str(error))
            result.skip(str(error))
        else:
            self._stopping.note_answer(to_create=case.creates)
            self._take(result, reply)
        if not self._options.budget and self._sender.budget.spent:
            self._stop_for_money(result)

    def _ask(self, case: Case, request: Request) -> Reply:
        """Ask; once more without its external id, if a request that must be refused for something else is refused for that."""
        reply = self._sender.ask(case, request)
        body = dict(request.body or {})
        is_other = case.cost == NEVER and case.rule is not None and case.rule.id != UNIQUE
        if not (is_other and body.pop(EXTERNAL_ID, None) and UNIQUE in named_rules(self._contract, reply)):
            return reply
        return self._sender.ask(
            case, replace(request, body=body)
        )  # an earlier refusal has kept the id: a case is about that

    def _note_silence(self, case: Case, sent: tuple[int, int], said: str) -> None:
        """Go on, unless that was one silence too many and the target answers nothing else either."""
        if not self._stopping.note_silence(sent, said, of_create=case.creates):
            return
        if is_there(self._sender, self._contract):
            self._stopping.note_answer(to_create=False)
        else:
            self._stopping.give_up(said)

    def _take(self, result: Result, reply: Reply) -> None:
        case = result.case
        result.reply = reply
        if case.creates and (made := task_id_of(reply)):
            result.task_id, result.history = made, [reply.data]
        if self._options.one_by_one:
            self._judge(result, reply)

    def _stop_for_money(self, result: Result) -> None:
        """End a run without a budget, since a request that was to be refused may cost money; queries go on if nobody knows."""
        case = result.case
        if not case.creates or self._stopping.no_creates:
            return
        answer = f"it was answered {describe(result.reply)}" if result.reply else f"it {result.reason}"
        reason = f"was not sent, since {case.id} may cost money: {answer}"
        self._stopping.stop_creating(reason)
        if result.reply:
            self._stopping.stop(reason)
        price = self._sender.budget.spent
        self._report.notes.append(
            f"{case.id} was not refused ({answer}): breaking {case.requirement} may have cost {price} {self._contract.currency}"
        )

    # What came back

    def _judge_replies(self) -> None:
        """Judge what has come; many at a time are judged after they were sent, while their tasks go on."""
        for result in self._report.results:
            self._judge_once(result)

    def _judge_once(self, result: Result) -> None:
        if result.reply and not result.judged:
            self._judge(result, result.reply)

    def _judge(self, result: Result, reply: Reply) -> None:
        case = result.case
        self._judge_owner(result)
        if takes_any_key(self._contract, self._options, case, reply):
            self._report.notes += [ANY_KEY] if ANY_KEY not in self._report.notes else []
        else:
            for deviation in judge(self._contract, self._schemas, case, reply):
                # If even the smallest request is refused, no boundary is to blame.
                search = deviation.kind == "refused" and not (self._refuses_all or self._stopping.reason)
                result.add(self._bisection.blame(case, reply, deviation) if search else deviation)
        result.judged = True

    def _judge_owner(self, result: Result) -> None:
        """Look whether an accepted create has made a task of its own, and whether a query has found the task that it was about."""
        before = self._results.get(result.case.after)
        found = task_id_of(result.reply) if result.reply and result.case.operation == QUERY else ""
        if result.case.accepted and before and found and found != before.task_id:
            self._follower.find(result, result.case.promise, f"task {before.task_id}", f"task {found}")
        if result.case.accepted and result.task_id:
            owner = self._owners.setdefault(result.task_id, result.case.id)
            if owner != result.case.id:
                self._follower.find(result, "task.id", "a task of its own", f"task {result.task_id} of {owner}")

    @property
    def _refuses_all(self) -> bool:
        smallest = self._results.get(SMALLEST)
        return smallest is not None and smallest.reply is not None and not smallest.task_id

    def _follow(self) -> None:
        """Follow the tasks to their end that nobody has followed yet."""
        if self._stopping.reason:
            return
        fresh = [result for result in self._report.results if result.history and result.is_open]
        self._follower.follow(fresh)
        for result in fresh:
            result.followed = True
        self._stop_at_deviation()

    def _stop_at_deviation(self) -> None:
        if self._options.stop_early and any(result.deviations for result in self._report.results):
            self._stopping.stop(AT_DEVIATION)

    def _look_at_list(self) -> None:
        if not (self._stopping.reason or self._options.keep):
            self._lister.look(self._report.results)
            self._stop_at_deviation()

    def _judge_leftovers(self) -> None:
        """Find callbacks for tasks that nobody was told of: a refused create has left one behind."""
        if self._stopping.reason or self._sender.budget.unclear:
            return
        known = {result.task_id for result in self._report.results} | self._bisection.made
        called = {
            str(callback.body["task_id"]) for callback in list(self._target.received) if callback.body.get("task_id")
        }
        answered = next((result for result in self._report.results if result.reply), None)
        if answered and (strangers := called - known):
            expected = "no callbacks but those of accepted tasks"
            self._follower.find(answered, "refusal.nothing", expected, f"task {min(strangers)}")


def _turns(results: Sequence[Result]) -> list[list[Result]]:
    """Return the cases that need no other one, then those that need one of these, and so on."""
    turns: list[list[Result]] = []
    sent: set[str] = {""}
    left = list(results)
    while left:
        turn = [result for result in left if result.case.after in sent] or left  # what nobody sends is needed in vain
        turns.append(turn)
        sent |= {result.case.id for result in turn}
        left = [result for result in left if result.case.id not in sent]
    return turns
