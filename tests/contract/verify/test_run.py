"""Verify: what a run sends, what it may cost, and what it says of a service that is wrong, silent or another one."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klingkit.contract import load_contract
from klingkit.contract.cases.case import NEVER, PICTURES
from klingkit.contract.cases.catalogue import build_cases
from klingkit.contract.targets.target import HttpTarget, NoAnswerError, Reply, Request, is_local
from klingkit.contract.verify import report as forms
from klingkit.contract.verify.budget import Budget, BudgetError, make_plan
from klingkit.contract.verify.run import verify
from klingkit.contract.verify.selection import EXPLORED, MAX_CREATES, Options, explored_cases, select_cases, why_not
from klingkit.contract.verify.usable_target import UnusableTargetError
from klingkit.contract_commands import exit_code
from klingkit.mock_server.clock import START
from tests.wrong_targets import CONTRACT, FREE, PAID, PRICE, Wrong, rewritten, right_target, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from klingkit.contract.cases.case import Case


def accept_everything(request: Request, reply: Reply) -> Reply:
    """Turn every refusal of a create into a new task."""
    if request.method != "POST" or reply.http == 200:
        return reply
    data = {
        "task_id": "100000000000000001",
        "task_status": "submitted",
        "task_info": {},
        "created_at": 1,
        "updated_at": 1,
    }
    return Reply(200, reply.headers, json.dumps({"code": 0, "message": "SUCCEED", "data": data}).encode())


@pytest.mark.parametrize("options", [FREE, PAID], ids=["free", "paid"])
def test_the_simulator_keeps_the_contract(options: Options) -> None:
    report = run(right_target(), options)

    assert report.counted("inferred") == []
    assert len(report.of("holds")) >= 39
    assert report.spent == (Decimal("0.2660") if options.budget else 0)
    assert report.creates <= MAX_CREATES


def test_without_a_budget_only_what_must_be_refused_is_sent() -> None:
    target = Wrong(lambda _, reply: reply)
    report = run(target, FREE)
    free = {case.id for case in build_cases(CONTRACT) if case.cost == NEVER and not case.after}

    assert {result.case.id for result in report.of("holds")} == free
    assert all(result.reason for result in report.of("skipped"))
    assert len(target.sent) == len(free) + 1  # and the probe
    assert target.simulator.store.tasks() == []


def test_without_a_budget_the_first_acceptance_ends_the_run() -> None:
    target = Wrong(accept_everything)
    report = run(target, FREE)
    (result,) = report.of("deviates")

    assert [each.kind for each in result.deviations] == ["accepted"]
    assert result.deviations[0].requirement == result.case.requirement
    assert target.sent[-1].data == result.case.request.data
    assert any(str(PRICE) in note and result.case.requirement in note for note in report.notes)


@given(
    limit=st.decimals(0, 1, places=2),
    costs=st.lists(st.tuples(st.decimals(0, "0.3", places=2), st.booleans()), max_size=20),
)
def test_a_budget_is_never_overdrawn(limit: Decimal, costs: list[tuple[Decimal, bool]]) -> None:
    budget = Budget(load_contract(), limit)
    for amount, charged in costs:
        try:
            budget.hold(amount)
        except BudgetError:
            assert budget.spent + amount > limit
            continue
        budget.settle(amount, amount if charged else Decimal(0))
        assert budget.spent <= limit


@pytest.mark.parametrize("budget", ["0.01", "0.05", "0.20", "0.30"])
@pytest.mark.parametrize("accepts", [False, True])
def test_many_requests_at_a_time_never_cross_the_budget(budget: str, accepts: bool) -> None:
    """What the service charges, also for what it should have refused, stays within the budget."""
    charged = Decimal(0)
    lock = threading.Lock()

    def charge(request: Request, reply: Reply) -> Reply:
        nonlocal charged
        reply = accept_everything(request, reply) if accepts else reply
        if request.method == "POST" and reply.http == 200:
            n = (request.body or {}).get("n", 1)
            with lock:
                charged += PRICE * (n if isinstance(n, int) and n > 0 else 1)
        return reply

    target = Wrong(charge, parallel=8)
    report = run(target, replace(PAID, budget=Decimal(budget), any_key=False))

    assert charged <= Decimal(budget)
    assert "is enough for all" in report.incomplete
    too_dear = [result for result in report.of("skipped") if "budget" in result.reason]
    assert too_dear
    assert all("needs the task" in result.reason for result in report.of("skipped") if result not in too_dear)
    free = [result for result in report.results if result.case.cost == NEVER and not result.case.after]
    if not accepts and Decimal(budget) >= PRICE:
        assert all(result.state == "holds" for result in free)  # a small budget tests no less than none


def test_a_create_without_an_answer_counts_as_paid() -> None:
    def silent(request: Request, reply: Reply) -> Reply:
        if request.body and request.body.get("n") == 9:
            raise NoAnswerError("the connection broke off")
        return reply

    report = run(Wrong(silent))
    reasons = {result.reason for result in report.of("skipped")}

    assert report.spent == Decimal("0.2660")
    assert "could not be judged: the service was unavailable: the connection broke off" in reasons
    assert report.of("deviates") == []


@pytest.mark.parametrize("parallel", [1, 8])
def test_an_interrupted_run_reports_what_came_and_sends_no_more(parallel: int) -> None:
    def interrupted(request: Request, reply: Reply) -> Reply:
        if (request.body or {}).get("n") == 0:
            raise KeyboardInterrupt
        return reply

    report = run(Wrong(interrupted, parallel))

    assert (report.interrupted, report.incomplete) == (True, "interrupted")
    assert report.spent > 0
    assert report.of("deviates") == []
    assert all(result.reply for result in report.of("holds"))
    assert 1 < len(report.of("holds")) < (60 if parallel == 1 else 140)


def refusing(code: object, *, queries: bool = False) -> Callable[[Request, Reply], Reply]:
    """Let every right create, or every third query, be answered with an error of the account or the service."""
    count = itertools.count()
    body = {"code": code, "message": "not now", "request_id": "a60990f3-b485-4dbb-b02f-6eea9cd000c5"}

    def change(request: Request, reply: Reply) -> Reply:
        hit = request.method == "GET" and next(count) % 3 == 2 if queries else request.method == "POST"
        return replace(reply, http=429, content=json.dumps(body).encode()) if hit and reply.http == 200 else reply

    return change


@pytest.mark.parametrize(("code", "reason"), [(1102, "needs another account"), (1303, "found no room within 120 s")])
def test_what_the_account_cannot_pay_or_hold_says_nothing_of_the_service(code: int, reason: str) -> None:
    target = Wrong(refusing(code))
    target.callback_url = None
    report = run(target)

    assert report.of("deviates") == []
    assert len(report.of("holds")) > 80
    assert {result.case.accepted for result in report.of("holds") if result.case.creates} == {False}
    assert f"{reason}: 429/{code} 'not now'" in report.incomplete
    assert target.now() < 200 + START / 1000  # the wait for room is not repeated for each case
    assert sum(request.method == "POST" for request in target.sent) < 170


def test_refusals_that_differ_in_their_request_id_are_one_reason() -> None:
    numbers = itertools.count()

    def quota(request: Request, reply: Reply) -> Reply:
        text = f"user quota is not enough (request id: {next(numbers)})"
        body = {"error": {"message": text, "type": "comet_api_error", "code": "insufficient_user_quota"}}
        return replace(reply, http=403, content=json.dumps(body).encode()) if request.method == "POST" else reply

    reasons = {result.reason for result in run(Wrong(quota)).of("skipped") if "quota" in result.reason}

    assert reasons == {"needs another account: 403/'insufficient_user_quota' 'user quota is not enough'"}


@pytest.mark.parametrize("head", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_an_answer_that_breaks_off_is_called_so(head: str) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nab".encode())

    with service(cut) as url, pytest.raises(NoAnswerError, match="the connection broke off"):
        HttpTarget(url).send(Request("GET", "/"))


def test_a_query_that_comes_too_often_is_repeated() -> None:
    report = run(Wrong(refusing(1302, queries=True)))

    assert report.counted("inferred") == []
    assert report.incomplete == ""


def test_a_task_is_skipped_whose_queries_find_no_room() -> None:
    body = {"code": 1302, "message": "not now", "request_id": "a60990f3-b485-4dbb-b02f-6eea9cd000c5"}

    def full(request: Request, reply: Reply) -> Reply:
        hit = request.method == "GET" and reply.http == 200
        return replace(reply, http=429, content=json.dumps(body).encode()) if hit else reply

    report = run(Wrong(full))

    paid = [result for result in report.results if result.case.cost == PICTURES]
    assert report.of("deviates") == []
    assert {result.state for result in paid} == {"skipped"}
    assert all("found no room" in result.reason or "needs the task" in result.reason for result in paid)
    assert "found no room" in report.incomplete


def test_a_service_that_dies_midway_leaves_a_report() -> None:
    count = itertools.count()

    def dying(_: Request, reply: Reply) -> Reply:
        if next(count) > 40:
            raise NoAnswerError("nothing answers there", arrived=False)
        return reply

    report = run(Wrong(dying))

    assert report.incomplete == "simulator stopped answering: nothing answers there"
    assert report.spent > 0
    assert report.of("deviates") == []
    assert report.of("holds")
    assert all(result.reason for result in report.of("skipped"))


def test_a_success_without_a_task_ends_a_run_without_a_budget() -> None:
    def wrong(request: Request, reply: Reply) -> Reply:
        return replace(reply, http=200, content=b'{"code": 0}') if request.method == "POST" else reply

    target = Wrong(wrong)
    report = run(target, FREE)

    assert [len(result.deviations) for result in report.of("deviates")] == [1]
    assert sum(request.method == "POST" for request in target.sent) == 1
    assert report.spent == PRICE
    assert "may cost money: it was answered 200, JSON without code and message" in report.incomplete.replace(
        "200/0 None", "200, JSON without code and message"
    )


def test_a_service_without_room_is_asked_again() -> None:
    """Nine slots, as a trial pack has: creates over them are refused with 1303 until tasks end."""
    target = right_target()
    from klingkit.mock_server.auth import account_name

    target.simulator.store.configure(account_name("key"), {"concurrency": 9}, target.simulator.clocks.now())

    assert run(target).counted("inferred") == []


@pytest.mark.parametrize(
    ("change", "subject", "kind"),
    [
        (lambda reply: rewritten(reply, code="1201"), "answer.schema", "code"),
        (
            lambda reply: replace(
                reply,
                content=json.dumps(
                    {name: value for name, value in reply.body.items() if name != "request_id"}
                ).encode(),
            ),
            "answer.schema",
            "missing_field",
        ),
        (lambda reply: rewritten(reply, request_id=5), "answer.schema", "schema"),
        (lambda reply: rewritten(reply, message="no"), "prompt.maxLength", "text"),
        (lambda reply: rewritten(reply, code=1200), "prompt.maxLength", "code"),
        (lambda reply: replace(reply, http=403), "prompt.maxLength", "status"),
        (lambda reply: replace(reply, content=b'{"error": {"message": "no"}}'), "prompt.maxLength", "envelope"),
        (lambda reply: replace(reply, content=b"<html>"), "prompt.maxLength", "envelope"),
    ],
)
def test_a_wrong_refusal_is_named_by_what_is_wrong(change: Callable[[Reply], Reply], subject: str, kind: str) -> None:
    def wrong(_: Request, reply: Reply) -> Reply:
        rule = reply.headers.get("klingkit-rule", "")
        return change(reply) if rule.startswith("prompt.maxLength") else reply

    found = {
        (each.requirement, each.kind)
        for result in run(Wrong(wrong), replace(FREE, only="prompt.maxLength")).of("deviates")
        for each in result.deviations
    }

    if kind == "code" and subject == "answer.schema":
        assert found == {("answer.schema", "code")}  # one fact, told once
    else:
        assert (subject, kind) in found


def test_a_boundary_that_no_text_names_is_found_by_halves() -> None:
    """A pack tries many boundaries; the service refuses one of them and does not say which."""

    def wrong(request: Request, reply: Reply) -> Reply:
        if reply.http == 200 and (request.body or {}).get("aspect_ratio") == "21:9":
            return Reply(400, reply.headers, b'{"code": 1200, "message": "no", "request_id": "x"}')
        return reply

    found = [
        each for result in run(Wrong(wrong)).of("deviates") for each in result.deviations if each.kind == "refused"
    ]

    assert [(each.requirement, each.expected) for each in found] == [("aspect_ratio.enum", "accepted, with enum/21:9")]


def test_a_deviation_counts_by_its_evidence() -> None:
    def wrong(_: Request, reply: Reply) -> Reply:
        named = reply.headers.get("klingkit-rule", "")
        return rewritten(reply, message="no") if named.startswith(("n.maximum", "aspect_ratio.enum")) else reply

    report = run(Wrong(wrong))

    assert {each.requirement for each in report.counted("inferred")} == {"n.maximum", "aspect_ratio.enum"}
    assert {each.requirement for each in report.counted("recorded")} == {"aspect_ratio.enum"}
    assert report.counted("documented") == []


def test_what_is_drawn_follows_from_the_seed() -> None:
    """Each time in a process of its own: Hypothesis also draws constants of the modules that happen to be loaded."""

    def drawn(seed: int) -> str:
        code = (
            "from klingkit.contract import load_contract\n"
            "from klingkit.contract.verify.selection import explored_cases\n"
            f"print([(case.requirement, case.request.body) for case in explored_cases(load_contract(), {seed}, 8)])"
        )
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_cases_are_drawn_while_others_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()

    def draw_late(*arguments: Any) -> tuple[Case, ...]:
        assert asked.wait(10), "nothing was sent until all were drawn"
        return explored_cases(*arguments)

    def note(request: Request, reply: Reply) -> Reply:
        if request.method == "POST":
            asked.set()
        return reply

    monkeypatch.setattr("klingkit.contract.verify.run.explored_cases", draw_late)
    report = run(Wrong(note, parallel=2))

    assert report.bug == ""
    assert [case.id for case in report.cases if case.id.startswith("explored/")] == [
        f"explored/{number}" for number in range(1, EXPLORED + 1)
    ]


def test_one_rule_alone() -> None:
    report = run(right_target(), replace(PAID, only="external_task_id.unique"))
    ids = {result.case.id for result in report.results}

    assert {"external_task_id.unique/again", "external_task_id.unique/after-failure"} <= ids
    assert len(ids) < 8
    assert report.counted("inferred") == []


def test_every_rule_and_promise_can_be_chosen() -> None:
    contract = load_contract()
    untestable = {
        "body.size",
        "body.depth",
        "moderation",
        *(rule for rule in contract.rules if rule.startswith("account.")),
    }
    for subject in {*contract.rules, *contract.promises} - untestable:
        assert select_cases(contract, replace(PAID, only=subject)), subject


def test_an_unknown_rule_is_named_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown rule 'prompt.maxLenght'; the nearest are prompt.maxLength"):
        select_cases(load_contract(), replace(PAID, only="prompt.maxLenght"))
    with pytest.raises(ValueError, match=r"that is a case of prompt\.maxLength"):
        select_cases(load_contract(), replace(PAID, only="prompt.maxLength/one-too-long"))
    with pytest.raises(ValueError, match=r"account\.rate cannot be brought about from outside, so no case tests it"):
        select_cases(load_contract(), replace(PAID, only="account.rate"))


def test_a_plan_is_what_a_run_costs() -> None:
    contract = load_contract()
    sent = [case for case in select_cases(contract, PAID) if not why_not(case, PAID)]
    plan = make_plan(contract, sent)

    assert plan.best == run(right_target()).spent
    assert plan.best == sum(PRICE * case.pictures for case in sent if case.cost == PICTURES)
    assert plan.worst > plan.best
    assert make_plan(contract, [case for case in sent if not why_not(case, FREE)]).best == 0


@pytest.mark.parametrize("parallel", [1, 8])
def test_the_budget_that_a_plan_calls_enough_is(parallel: int) -> None:
    contract = load_contract()
    sent = [case for case in select_cases(contract, PAID) if not why_not(case, PAID)]

    report = run(Wrong(lambda _, reply: reply, parallel), replace(PAID, budget=make_plan(contract, sent).enough))

    assert report.incomplete == ""
    assert report.of("skipped") == []


# Targets that cannot be tested


@contextmanager
def service(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A service on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.close_connection = True
            if line := self.rfile.readline():
                self.raw_requestline = line
                self.parse_request()
                answer(self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def answering(status: int, content_type: str, body: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


RELEASE = threading.Event()
"""Never set: who waits for it hangs until the client goes away."""


def hang(_: BaseHTTPRequestHandler) -> None:
    RELEASE.wait(20)


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    with suppress(OSError):
        for _ in range(400):
            handler.wfile.write(b"x")
            RELEASE.wait(0.05)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (answering(200, "text/html", b"<html>"), "is some other service, or a wrong address"),
        (answering(404, "text/plain", b"not here"), "is some other service, or a wrong address"),
        (answering(200, "application/json", b'{"hello": 1}'), "is some other service, or a wrong address"),
        (answering(301, "text/html", b"", Location="/"), "redirects"),
        (hang, "no answer within 0.3 s|no whole answer within 0.3 s"),
        (drip, "no whole answer within 0.3 s"),
    ],
    ids=["html", "text", "other-json", "redirect", "hang", "drip"],
)
def test_a_target_that_is_none_is_said_to_be_so(answer: Callable[..., None], text: str) -> None:
    with service(answer) as url, pytest.raises(UnusableTargetError, match=text) as caught:
        verify(HttpTarget(url, timeout=0.3), load_contract(), FREE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("code", [[1], {"a": 1}, 10**30, True, None, 1.5], ids=repr)
@pytest.mark.parametrize("inside", [False, True])
def test_a_code_of_any_kind_is_a_deviation(code: object, inside: bool) -> None:
    body = {"error": {"code": code, "message": "x"}} if inside else {"code": code, "message": "x"}
    report = run(
        Wrong(lambda _, reply: replace(reply, content=json.dumps(body).encode()) if reply.http == 400 else reply)
    )

    assert len(report.of("deviates")) + len(report.of("learned")) > 50


@pytest.mark.parametrize(
    "content_type", ["application/json;", "application/json; charset", "", "application/json; a=b"]
)
def test_a_content_type_of_any_kind_is_judged(content_type: str) -> None:
    def wrong(_: Request, reply: Reply) -> Reply:
        return replace(reply, headers={**reply.headers, "content-type": content_type})

    deviations = [each for result in run(Wrong(wrong)).of("deviates") for each in result.deviations]

    assert {each.requirement for each in deviations} <= {"answer.schema"}
    assert bool(deviations) == (content_type != "application/json; a=b")


def test_what_is_no_page_and_no_redirect_does_not_stand_for_one() -> None:
    def wrong(request: Request, reply: Reply) -> Reply:
        return Reply(400, {}, b"") if request.path.startswith("/kling/v1/images/gen") is False else reply

    report = run(Wrong(wrong), FREE)

    assert {each.requirement for result in report.of("deviates") for each in result.deviations} == {"path.known"}


def test_a_connection_that_drops_says_nothing_of_a_task() -> None:
    """One query is repeated; where none is answered, the case counts as not tested."""
    dropped = set[str]()

    def flaky(request: Request, reply: Reply) -> Reply:
        if request.method == "GET" and reply.http == 200 and request.path not in dropped:
            dropped.add(request.path)
            raise NoAnswerError("the connection broke off")
        return reply

    assert run(Wrong(flaky)).counted("inferred") == []
    assert dropped

    def dead(request: Request, reply: Reply) -> Reply:
        if request.method == "GET" and reply.http == 200:
            raise NoAnswerError("the connection broke off")
        return reply

    report = run(Wrong(dead))
    assert report.of("deviates") == []
    assert (
        "could not be followed to the end of its task: the service was unavailable: the connection broke off"
        in report.incomplete
    )


def test_drawn_cases_that_were_accepted_are_reported_after_a_ctrl_c() -> None:
    labelled = {case.request.data for case in build_cases(CONTRACT, PAID.run, right_target().callback_url)}
    drawn: list[Request] = []

    def lenient(request: Request, reply: Reply) -> Reply:
        if request.method != "POST" or request.data in labelled:
            return reply
        drawn.append(request)
        if len(drawn) == 4:
            raise KeyboardInterrupt
        return accept_everything(request, reply)

    report = run(Wrong(lenient))
    states = [result.state for result in report.results if result.case.id.startswith("explored/")]

    assert report.interrupted
    assert set(states[:3]) <= {"deviates", "learned"}
    assert states[3:] == ["skipped"] * (EXPLORED - 3)


def test_a_run_without_a_budget_that_ends_early_is_incomplete_though_nothing_counts() -> None:
    report = run(Wrong(accept_everything), FREE)

    assert "may cost money" in report.incomplete


def test_an_endless_redirect_is_not_read_to_its_end() -> None:
    sent = 0

    def endless(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n")
        with suppress(OSError):
            while sent < 200 * 2**20:
                sent += handler.wfile.write(b"x" * 2**20)

    with service(endless) as url:
        reply = HttpTarget(url).send(Request("GET", "/"))
    assert (reply.http, reply.more) == (302, True)
    assert sent < 100 * 2**20


def test_a_target_that_is_down_is_said_to_be_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with pytest.raises(UnusableTargetError, match="nothing answers there"):
        verify(HttpTarget(f"http://127.0.0.1:{port}"), load_contract(), FREE)


def test_a_key_that_is_not_accepted_is_said_to_be_so() -> None:
    with pytest.raises(UnusableTargetError, match="does not accept the key"):
        run(right_target(keys=frozenset({"another"})), FREE)
    with pytest.raises(UnusableTargetError, match="does not accept the other key"):
        run(right_target(keys=frozenset({"key"})))


def test_a_service_that_is_out_of_order_is_said_to_be_so() -> None:
    broken = Wrong(lambda _, reply: replace(reply, http=503, content=b"<html>"))
    with pytest.raises(UnusableTargetError, match="is out of order: a query was answered with 503, a page"):
        run(broken, FREE)


def test_a_target_that_falls_silent_is_given_up() -> None:
    def wrong(request: Request, reply: Reply) -> Reply:
        if request.method == "POST" or next(count) > 1:
            raise NoAnswerError("nothing answers there", arrived=False)
        return reply

    count = itertools.count()
    report = run(Wrong(wrong), FREE)

    assert report.incomplete == "simulator stopped answering: nothing answers there"
    assert {result.state for result in report.results} == {"skipped"}


def test_cases_that_hang_while_others_are_answered_do_not_give_the_target_up() -> None:
    """Three end without an answer at the same moment; while they waited, the target has answered many others."""
    numbers = itertools.count()
    silences = itertools.count(1)
    many_answered, all_silent = threading.Event(), threading.Event()

    def hanging(_: Request, reply: Reply) -> Reply:
        number = next(numbers)
        if number in {5, 6, 7}:
            assert many_answered.wait(20)
            if next(silences) == 3:
                all_silent.set()
            raise NoAnswerError("no answer within 10 s")
        if number == 30:
            many_answered.set()
        if number >= 30:
            assert all_silent.wait(20)
        return reply

    report = run(Wrong(hanging, parallel=8))

    assert "the first could not be judged: the service was unavailable: no answer within 10 s" in report.incomplete
    assert len(report.of("holds")) > 100
    assert report.of("deviates") == []


def test_what_is_on_this_machine() -> None:
    assert all(map(is_local, ("http://127.0.0.1:1", "http://127.8.8.8", "http://localhost/x", "http://[::1]:80")))
    assert not any(map(is_local, ("https://api.cometapi.com", "http://127.0.0.1.example.com", "http://10.0.0.1")))


def own_texts(_: Request, reply: Reply) -> Reply:
    """What a service says in its own words where nobody knows the real ones, and in other words where they are inferred."""
    named = reply.headers.get("klingkit-rule", "")
    if not isinstance(reply.body, dict):
        return reply
    if named.startswith(("path.method", "subject_image_list.items.subject_image.maxBytes")):
        return rewritten(reply, message="no")
    return (
        rewritten(reply, message="too many")
        if named.startswith("subject_image_list.maxItems")
        else rewritten(reply, trace="x")
    )


def test_what_differs_from_an_inference_is_learned_and_from_the_unknown_nothing() -> None:
    report = run(Wrong(own_texts), FREE)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    told = json.loads(forms.as_json(report, now))
    text, junit, markdown = forms.as_text(report), forms.as_junit(report, now), forms.as_markdown(report, now)

    assert [result.case.requirement for result in report.of("learned")] == ["subject_image_list.maxItems"]
    assert report.of("deviates") == []
    assert (report.counted(), len(report.counted("inferred"))) == ([], 1)
    assert exit_code(report) == 0
    assert (told["verdict"], told["causes"], told["unmentioned_fields"]) == ("learned", [], ["trace"])
    assert [(cause["rules"], cause["evidence"], cause["settles"]) for cause in told["learned"]] == [
        (["subject_image_list.maxItems"], "inferred", ["list-errors"])
    ]
    assert "learned: subject_image_list.maxItems: the text is another" in text
    assert "settles list-errors" in text
    assert "keep it: klingkit record http://127.0.0.1:8000 --only subject_image_list.maxItems --out recordings" in text
    assert "fields that no page mentions, which is no deviation: trace" in text
    assert 'failures="0"' in junit.splitlines()[1]
    assert "learned:" in junit
    assert "What was learned" in markdown
    report.fail_on = "inferred"
    assert exit_code(report) == 1
    assert 'failures="1"' in forms.as_junit(report, now).splitlines()[1]


@pytest.mark.parametrize(("http", "headers"), [(403, {}), (500, {}), (302, {"location": "/login"})])
def test_a_single_page_before_the_service_is_not_tested_and_one_for_all_is_found(
    http: int, headers: dict[str, str]
) -> None:
    page = Reply(http, headers, b"<html>a firewall</html>")
    wall = Wrong(lambda request, reply: page if (request.body or {}).get("aspect_ratio") == "klingkit" else reply)
    single = run(wall, replace(PAID, only="aspect_ratio.enum"))
    always = run(Wrong(lambda request, reply: page if request.method == "POST" and reply.http == 400 else reply))

    assert [each.case.id for each in single.results if each.reason and not each.planned] == [
        "aspect_ratio.enum/unknown"
    ]
    assert single.of("deviates") == []
    assert sum((each.body or {}).get("aspect_ratio") == "klingkit" for each in wall.sent) > 1  # it was asked again
    assert "was unavailable" in single.incomplete
    assert len(always.of("deviates")) > 3
