"""A state machine over the life of tasks: submit, poll, wait, and submit again what was refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, multiple, precondition
from hypothesis.stateful import rule as step

from ..cases.case import NEVER, Case, create_case
from ..check import at_least, send_case
from ..evidence import RECORDED
from ..judge.reply import evidence_of
from ..judge.task_history import judge_history
from ..spec import load_contract
from ..targets.target import Request
from .bodies import InvalidRequest, invalid_requests, valid_requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..spec import Contract
    from ..targets.target import Reply, Target

EXTERNAL_ID = "external_task_id"


def state_machine(
    target: Target, contract: Contract | None = None, key: str | None = None, fail_on: str = RECORDED
) -> type[RuleBasedStateMachine]:
    """Return a state machine that submits, polls and waits at a target, and raises AssertionError where it is wrong.

    Refusals and promises are judged where they are known at least as well as `fail_on`: documented, recorded or inferred. It sends as often as Hypothesis likes: a service that is not on this machine charges each accepted request.
    """
    contract = contract or load_contract()
    service = _Service(target, contract, key, fail_on)
    valid = valid_requests(contract)
    waits = sorted(latest / 1000 for _, latest in contract.lifecycle.timings.values())

    class Life(RuleBasedStateMachine):
        tasks = Bundle[_Task]("tasks")
        free_ids = Bundle[str]("free_ids")
        submitted = False

        @step(target=tasks, body=valid)
        def submit(self, body: dict[str, Any]) -> Any:
            self.submitted = True
            return service.submit(body)

        @step(target=free_ids, invalid=invalid_requests(contract))
        def submit_refused(self, invalid: InvalidRequest) -> Any:
            service.refuse(invalid)
            external_id = invalid.body.get(EXTERNAL_ID)
            return external_id if external_id and isinstance(external_id, str) else multiple()

        @step(target=tasks, body=valid, external_id=consumes(free_ids))
        def submit_with_the_id_of_a_refused(self, body: dict[str, Any], external_id: str) -> Any:
            return service.submit({**body, EXTERNAL_ID: external_id}, owed="refusal.nothing")

        @step(task=tasks)
        def poll(self, task: _Task) -> None:
            service.poll(task)

        @precondition(lambda self: self.submitted)
        @step(seconds=st.sampled_from(waits))
        def wait(self, seconds: float) -> None:
            target.wait(seconds)

    return Life


@dataclass
class _Task:
    """A task: what was asked, and `data` of each answer about it."""

    body: dict[str, Any]
    history: list[dict[str, Any]]


class _Service:
    """Sends what a step of the state machine asks for, and raises AssertionError where an answer is not as it should be."""

    def __init__(self, target: Target, contract: Contract, key: str | None, fail_on: str) -> None:
        self._target = target
        self._contract = contract
        self._key = key
        self._fail_on = fail_on

    def submit(self, body: dict[str, Any], *, owed: str = "") -> Any:
        """Return the task; none where the service refuses what is only inferred to be right."""
        reply, found = self._send(create_case(self._contract, "submit", body, promise=owed))
        task = _Task(body, [reply.data])
        _raise([*(self._in_history(task) if reply.data else ()), *found])
        return task if reply.data else multiple()

    def refuse(self, invalid: InvalidRequest) -> None:
        _raise(self._send(create_case(self._contract, "submit_refused", invalid.body))[1])

    def poll(self, task: _Task) -> None:
        query = self._contract.operations["get_task"]
        path = query.path.replace("{task_id}", str(task.history[0].get("task_id")))
        case = Case("poll", Request(query.method, path), query.operation_id, NEVER, promise="task.end")
        reply, found = self._send(case)
        if reply.data:
            task.history.append(reply.data)
        _raise([*self._in_history(task), *found])

    def _send(self, case: Case) -> tuple[Reply, list[str]]:
        return send_case(self._target, self._contract, case, self._key, self._fail_on)

    def _in_history(self, task: _Task) -> Iterator[str]:
        by_url = any(picture.url for picture in self._contract.request.judge(task.body)[1])
        succeeded = self._contract.lifecycle.succeeded
        for owed, expected, got, _ in judge_history(self._contract, task.body, task.history, None):
            goes_on = owed == "task.end"
            may_fail = expected == succeeded and by_url  # whether an address can be fetched, only the service knows
            known = evidence_of(self._contract, owed).grade in at_least(self._fail_on)
            if known and not (goes_on or may_fail):
                yield f"{owed}: expected {expected}, got {got}"


def _raise(found: list[str]) -> None:
    if found:
        raise AssertionError("\n".join(found))
