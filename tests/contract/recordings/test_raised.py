"""Which grades a recording would raise, and what it contradicts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from klingkit.contract import load_contract
from klingkit.contract.recordings.from_run import record
from klingkit.contract.recordings.raised import Settled, as_json, group, settle
from klingkit.contract.recordings.recording import RecordedAnswer, Recording
from tests.wrong_targets import CONTRACT, FREE, NOW, right_target, run

BASE64 = "subject_image_list.items.subject_image.base64"
NINE = "n: must be less than or equal to 9"
DATA: dict[str, Any] = {"task_id": "<task>", "task_status": "submitted", "task_info": {}}


def refused(case: str, message: str, http: int = 400, code: int | str = 1201, value: str = "") -> RecordedAnswer:
    body: dict[str, Any] = {"code": code, "message": message, "request_id": "<request id>"}
    return RecordedAnswer(case, "", http, {}, body, value=value)


def accepted(case: str, *task: dict[str, Any]) -> RecordedAnswer:
    body = {"code": 0, "message": "SUCCEED", "request_id": "<request id>", "data": DATA}
    return RecordedAnswer(case, "", 200, {}, body, task=list(task))


def recording(*answers: RecordedAnswer) -> Recording:
    by_rule: dict[str, dict[str, RecordedAnswer]] = {}
    for number, answer in enumerate(answers):
        by_rule.setdefault(answer.case.partition("/")[0], {})[str(number)] = answer
    return Recording("https://service.example", "cometapi", datetime(2026, 11, 25, tzinfo=UTC), by_rule)


def settled(*answers: RecordedAnswer) -> dict[str, list[Settled]]:
    return group(settle(recording(*answers), load_contract()))


def names(rows: list[Settled]) -> list[str]:
    return [f"{row.aspect.id}{f' ({row.assumption})' if row.assumption else ''}" for row in rows]


def test_what_agrees_raises_what_is_less_than_recorded() -> None:
    found = settled(
        refused("n.maximum/10", NINE), refused("prompt.maxLength/2501", "prompt: size must be between 0 and 2500")
    )

    assert names(found["raised"]) == ["rule n.maximum, limit", "rule n.maximum, answer", "rule n.maximum, text"]
    assert found["raised"][0].agree == ["n.maximum/10"]
    assert {"rule prompt.maxLength, limit", "rule prompt.maxLength, text"} <= {*names(found["confirmed"])}
    assert not found["contradicted"]


def test_an_unknown_text_can_be_seen_too() -> None:
    told = "style_image: file size must not exceed 10 MB"

    assert "rule style_image.maxBytes, text" in names(settled(refused("style_image.maxBytes/over", told))["raised"])


@pytest.mark.parametrize(
    ("answer", "aspect", "otherwise"),
    [
        (refused("n.maximum/10", "n is too large"), "text", "n is too large"),
        (refused("n.maximum/10", "n: must be less than or equal to 8"), "text", "n: must be less than or equal to 8"),
        (refused("n.maximum/10", NINE, http=422), "answer", f"422/1201 '{NINE}'"),
        (refused("n.maximum/10", NINE, code=1200), "answer", f"400/1200 '{NINE}'"),
        (accepted("n.maximum/10"), "limit", "200, accepted"),
        (RecordedAnswer("n.maximum/10", "", 502, {}, None, other="a page"), "answer", "502, a page"),
    ],
)
def test_what_does_not_agree_is_contradicted_and_says_how(answer: RecordedAnswer, aspect: str, otherwise: str) -> None:
    found = settled(answer)

    assert [(row.aspect.aspect, row.otherwise) for row in found["contradicted"]] == [
        (aspect, {"n.maximum/10": otherwise})
    ]


def test_one_case_that_contradicts_is_enough() -> None:
    found = settled(refused("n.maximum/10", NINE), accepted("n.maximum/11"))

    assert names(found["contradicted"]) == ["rule n.maximum, limit"]
    assert (found["contradicted"][0].agree, list(found["contradicted"][0].otherwise)) == (
        ["n.maximum/10"],
        ["n.maximum/11"],
    )
    assert "rule n.maximum, limit" not in names(found["raised"])


@pytest.mark.parametrize("more", ["", ", allowed values: 16:9, 1:1", ", supported values: 16:9"])
def test_a_text_is_right_in_each_form_in_which_it_is_known(more: str) -> None:
    found = settled(refused("aspect_ratio.enum/nonsense", f"aspect_ratio value '5:4' is invalid{more}", value="5:4"))

    assert not found["contradicted"]
    assert "rule aspect_ratio.enum, text" in names(found["confirmed"])


def test_inputs_of_an_open_question_settle_that_question_alone() -> None:
    told = "File is not in a valid base64 format"
    found = settled(refused(f"{BASE64}/data-url", told), accepted(f"{BASE64}/line-break"))

    assert names(found["contradicted"]) == [f"rule {BASE64}, limit (base64-dialect)"]
    assert f"rule {BASE64}, limit" in names(found["confirmed"])


def test_a_task_that_fails_is_seen_by_its_end() -> None:
    failed = {**DATA, "task_status": "failed", "task_status_msg": "Image pixel is invalid"}
    found = settled(accepted("style_image.pixels/too-small", failed))
    wrong = settled(accepted("style_image.pixels/too-small", {**failed, "task_status_msg": "no"}))
    never = settled(accepted("style_image.pixels/too-small", {**failed, "task_status": "succeed"}))

    assert {"rule style_image.pixels, text", "shown get_task.data.task_status_msg"} <= {*names(found["confirmed"])}
    assert names(wrong["contradicted"]) == ["rule style_image.pixels, text"]
    assert names(never["contradicted"]) == ["rule style_image.pixels, limit"]


def test_fields_that_are_shown_are_seen() -> None:
    body = {"code": "task_not_exist", "message": "task_not_exist", "data": None}
    found = settled(RecordedAnswer("task_id.exists/unknown", "", 400, {}, body))

    assert {"shown TaskError.code", "shown TaskError.data"} <= {*names(found["raised"])}


def test_a_recording_of_the_simulator_contradicts_nothing_and_json_says_the_same() -> None:
    made = record(run(right_target(), replace(FREE, keep=True)), NOW)
    rows = settle(made, CONTRACT)
    told = as_json(made, rows)

    assert told["contradicted"] == []
    assert len(told["raised"]) + told["confirmed"] == len(rows) > 50
    assert told["raised"][0].keys() == {"kind", "name", "aspect", "assumption", "grade", "says", "cases"}
    assert {row["grade"] for row in told["raised"]} == {"inferred", "unknown"}
    assert (told["contract"], told["date"]) == ("cometapi", "2026-11-25")
