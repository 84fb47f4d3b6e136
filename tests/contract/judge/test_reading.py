"""An answer is read, whatever it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from klingkit.contract.judge.reading import describe, envelope_of, images_of, inner_of, results_of, task_id_of
from klingkit.contract.targets.target import Reply


def reply(body: Any, http: int = 200) -> Reply:
    return Reply(http, {"content-type": "application/json"}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "envelope", "message"),
    [
        ({"code": 0, "message": "SUCCEED", "request_id": "a", "data": {}}, "success", "SUCCEED"),
        ({"code": 1201, "message": "no", "request_id": "a"}, "kling", "no"),
        ({"code": "fail", "message": "no", "data": None}, "task", "no"),
        ({"error": {"message": "no", "type": "x", "code": "y"}}, "gateway", "no"),
        ({"error": "no"}, "gateway", None),
        ({}, "kling", None),
        ([], "none", None),
        (None, "none", None),
    ],
)
def test_envelope_and_text(body: Any, envelope: str, message: str | None) -> None:
    assert envelope_of(body) == envelope
    assert inner_of(body).get("message") == message


@pytest.mark.parametrize(
    ("body", "http", "task_id"),
    [
        ({"code": 0, "data": {"task_id": "12"}}, 200, "12"),
        ({"code": 0, "data": {"task_id": 12}}, 200, "12"),
        ({"task_id": "12"}, 200, "12"),
        ({"code": 0, "data": {"task_id": "1\n2"}}, 200, "1\\n2"),
        ({"code": 0, "data": {"task_id": ["12"]}}, 200, ""),
        ({"code": 0, "data": {"task_id": "12"}}, 500, ""),
        (["task_id"], 200, ""),
    ],
)
def test_a_task_id_is_found_however_oddly_it_is_given(body: Any, http: int, task_id: str) -> None:
    assert task_id_of(reply(body, http)) == task_id


@pytest.mark.parametrize(
    ("result", "results", "images"),
    [
        ({"images": [{"index": 0}, "x"]}, [{"index": 0}, "x"], [{"index": 0}]),
        ({"images": {}}, [], []),
        ([], [], []),
        (None, [], []),
    ],
)
def test_results_that_are_no_list_are_none(result: Any, results: list[Any], images: list[Any]) -> None:
    data = {"task_result": result}
    assert results_of(data) == results
    assert images_of(data) == images


@pytest.mark.parametrize(
    ("answered", "words"),
    [
        (reply({"code": 0, "data": {"task_id": "12"}}), "200, task 12"),
        (reply({"code": 1201, "message": "no\x1b"}, 400), "400/1201 'no\\x1b'"),
        (reply({"hello": 1}), "200, JSON without code and message"),
        (Reply(302, {}, b"<html>"), "302, a redirect"),
        (Reply(404, {}, b"<html>"), "404, a page"),
        (Reply(404, {}, b"gone"), "404, no JSON object"),
    ],
)
def test_a_reply_in_a_few_words(answered: Reply, words: str) -> None:
    assert describe(answered) == words
