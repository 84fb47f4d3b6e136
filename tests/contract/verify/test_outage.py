"""An outage is no breach: what says that the service cannot serve now is asked again where that is safe, then not tested."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from klingkit.contract.cases.catalogue import build_cases
from klingkit.contract.targets.target import NoAnswerError, Reply, Request
from klingkit.contract.verify.stopping import MAX_SILENT_CREATES
from klingkit.mock_server.auth import account_name
from tests.wrong_targets import CONTRACT, FREE, PAID, PRICE, Wrong, recording_of, right_target, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.contract.targets.target import Target
    from klingkit.contract.verify.results import Report

PAGE = b"<html><body>out of order</body></html>"
OUTAGES: list[Reply | NoAnswerError] = [
    Reply(502, {}, PAGE),
    Reply(503, {}, b'{"code": 5001, "message": "Service temporarily unavailable", "request_id": "x"}'),
    Reply(504, {}, b""),
    Reply(429, {}, PAGE),
    Reply(520, {}, PAGE),
    Reply(200, {}, PAGE),
    NoAnswerError("the connection broke off"),
    NoAnswerError("nothing answers there", arrived=False),
]


def out(outage: Reply | NoAnswerError, hit: Callable[[Request], bool]) -> Callable[[Request, Reply], Reply]:
    """Answer some requests so."""

    def answer(request: Request, reply: Reply) -> Reply:
        if not hit(request):
            return reply
        if isinstance(outage, NoAnswerError):
            raise outage
        return outage

    return answer


def body_of(case_id: str) -> bytes:
    return next(case.request.data for case in build_cases(CONTRACT, PAID.run, None) if case.id == case_id)


def deviations(report: Report) -> set[tuple[str, str]]:
    return {(found.requirement, found.kind) for result in report.results for found in result.deviations}


@pytest.mark.parametrize("outage", OUTAGES, ids=repr)
def test_an_outage_of_a_moment_is_waited_for(outage: Reply | NoAnswerError) -> None:
    """Every third query, and every fifth create that must be refused, meets it once."""
    queries, creates = itertools.count(), itertools.count()

    def hit(request: Request) -> bool:
        refused = request.body is None or "n" not in request.body or request.body["n"] in {0, 10}
        if request.method == "GET":
            return next(queries) % 3 == 2  # not the first two, which look whether there is anything at all
        return refused and len(request.data) > 0 and bool(request.raw) and next(creates) % 5 == 1

    report = run(Wrong(out(outage, hit)))

    assert deviations(report) == set()
    assert report.incomplete == ""
    assert next(queries) > 30
    assert next(creates) > 5


@pytest.mark.parametrize("outage", OUTAGES, ids=repr)
@pytest.mark.parametrize("case", ["task_id.exists/word", "prompt.maxLength/one-too-long"])
def test_a_case_that_always_meets_an_outage_is_not_tested(outage: Reply | NoAnswerError, case: str) -> None:
    data = body_of(case)

    def hit(request: Request) -> bool:
        return request.path.endswith("/klingkit") if "exists" in case else request.data == data

    target = Wrong(out(outage, hit))
    target.callback_url = None
    report = run(target)
    missed = {result.case.id: result.reason for result in report.of("skipped") if not result.planned}

    assert deviations(report) == set()
    assert list(missed) == [case]
    assert "the service was unavailable: " in missed[case] or "found no room" in missed[case]
    assert missed[case] in report.incomplete
    assert len(report.of("holds")) > 100


def test_creates_that_are_never_served_are_given_up_before_the_money_is_gone() -> None:
    target = Wrong(out(OUTAGES[0], lambda request: request.method == "POST"))
    report = run(target)

    assert deviations(report) == set()
    assert report.creates <= 3 * MAX_SILENT_CREATES
    assert "creates got no answer any more: 502, a page" in report.incomplete
    assert {result.case.id for result in report.of("holds")} >= {"task_id.exists/word", "path.known/invented"}


def test_a_service_that_goes_down_is_given_up() -> None:
    count = itertools.count()
    target = Wrong(out(OUTAGES[0], lambda _: next(count) > 60))
    report = run(target)

    assert deviations(report) == set()
    assert report.incomplete == "simulator stopped answering: 502, a page"
    assert len(target.sent) < 200


ERROR = b'{"code": 5000, "message": "Internal server error", "request_id": "x"}'


@pytest.mark.parametrize(("http", "content"), [(400, PAGE), (400, ERROR), (403, ERROR), (500, ERROR)])
def test_an_answer_that_is_wrong_each_time_stays_a_deviation(http: int, content: bytes) -> None:
    data = body_of("prompt.maxLength/one-too-long")
    target = Wrong(out(Reply(http, {}, content), lambda request: request.data == data))
    target.callback_url = None

    assert "prompt.maxLength" in {requirement for requirement, _ in deviations(run(target))}


@pytest.mark.parametrize("http", [403, 500])
def test_a_page_of_something_in_between_is_no_answer_to_the_case(http: int) -> None:
    data = body_of("prompt.maxLength/one-too-long")
    target = Wrong(out(Reply(http, {}, PAGE), lambda request: request.data == data))
    target.callback_url = None
    report = run(target)

    assert deviations(report) == set()
    assert "prompt.maxLength/one-too-long" in {result.case.id for result in report.of("skipped")}
    assert sum(request.data == data for request in target.sent) > 1


def test_a_failure_of_a_moment_is_no_answer_to_the_case() -> None:
    data, count = body_of("prompt.maxLength/one-too-long"), itertools.count()
    target = Wrong(out(Reply(500, {}, b""), lambda request: request.data == data and next(count) == 0))
    target.callback_url = None
    report = run(target)

    assert deviations(report) == set()
    assert report.incomplete == ""
    assert report.spent == run(right_target()).spent + PRICE  # nobody knows whether it was carried out


def test_a_create_that_is_to_be_accepted_is_not_sent_twice() -> None:
    sent: list[bytes] = []

    def hit(request: Request) -> bool:
        if (request.body or {}).get("n") == 9:
            sent.append(request.data)
        return request.data in sent

    report = run(Wrong(out(OUTAGES[0], hit)))

    assert len(sent) == 1
    assert deviations(report) == set()


def test_a_picture_that_cannot_be_fetched_now_is_not_tested_and_one_at_no_address_is_wrong() -> None:
    class Pictures(Wrong):
        def fetch(self, url: str) -> Reply:
            return Reply(503, {}, PAGE) if url.endswith("0.png") else self._inner.fetch(url)

    report = run(Pictures(lambda _, reply: reply), replace(PAID, only="task.picture"))
    assert deviations(report) == set()
    assert "has a picture that could not be fetched: the service was unavailable: 503, a page" in report.incomplete

    def nowhere(request: Request, reply: Reply) -> Reply:
        return replace(reply, content=reply.content.replace(b'"url":"http', b'"url":"nowhere'))

    assert ("task.picture", "promise") in deviations(run(Wrong(nowhere), replace(PAID, only="task.picture")))


def test_slots_are_waited_for_as_long_as_some_become_free() -> None:
    """Five slots, which nine pictures never find free, and tasks as long as the real ones: together longer than anybody waits."""
    target = right_target()
    target.callback_url = None
    target.simulator.store.configure(account_name("key"), {"concurrency": 5}, target.simulator.clocks.now())
    report = run(target)

    assert deviations(report) == set()
    assert {result.case.pictures for result in report.of("skipped")} == {9}
    assert "found no room within 120 s" in report.incomplete


def test_many_repeated_creates_leave_no_room_for_drawn_ones_and_break_nothing() -> None:
    body = {"code": 1302, "message": "API request too fast", "request_id": "x"}
    counts: dict[bytes, int] = {}

    class Busy(Wrong):
        def send(self, request: Request, key: str | None = None) -> Reply:
            counts[request.data] = counts.get(request.data, 0) + 1
            busy = request.method == "POST" and counts[request.data] < 4
            return Reply(429, {}, json.dumps(body).encode()) if busy else self._inner.send(request, key)

    report = run(Busy(lambda _, reply: reply))

    assert report.bug == ""
    assert deviations(report) == set()
    assert report.creates > 400
    assert any(result.case.id.startswith("explored/") for result in report.of("holds"))


@pytest.mark.parametrize("outage", OUTAGES, ids=repr)
def test_an_outage_is_not_recorded(outage: Reply | NoAnswerError) -> None:
    def answered(target: Target) -> set[str]:
        return set(recording_of(target, other_key=None, any_key=True, only="prompt.maxLength").answers)

    too_long = Wrong(out(outage, lambda request: len(str((request.body or {}).get("prompt"))) > 2500))

    assert answered(right_target()) - answered(too_long) == {"prompt.maxLength"}


def test_free_runs_end_creates_at_the_first_that_may_have_cost_and_go_on_with_queries() -> None:
    count = itertools.count()
    target = Wrong(out(OUTAGES[0], lambda request: request.method == "POST" and next(count) == 5))
    report = run(target, FREE)

    assert deviations(report) == set()
    assert sum(request.method == "POST" for request in target.sent) == 6
    assert report.spent == PRICE
    assert {"task_id.exists/word", "path.known/trailing-slash"} <= {result.case.id for result in report.of("holds")}
    assert "may cost money: it could not be judged: the service was unavailable: 502, a page" in report.incomplete
