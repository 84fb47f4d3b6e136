"""Ask a service the questions that are open, and find which alternative of each it follows.

A simulator that assumes an alternative is asked the same: the one whose answers come out alike is the service's.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from klingkit.contract import Choice, Contract, load_contract
from klingkit.contract.assumption_answers import Answer, Answers
from klingkit.contract.cases.case import FAILS
from klingkit.contract.cases.probes import Probe, probes
from klingkit.contract.evidence import INFERRED, TEXT, UNKNOWN
from klingkit.contract.judge.charge import may_cost
from klingkit.contract.judge.reading import describe, envelope_of, inner_of, task_id_of
from klingkit.contract.resolving import shortest
from klingkit.contract.targets.target import NoAnswerError, Reply, Request, without
from klingkit.mock_server.serving.in_process import SimulatorTarget, in_process_target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from klingkit.contract.targets.target import Target

PAUSE_S, LONGEST_S = 1.0, 60.0
"""Between two looks at a task that is to fail, and how long it is waited for."""
ROUNDS = 4
"""How often everything is looked at at most: an answer can depend on what is found only after it."""
NOT_AT_ALL, PERHAPS, EXACTLY = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Asked:
    """A probe with what came of it."""

    probe: Probe
    replies: tuple[Reply, ...] = ()
    problem: str = ""
    """Why it was not asked, or has no answer."""
    alternative: str = ""
    """The one that the service follows; empty if that is not known."""
    fits: tuple[str, ...] = ()
    """The alternatives that what came fits as well as any."""
    unanswered: bool = False
    """Whether it was asked, and nothing came."""

    @property
    def came(self) -> tuple[str, ...]:
        """What was answered, in a few words each."""
        return tuple(describe(reply) for reply in self.replies)


def ask(target: Target, choice: Choice, budget: Decimal) -> list[Asked]:
    """Ask a service all questions that the budget allows, and return which alternative of each it follows."""
    return settle(send_probes(target, load_contract(choice), budget), choice, target.key)


def send_probes(target: Target, contract: Contract, budget: Decimal) -> list[Asked]:
    """Send the probes that a budget allows, the free ones first.

    A task that is to fail without cost is held to cost what it would if it did not. A service that takes what every one should refuse is
    asked for nothing more that it could take, once the budget does not cover what it has.
    """
    asked = []
    for probe in probes(contract, f"klingkit-{secrets.token_hex(4)}"):
        budget, one = _ask(target, contract, probe, budget)
        asked.append(one)
    return asked


def settle(asked: list[Asked], choice: Choice, key: str) -> list[Asked]:
    """Return what was asked with the alternatives that the replies show.

    What is found of one question is taken for granted when the next is looked at.
    """
    predictions = Predictions(key)
    settled = {one.probe.assumption: one for one in asked}
    found: dict[str, str] = {}
    for _ in range(ROUNDS):
        before = found
        for name, one in settled.items():
            settled[name] = _settled(one, choice, found, predictions)
            found = {known: each.alternative for known, each in settled.items() if each.alternative}
        if found == before:
            break
    return list(settled.values())


def answers_of(asked: list[Asked], contract: Contract, url: str) -> Answers:
    """Return what is to be kept of them."""
    answers = {one.probe.assumption: Answer(one.alternative, one.came) for one in asked if one.alternative}
    return Answers(contract.name, url, f"{datetime.now(UTC):%Y-%m-%d}", answers)


def _ask(target: Target, contract: Contract, probe: Probe, budget: Decimal) -> tuple[Decimal, Asked]:
    creates = [request for request in probe.requests if request.method != "GET"]
    most = contract.price_per_picture * len(creates)
    worst = most if probe.cost == FAILS else Decimal(0)
    if creates and budget < 0:
        return budget, Asked(probe, problem="not asked: an earlier request may have cost more than the budget")
    if worst > budget and creates:
        return budget, Asked(
            probe, problem=f"not asked: it would cost {worst} {contract.currency} if its task did not fail"
        )
    try:
        replies = tuple(_send(target, contract, probe))
    except NoAnswerError as error:
        return budget - (most if error.arrived else worst), Asked(probe, problem=f"no answer: {error}", unanswered=True)
    taken = sum(
        _may_cost(contract, *pair) for pair in zip(probe.requests, replies, strict=True) if pair[0].method != "GET"
    )
    return budget - max(worst, contract.price_per_picture * taken), Asked(probe, replies)


def _may_cost(contract: Contract, request: Request, reply: Reply) -> bool:
    """Tell whether a request may have made something; not if the gateway had nowhere to send it."""
    no_channel = contract.errors.get("no_channel")
    nowhere = (no_channel.http, no_channel.envelope, type(no_channel.code), no_channel.code) if no_channel else ()
    if reply.http < 400 or _form(reply) == nowhere:
        return reply.http < 400
    return all(may_cost(each, request, reply) for each in _with_alternatives(contract))


def _with_alternatives(contract: Contract) -> Iterator[Contract]:
    """Yield a contract, and as it is with each alternative: a refusal can have the form that one of them gives it."""
    yield contract
    for question in contract.assumptions:
        for alternative in question.alternatives:
            assume = {**dict(contract.choice.assume), question.id: alternative}
            yield load_contract(replace(contract.choice, assume=tuple(assume.items())))


def _send(target: Target, contract: Contract, probe: Probe) -> Iterator[Reply]:
    """Send the requests of a probe; what follows the first comes when the task of that has ended."""
    task_id = ""
    for number, request in enumerate(probe.requests):
        if number == 1 and task_id:
            _wait(target, contract, task_id)
        reply = target.send(replace(request, path=request.path.replace("{task_id}", task_id or "0")))
        task_id = task_id or task_id_of(reply)
        yield without((target.key,), reply)  # which is shown, and kept


def _wait(target: Target, contract: Contract, task_id: str) -> None:
    get, lifecycle = contract.operations["get_task"], contract.lifecycle
    query = Request(get.method, get.path.replace("{task_id}", task_id))
    end = target.now() + LONGEST_S
    while target.now() < end:
        status = target.send(query).data.get("task_status")
        if not lifecycle.transitions.get(str(status), ()):
            return
        target.wait(PAUSE_S)


class Predictions:
    """What simulators answer: one for each contract that may be the service's, each asked once."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._simulators: dict[Choice, SimulatorTarget] = {}
        self._made: dict[tuple[Choice, str], tuple[Reply, ...]] = {}

    def of(self, choice: Choice, probe: Probe) -> tuple[Contract, tuple[Reply, ...]]:
        """Return a contract, and the replies of a simulator that follows it."""
        choice = shortest(choice)
        simulator = self._simulators.get(choice) or self._start(choice)
        contract, place = simulator.simulator.contract, (choice, probe.assumption)
        if place not in self._made:
            self._made[place] = tuple(_send(simulator, contract, probe))
        return contract, self._made[place]

    def _start(self, choice: Choice) -> SimulatorTarget:
        simulator = in_process_target(load_contract(choice), keys=frozenset({self._key}))
        simulator.key = self._key
        self._simulators[choice] = simulator
        return simulator


