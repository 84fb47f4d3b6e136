"""Money: what may be spent is set aside first, what is no clear refusal may cost, and nothing crosses a budget."""

from __future__ import annotations

import itertools
import json
import signal
import threading
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klingkit.contract import load_contract
from klingkit.contract.check import check_create
from klingkit.contract.targets.target import NoAnswerError, Reply, Request
from klingkit.contract.verify.budget import Budget, BudgetedTarget, BudgetError
from tests.wrong_targets import FREE, PAID, PRICE, Wrong, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Running

TAKEN = [
    b'{"code":0}',
    b'{"code":"success","data":"123"}',
    b'{"code":0,"data":{"task_id":{"a":1}}}',
    b"[]",
    b"<html>",
    b"",
]
"""Bodies of answers from which nobody can tell that nothing was made."""


def always(content: bytes, http: int = 200) -> Callable[[Request, Reply], Reply]:
    """Answer every create so."""
    return lambda request, reply: Reply(http, reply.headers, content) if request.method == "POST" else reply


def creates(target: Wrong) -> int:
    return sum(request.method == "POST" for request in target.sent)


@pytest.mark.parametrize("content", TAKEN, ids=repr)
@pytest.mark.parametrize("http", [200, 201, 504])
def test_what_is_no_clear_refusal_may_cost(content: bytes, http: int) -> None:
    poor = Wrong(always(content, http))
    report = run(poor, replace(PAID, budget=Decimal("0.05")))
    assert creates(poor) == 3
    assert report.spent == 3 * PRICE

    free = Wrong(always(content, http))
    report = run(free, FREE)
    assert creates(free) == 1
    assert report.spent == PRICE
    assert "may cost money: it " in report.incomplete


def test_a_create_without_an_answer_ends_a_run_without_a_budget() -> None:
    count = itertools.count()

    def silent(request: Request, reply: Reply) -> Reply:
        if request.method == "POST" and next(count) % 2:
            raise NoAnswerError("the connection broke off")
        return reply

    report = run(Wrong(silent), FREE)

    assert report.spent == PRICE
    assert "may cost money: it could not be judged: the service was unavailable: the connection" in report.incomplete
    assert next(count) == 2


def test_a_request_that_has_not_arrived_costs_nothing() -> None:
    def down(request: Request, reply: Reply) -> Reply:
        if (request.body or {}).get("n") == 0:
            raise NoAnswerError("nothing answers there", arrived=False)
        return reply

    assert run(Wrong(down), FREE).spent == 0


def test_nothing_is_sent_after_a_ctrl_c_also_by_those_who_waited_for_money() -> None:
    """The interrupt comes to the main thread, as a real one does, while eight threads are at work and most wait for money."""
    main_thread = threading.get_ident()
    interrupted, delivered = threading.Event(), threading.Event()
    late: list[Request] = []
    started = itertools.count()

    def slow(request: Request, reply: Reply) -> Reply:
        if interrupted.is_set():
            late.append(request)
            assert delivered.wait(20)
        if request.method == "POST" and next(started) == 20:
            interrupted.set()
            signal.pthread_kill(main_thread, signal.SIGINT)  # wakes it from whatever it waits for, as Ctrl-C does
        return reply

    def interrupt(*_: object) -> None:
        delivered.set()
        raise KeyboardInterrupt

    target = Wrong(slow, parallel=8)
    usual = signal.signal(signal.SIGINT, interrupt)
    try:
        report = run(target, replace(PAID, budget=Decimal("0.03")))
    finally:
        signal.signal(signal.SIGINT, usual)

    assert report.interrupted
    assert report.incomplete == "interrupted"
    assert len(late) < 8  # those that were on their way
    assert creates(target) < 40
    assert report.spent <= Decimal("0.03")


