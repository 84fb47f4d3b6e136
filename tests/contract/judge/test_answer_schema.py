"""Answers are judged as openapi-core judges them, which is asked only about what is not clearly right."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from klingkit.contract import load_contract
from klingkit.contract.judge.answer_schema import AnswerSchemas, schemas_of
from klingkit.contract.targets.target import Reply
from tests.conftest import PATH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from klingkit.contract import Contract

GATEWAY_ID = "20260205132859798638387SIHCnxzJ"


def answer(
    gateway_id: str = GATEWAY_ID, request_id: str = "a60990f3-b485-4dbb-b02f-6eea9cd000c5", **data: Any
) -> Reply:
    task = {
        "task_id": "797182621750399062",
        "task_status": "submitted",
        "task_info": {},
        "created_at": 1758091666748,
        "updated_at": 1758091666748,
    }
    body = {"code": 0, "message": "SUCCEED", "request_id": request_id, "data": {**task, **data}}
    headers = {"content-type": "application/json", "x-cometapi-request-id": gateway_id}
    return Reply(200, headers, json.dumps(body).encode())


def test_the_referee_is_not_loaded_for_what_is_right() -> None:
    program = """
import json, sys
from klingkit.contract import load_contract
from klingkit.contract.judge.answer_schema import AnswerSchemas, schemas_of
from klingkit.contract.targets.target import Reply
for content_type in ("application/json", "application/json; charset=utf-8"):
    headers = {"content-type": content_type, "x-cometapi-request-id": sys.argv[2]}
    reply = Reply(int(sys.argv[3]), headers, sys.argv[1].encode())
    print(len(list(AnswerSchemas(load_contract()).judge("create_task", "/kling/v1/images/generations", reply))))
print("openapi_core" in sys.modules)
"""

    def asked(reply: Reply) -> list[str]:
        arguments = (reply.content.decode(), reply.headers["x-cometapi-request-id"], str(reply.http))
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.split()

    assert asked(answer()) == ["0", "0", "False"]
    assert asked(answer(n=1)) == ["1", "1", "True"]


def test_a_field_that_comes_too_early_is_named(contract: Contract) -> None:
    early = answer(task_status="processing", task_result={}, task_status_msg="")
    path = f"{PATH}/797182621750399062"

    (found,) = AnswerSchemas(contract).judge("get_task", path, early)

    assert (found.kind, found.expected, found.got) == (
        "undocumented_field",
        "no task_status_msg in data here",
        "task_status_msg",
    )


@cache
def referee() -> OpenAPI:
    return OpenAPI.from_dict(load_contract().document)


def documented_answers() -> list[tuple[str, Reply]]:
    """Operation and answer for each example in openapi.yaml."""
    contract = load_contract()
    found = []
    for operation in contract.operations.values():
        document = contract.document
        for status, response in document["paths"][operation.path][operation.method.lower()]["responses"].items():
            name = response.get("$ref", "").rpartition("/")[2]
            media = (document["components"]["responses"][name] if name else response)["content"]["application/json"]
            for example in media.get("examples", {}).values():
                headers = {"content-type": "application/json", "x-cometapi-request-id": GATEWAY_ID}
                content = json.dumps(example["value"]).encode()
                found.append((operation.operation_id, Reply(int(status), headers, content)))
    return found


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)  # which are no JSON
    | st.text(st.characters(codec=None))
    | st.sampled_from(["", "succeed", "failed", "processing", "797182621750399062", GATEWAY_ID, {}, [], 0, 0.0, 1e300]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, Reply]:
    """An answer as documented, or changed in one or two places."""
    operation, reply = draw(st.sampled_from(documented_answers()))
    body = json.loads(reply.content)
    headers = dict(reply.headers)
    for _ in range(draw(st.integers(0, 2))):
        inside = draw(st.sampled_from(list(objects_in(body))))
        name = draw(st.sampled_from([*sorted(inside), "task_status_msg", "images", "other"]))
        if draw(st.booleans()):
            inside[name] = draw(VALUES)
        else:
            inside.pop(name, None)
    usual = ["application/json", "application/json;charset=UTF-8", "Application/JSON; charset=utf-8"]
    content_type = draw(st.sampled_from(usual * 2 + ["application/json; charset=latin-1", "text/html", ""]))
    gateway_id = draw(st.sampled_from([GATEWAY_ID] * 4 + ["", "1", f"{GATEWAY_ID}-"]))
    headers = {"content-type": content_type, "x-cometapi-request-id": gateway_id}
    if draw(st.integers(0, 5)) == 0:
        headers = {name: value for name, value in headers.items() if name == "content-type"}
    status = draw(st.sampled_from([reply.http] * 4 + [200, 400, 418]))
    return operation, Reply(status, headers, json.dumps(body).encode())


def objects_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from objects_in(child)


@given(answers())
def test_what_is_right_is_right_for_openapi_core(drawn: tuple[str, Reply]) -> None:
    operation_id, reply = drawn
    contract = load_contract()
    operation = contract.operations[operation_id]
    path = operation.path.replace("{task_id}", "797182621750399062")
    asked = MockRequest(contract.server_url, operation.method.lower(), path)
    answered = MockResponse(reply.content, reply.http, dict(reply.headers), reply.headers["content-type"])

    found = list(schemas_of(contract).judge(operation_id, path, reply))

    assert bool(found) == bool(list(referee().iter_response_errors(asked, answered)))
    assert all(deviation.got.isprintable() and deviation.expected.isprintable() for deviation in found)


@pytest.mark.parametrize(
    "wrong",
    [
        answer(task_id="79718262175039906"),
        answer(task_id="79718262175039906x"),
        answer(task_id=797182621750399062),
        answer(created_at="1758091666748"),
        answer(created_at=1758091666),
        answer(request_id="a60990f3-b485-4dbb-b02f-6eea9cd000"),
        answer(gateway_id="1"),
        answer(task_status="processing"),
        answer(n=1),
    ],
)
def test_what_is_wrong_is_found_after_what_is_right(contract: Contract, wrong: Reply) -> None:
    schemas = AnswerSchemas(contract)

    assert list(schemas.judge("create_task", PATH, answer())) == []
    assert [deviation.requirement for deviation in schemas.judge("create_task", PATH, wrong)] == ["answer.schema"]
