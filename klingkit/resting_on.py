"""Which behaviours of the contract an exchange rests on: what was sent, what the answer shows, and what made it so."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from klingkit.contract import load_contract
from klingkit.contract.behaviours import CALLBACKS, ERROR, LIFECYCLE, PROMISE, QUESTION, RULE, SENT, SHOWN, fields_in
from klingkit.contract.choice import UnknownChoiceError
from klingkit.contract.judge.answer_schema import ENVELOPES
from klingkit.contract.judge.reading import envelope_of
from klingkit.contract.resolving import shortest
from klingkit.mock_server.task_bodies import callback_body
from klingkit.mock_server.tasks import at_step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from klingkit.contract import Contract
    from klingkit.contract.choice import Choice
    from klingkit.mock_server.deliveries import Delivery
    from klingkit.mock_server.journal import Entry
    from klingkit.mock_server.tasks import Task

ASSUMED = re.compile(r"; assumption=([\w-]+)")
"""The open question to which the input that broke a rule belongs, as the rule's explanation has it."""
CALLED = "task_changed"
"""The operation of a callback."""


def behaviours_of_request(entry: Entry, contract: Contract) -> Iterator[str]:
    """Yield the behaviours that a request and its answer rest on, each once or more; some may be none that the contract knows."""
    sent = [
        place for place, value in fields_in(entry.operation, _json(entry.body)) if value is not None
    ]  # null: absent
    yield from (f"{SENT} {place}" for place in sent)
    if entry.operation in contract.requests and any(
        place.count(".") == 1 and place.partition(".")[2] not in contract.requests[entry.operation].known_fields[()]
        for place in sent
    ):
        yield f"{PROMISE} request.unknown_fields"
    yield from (f"{QUESTION} {question}" for question in (*entry.questions, *dict(contract.choice.assume)))
    rule = entry.rule.partition(";")[0]
    if rule:
        yield f"{RULE} {rule}"
        if found := ASSUMED.search(entry.rule):
            yield f"{QUESTION} {found[1]}"
    elif entry.error:
        yield f"{ERROR} {entry.error}"
    answer = _json(entry.answer)
    name = ENVELOPES.get(envelope_of(answer), entry.operation)
    yield from _of_fields(name, answer, contract)


def questions_of(contract: Contract, body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the open questions of which another answer would have a create answered otherwise, accepted or refused."""
    contract = load_contract(contract.choice)  # without a recording, which changes the texts of this one alone
    as_it_is = _outcome(contract, body)
    others = _other_answers(contract.choice)
    return tuple(dict.fromkeys(question for question, other in others if _outcome(other, body) != as_it_is))


@lru_cache(maxsize=8)
def _other_answers(choice: Choice) -> list[tuple[str, Contract]]:
    """Return each alternative that a contract does not take, as a contract, with the question that it answers."""
    found = []
    for question in load_contract(choice).assumptions:
        for alternative in question.alternatives:
            assumed = {**dict(choice.assume), question.id: alternative}
            try:
                other = shortest(replace(choice, assume=tuple(assumed.items())))
            except UnknownChoiceError:  # plain generation is an answer to that question already
                continue
            if other != choice:
                found.append((question.id, load_contract(other)))
    return found


def _outcome(contract: Contract, body: Mapping[str, Any]) -> Any:
    """Return what comes of the body of a create: the refusal, or what is made of it."""
    operation = contract.operation_for(contract.operations["create_task"], body).operation_id
    request = contract.requests[operation]
    violations, pictures = request.judge(body)
    if violations:
        refusal = violations[0].error
        return violations[0].rule.id, refusal.error.http, refusal.error.envelope, refusal.error.code, refusal.message
    failures = [rule.id for picture in pictures if (rule := request.async_violation(picture))]
    return operation, request.meant(body), failures


def behaviours_of_callback(delivery: Delivery, task: Task, contract: Contract) -> Iterator[str]:
    """Yield the behaviours that a callback rests on which was sent."""
    yield from (f"{CALLBACKS} contentType", f"{PROMISE} callback.body", f"{PROMISE} callback.sequence")
    if len(delivery.attempts) > 1:
        yield f"{CALLBACKS} retryAfterMs"
    yield from _of_fields(CALLED, callback_body(at_step(task, delivery.step), contract), contract)


def _of_fields(name: str, answer: Any, contract: Contract) -> Iterator[str]:
    """Yield the fields of an answer, and what moves the task that it shows."""
    roles = contract.lifecycle.roles
    for place, value in fields_in(name, answer):
        yield f"{SHOWN} {place}"
        if place.endswith(".task_status") and isinstance(value, str):
            yield f"{LIFECYCLE} transitions"
            yield f"{LIFECYCLE} {roles.get(value, '')}"


def _json(raw: bytes) -> Any:
    """Return the JSON that was kept of a body; None if there is none."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
