"""Answers that differ only in ids and times are judged once; all others are judged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from openapi_core import OpenAPI

from klingkit.contract.answers import AnswerSchemas
from klingkit.contract.targets import Reply

from .conftest import PATH

if TYPE_CHECKING:
    from klingkit.contract import Contract

GATEWAY_ID = "20260205132859798638387SIHCnxzJ"
OTHER_GATEWAY_ID = "20260205132900000000000AbCd1234"


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


def test_the_referee_is_asked_once_for_what_looks_the_same(contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    right = OpenAPI.iter_response_errors

    def count(*parts: Any) -> Any:
        asked.append(parts)
        return right(*parts)

    monkeypatch.setattr(OpenAPI, "iter_response_errors", count)
    schemas = AnswerSchemas(contract)

    for reply in (
        answer(),
        answer(OTHER_GATEWAY_ID, "0b4bb53c-9a6e-4b7e-8f0f-4a8a6f7c6a01"),
        answer(task_id="797182621750399999", created_at=1758091600000),
    ):
        assert list(schemas.judge("create_task", PATH, reply)) == []

    assert len(asked) == 1


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
def test_what_is_wrong_is_found_each_time_after_what_is_right(contract: Contract, wrong: Reply) -> None:
    schemas = AnswerSchemas(contract)

    assert list(schemas.judge("create_task", PATH, answer())) == []
    first = list(schemas.judge("create_task", PATH, wrong))

    assert [each.subject for each in first] == ["answer.schema"]
    assert list(schemas.judge("create_task", PATH, wrong)) == first
    assert list(schemas.judge("create_task", PATH, answer(OTHER_GATEWAY_ID))) == []
