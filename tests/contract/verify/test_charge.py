"""Money against any answer: a service that carries creates out, whatever it says, never makes a run cross its budget."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klingkit.contract import load_contract
from klingkit.contract.judge.charge import may_cost
from klingkit.contract.targets.target import HttpTarget, NoAnswerError, Reply, Request
from tests.wrong_targets import FREE, PAID, PRICE, Wrong, run

if TYPE_CHECKING:
    from collections.abc import Callable

CONTRACT = load_contract()
TASK = "835493114530716812"
REFUSAL = {"code": 1201, "message": "no", "request_id": "a60990f3-b485-4dbb-b02f-6eea9cd000c5"}
GATEWAY = {"error": {"message": "invalid request", "type": "comet_api_error", "code": "invalid_request"}}
BUDGET = Decimal("0.05")


class Carried:
    """A service that carries out every create, and answers it as it is told."""

    def __init__(self, http: int, body: Any, parallel: int = 1, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.charged = Decimal(0)
        self.creates = 0
        lock = threading.Lock()

        def answer(request: Request, reply: Reply) -> Reply:
            if request.method != "POST":
                return reply
            n = (request.body or {}).get("n", 1)
            with lock:
                self.creates += 1
                self.charged += PRICE * (n if isinstance(n, int) and n > 0 else 1)
            return Reply(http, headers, content)

        self.target = Wrong(answer, parallel)


DOUBTFUL: list[tuple[int, Any]] = [
    (500, {**REFUSAL, "code": 5000}),
    (503, {**REFUSAL, "code": 5001}),
    (504, {**REFUSAL, "code": 5002}),
    (502, b"<html>bad gateway</html>"),
    (408, b"<html>time is up</html>"),
    (307, b""),
    (499, b""),
    (404, b"<html>"),
    (422, REFUSAL),
    (400, {**REFUSAL, "code": 1302}),
    (400, {**REFUSAL, "code": "1201"}),
    (400, {**REFUSAL, "code": 1201.0}),
    (400, {**REFUSAL, "code": 9999}),
    (401, GATEWAY),
    (200, REFUSAL),
    (201, {"code": 0, "data": {"task_id": TASK}}),
    (202, b""),
    (200, {**REFUSAL, "data": {"task_id": TASK}}),
    (200, {"code": "0", "data": {"data": {"task_id": TASK}}}),
    (400, {**REFUSAL, "data": {"task_id": TASK}}),
    (400, {**REFUSAL, "data": TASK}),
    (400, {**REFUSAL, "details": [{"taskId": "t-1"}]}),
    (400, {**REFUSAL, "id": 5}),
    (400, {**REFUSAL, "message": f"busy, but task {TASK} goes on"}),
    (429, {**REFUSAL, "code": 1303, "task_id": TASK}),
    (429, {**REFUSAL, "code": 1102, "task_id": TASK}),
    (403, {**REFUSAL, "code": 1103, "data": {"task": {"id": TASK}}}),
    (400, {"error": {**GATEWAY["error"], "task_id": TASK}}),
]


@pytest.mark.parametrize(("http", "body"), DOUBTFUL, ids=repr)
def test_what_may_have_been_carried_out_never_crosses_a_budget(http: int, body: Any) -> None:
    for parallel in (1, 8):
        service = Carried(http, body, parallel)
        report = run(service.target, replace(PAID, budget=BUDGET, only="n.minimum"))
        assert 0 < service.charged <= report.spent <= BUDGET

    free = Carried(http, body)
    report = run(free.target, FREE)
    assert free.creates == 1
    assert report.spent == PRICE
    assert report.incomplete


@settings(max_examples=40)
@given(
    http=st.sampled_from([200, 201, 307, 400, 401, 403, 404, 408, 429, 499, 500, 502, 503, 504]),
    code=st.sampled_from([error.code for error in CONTRACT.errors.values()]) | st.text(max_size=3) | st.booleans(),
    hidden=st.recursive(
        st.sampled_from([{"task_id": TASK}, {"taskID": "abc"}, TASK, int(TASK), {"task": {"id": "abc"}}]),
        lambda inner: st.lists(inner, min_size=1, max_size=2) | st.fixed_dictionaries({"result": inner}),
        max_leaves=4,
    ),
)
def test_a_refusal_that_names_a_task_anywhere_is_never_free(http: int, code: Any, hidden: Any) -> None:
    request = Request("POST", CONTRACT.operations["create_task"].path, {"n": 1})
    for body in ({"code": code, "message": "no", "x": hidden}, {"error": {"code": code, "message": "no"}, "x": hidden}):
        assert may_cost(CONTRACT, request, Reply(http, {}, json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("http", "body"),
    [
        (400, REFUSAL),
        (429, {**REFUSAL, "code": 1303}),
        (400, {**REFUSAL, "trace_id": "20261126000000000000001"}),
        (400, {**REFUSAL, "message": "n 100000000000000000 is too much"}),
        (400, {"error": {**GATEWAY["error"], "message": "no (request id: 20261126000000123456789abc)"}}),
        (401, {"error": {"message": "invalid token", "type": "comet_api_error", "code": ""}}),
    ],
    ids=repr,
)
def test_a_refusal_that_is_known_is_free(http: int, body: Any) -> None:
    request = Request("POST", CONTRACT.operations["create_task"].path, {"n": 100000000000000000})
    assert not may_cost(CONTRACT, request, Reply(http, {}, json.dumps(body).encode()))
    assert may_cost(CONTRACT, request, Reply(http, {"location": f"/tasks/{TASK}"}, json.dumps(body).encode()))


def failing(change: Callable[[dict[str, Any], int], dict[str, Any]]) -> Callable[[Request, Reply], Reply]:
    """Change what the queries of a failed task show, by their number."""
    seen: dict[str, int] = {}

    def answer(request: Request, reply: Reply) -> Reply:
        data = reply.data
        if request.method != "GET" or data.get("task_status") != "failed":
            return reply
        seen[request.path] = number = seen.get(request.path, 0) + 1
        return replace(reply, content=json.dumps({**reply.body, "data": change(dict(data), number)}).encode())

    return answer


def test_money_is_given_back_for_what_was_seen_to_fail_and_made_nothing() -> None:
    only = replace(PAID, only="subject_image_list.items.subject_image.pixels")
    right = run(Wrong(lambda _, reply: reply), only)
    first_done = failing(lambda data, number: {**data, "task_status": "succeed" if number == 1 else "failed"})
    drawn = failing(lambda data, _: {**data, "task_result": {"images": [{"index": 0, "url": "https://x.test/0.png"}]}})

    failed = sum(result.case.pictures for result in right.results if result.case.cost == "fails")
    assert failed
    for wrong in (first_done, drawn):
        assert run(Wrong(wrong), only).spent == right.spent + failed * PRICE


@pytest.mark.parametrize(
    "answer",
    [b"refused\r\n\r\n", b"HTTP/1.1 400 x\r\nTransfer-Encoding: chunked\r\n\r\ncannot resolve, refused\r\n", b""],
    ids=repr,
)
def test_no_words_of_a_service_make_a_request_one_that_has_not_arrived(answer: bytes) -> None:
    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(NoAnswerError) as caught:
            HttpTarget(f"http://127.0.0.1:{port}").send(Request("POST", "/x", {"n": 1}))
        thread.join(10)
    assert caught.value.arrived

    for nowhere in (f"http://127.0.0.1:{port}", "http://klingkit.invalid"):
        with pytest.raises(NoAnswerError) as caught:
            HttpTarget(nowhere).send(Request("POST", "/x", {"n": 1}))
        assert not caught.value.arrived


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({}, b'{"code":1201,"message":"no","request_id":"x","data":{"created":"17-abc"}}'),
        ({}, b'{"code":1201,"message":"created task-000001-abc","request_id":"x"}'),
        ({}, b'{"code":1201,"message":"no","request_id":"x","made_task":"abc"}'),
        ({}, b'{"data":{"task_id":"17"},"code":1201,"message":"no","request_id":"x","data":null}'),
        ({"content-location": "/generations/17"}, b'{"code":1201,"message":"no","request_id":"x"}'),
        ({"link": "</generations/17>"}, b'{"code":1201,"message":"no","request_id":"x"}'),
        ({"x-job-id": "17"}, b'{"code":1201,"message":"no","request_id":"x"}'),
    ],
)
def test_a_known_refusal_that_speaks_of_a_task_in_any_way_is_never_free(
    headers: dict[str, str], content: bytes
) -> None:
    create = Request("POST", load_contract().operations["create_task"].path)
    assert may_cost(load_contract(), create, Reply(400, headers, content))
    assert not may_cost(load_contract(), create, Reply(400, {}, b'{"code":1201,"message":"no","request_id":"x"}'))