def _settled(asked: Asked, choice: Choice, found: dict[str, str], predictions: Predictions) -> Asked:
    """Return it with the alternative that predicts the replies best, if that is one alone."""
    if not asked.replies:
        return asked
    question = next(each for each in load_contract(choice).assumptions if each.id == asked.probe.assumption)
    marks: dict[str, int] = {}
    for alternative in question.alternatives:
        assume = {**dict(choice.assume), **found, question.id: alternative}
        contract, predicted = predictions.of(replace(choice, assume=tuple(assume.items())), asked.probe)
        marks[alternative] = _mark(contract, predicted, asked.replies)
    best = [alternative for alternative, mark in marks.items() if mark == max(marks.values()) > NOT_AT_ALL]
    return replace(asked, alternative=best[0] if len(best) == 1 else "", fits=tuple(best))


def _mark(contract: Contract, predicted: tuple[Reply, ...], replies: tuple[Reply, ...]) -> int:
    """Say how well replies were predicted; 0 if one of them is another."""
    marks = [_alike(contract, one, other) for one, other in zip(predicted, replies, strict=True)]
    return sum(marks) if all(marks) else NOT_AT_ALL


def _alike(contract: Contract, predicted: Reply, reply: Reply) -> int:
    """Compare what both say: status, envelope and code, and the text as far as it is known."""
    if _form(predicted) != _form(reply):
        return NOT_AT_ALL
    rule = contract.rules.get(predicted.headers.get("klingkit-rule", "").partition(";")[0])
    text, other = (_text(each) for each in (predicted, reply))
    if rule is None or text == other or any(other.startswith(text + more) for more in rule.continued):
        return EXACTLY
    grade = rule.aspects[TEXT].grade
    names_field = bool(re.search(rf"\b{re.escape(rule.id.partition('.')[0])}\b", other))
    return PERHAPS if grade == UNKNOWN or (grade == INFERRED and names_field) else NOT_AT_ALL


def _form(reply: Reply) -> tuple[object, ...]:
    code = inner_of(reply.body).get("code")
    return reply.http, envelope_of(reply.body), type(code), code


def _text(reply: Reply) -> str:
    message = inner_of(reply.body).get("message")
    return message.partition(" (request id:")[0] if isinstance(message, str) else ""