@pytest.mark.parametrize("parallel", [1, 8])
def test_a_bug_stops_all_and_is_one_line_of_the_report(parallel: int) -> None:
    def broken(request: Request, reply: Reply) -> Reply:
        if request.method == "POST":
            raise RuntimeError("a bug of the target")
        return reply

    target = Wrong(broken, parallel)

    report = run(target, replace(PAID, budget=Decimal("0.02")))

    assert "klingkit itself failed, please report this line: RuntimeError: a bug of the target" in report.incomplete
    assert report.spent == PRICE
    assert report.of("deviates") == []
    assert creates(target) <= parallel


def test_a_success_of_another_status_is_one_and_no_reason_to_look_for_a_guilty_rule() -> None:
    target = Wrong(lambda _, reply: replace(reply, http=201) if reply.http == 200 else reply)
    report = run(target)

    kinds = {each.kind for result in report.of("deviates") for each in result.deviations if result.case.creates}
    assert "status" in kinds
    assert "refused" not in kinds
    assert report.creates <= 120


def test_what_calls_back_after_a_create_without_an_answer_is_no_stranger() -> None:
    def lost(request: Request, reply: Reply) -> Reply:
        if (request.body or {}).get("n") == 9:
            raise NoAnswerError("the connection broke off")
        return reply

    report = run(Wrong(lost))

    assert "refusal.nothing" not in {each.requirement for result in report.results for each in result.deviations}


# A budget


STEPS = st.lists(st.tuples(st.sampled_from(["hold", "spend", "return", "refund"]), st.decimals(0, "0.3", places=2)))


@given(limit=st.decimals(0, 1, places=2), steps=STEPS)
def test_a_budget_never_has_less_than_nothing(limit: Decimal, steps: list[tuple[str, Decimal]]) -> None:
    """What is held and what is spent together never cross the budget, in whatever order things happen."""
    budget, held, paid = Budget(load_contract(), limit), list[Decimal](), list[Decimal]()
    for step, amount in steps:
        if step == "hold" and sum(held) + sum(paid) + amount <= limit:
            budget.hold(amount)
            held.append(amount)
        elif step == "hold" and not any(held):
            with pytest.raises(BudgetError):
                budget.hold(amount)
        elif step in {"spend", "return"} and held:
            first = held.pop()
            budget.settle(first, first if step == "spend" else Decimal(0))
            paid += [first] if step == "spend" else []
        elif step == "refund" and paid:
            budget.refund(paid.pop())
        assert budget.most == sum(held) + sum(paid) <= limit
        assert budget.spent == sum(paid)


def test_who_waits_for_money_is_told_when_there_will_be_none() -> None:
    budget = Budget(load_contract(), PRICE)
    budget.hold(PRICE)
    raised: list[BudgetError] = []

    def wait() -> None:
        try:
            budget.hold(PRICE)
        except BudgetError as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    budget.close()
    thread.join(10)

    assert len(raised) == 1


# A target with a budget


def test_all_creates_of_a_budgeted_target_together_cross_no_budget(server: Running) -> None:
    target = BudgetedTarget(server.url, "money-1", load_contract(), Decimal("0.15"))
    right: dict[str, Any] = {"subject_image_list": [{"subject_image": "https://example.com/a.png"}] * 2}

    for _ in range(20):
        assert check_create(target, {**right, "n": 0}).http == 400  # a refusal gives back what was set aside
    check_create(target, right)
    with pytest.raises(BudgetError):
        check_create(target, {**right, "n": 1000})
    with pytest.raises(BudgetError):
        check_create(target, {**right, "n": 10**400})
    check_create(target, {**right, "n": 9})
    with pytest.raises(BudgetError, match=r"0\.0266 more than the 0\.1330 spent would cross the budget of 0\.15"):
        check_create(target, {**right, "n": 2})
    raw = Request(
        "POST", "/kling/v1/images/generations", raw=json.dumps(right).encode(), content_type="application/json"
    )
    with pytest.raises(BudgetError):
        target.send(raw)  # what nobody has read may ask for many
