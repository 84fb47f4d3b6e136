"""A reply is judged by what is known: documented and recorded bind, inferred is learned from, unknown is judged by nobody."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.contract import load_contract
from klingkit.contract.cases.catalogue import build_cases
from klingkit.contract.check import send_case
from klingkit.contract.judge.answer_schema import schemas_of
from klingkit.contract.judge.reply import judge
from klingkit.contract.targets.target import Reply
from klingkit.contract.verify.results import DEVIATES, HOLDS, LEARNED, Result
from tests.conftest import PATH

if TYPE_CHECKING:
    from klingkit.contract import Contract
    from klingkit.contract.cases.case import Case
    from klingkit.contract.judge.deviation import Deviation

GATEWAY_ID = "20260205132859798638387SIHCnxzJ"
REQUEST_ID = "a60990f3-b485-4dbb-b02f-6eea9cd000c5"
TASK = {
    "task_id": "797182621750399062",
    "task_status": "submitted",
    "task_info": {},
    "created_at": 1758091666748,
    "updated_at": 1758091666748,
}
ACCEPTED = {"code": 0, "message": "SUCCEED", "request_id": REQUEST_ID, "data": TASK}


def reply(http: int, body: dict[str, Any]) -> Reply:
    headers = {"content-type": "application/json", "x-cometapi-request-id": GATEWAY_ID}
    return Reply(http, headers, json.dumps(body).encode())


def kling(message: str, http: int = 400, code: int = 1201) -> Reply:
    return reply(http, {"code": code, "message": message, "request_id": REQUEST_ID})


def gateway(message: str, code: str = "invalid_request", http: int = 400) -> Reply:
    told = f"{message} (request id: {GATEWAY_ID})"
    return reply(http, {"error": {"message": told, "type": "comet_api_error", "code": code}})


def case(contract: Contract, case_id: str) -> Case:
    return next(case for case in build_cases(contract) if case.id == case_id)


def judged(contract: Contract, case_id: str, answer: Reply) -> list[Deviation]:
    return judge(contract, schemas_of(contract), case(contract, case_id), answer)


SUBJECT = "subject_image_list.items.subject_image"
NO_BASE64 = "File is not in a valid base64 format"


@pytest.mark.parametrize(
    ("case_id", "answer"),
    [
        ("body.json/cut-off", gateway("that is no JSON")),
        ("body.object/array", gateway("an object, please")),
        ("body.mediaType/text", gateway("send JSON")),
        ("path.method/put-create", kling("no such method", 404, 1202)),
        (f"{SUBJECT}.maxBytes/one-byte-too-many", kling("too large")),
    ],
)
def test_a_text_that_nobody_knows_is_right_whatever_it_is(contract: Contract, case_id: str, answer: Reply) -> None:
    assert judged(contract, case_id, answer) == []


@pytest.mark.parametrize(
    ("text", "blamed"), [("not possible", "style_image.maxBytes"), ("we do not like this prompt", "prompt.type")]
)
def test_a_pack_is_refused_for_what_its_text_speaks_of_or_for_what_is_only_inferred(text: str, blamed: str) -> None:
    """Else a service that is strict where nobody knows is held to be wrong in what stands beside it."""
    contract = load_contract("kling")
    pack = next(
        each for each in build_cases(contract) if each.covers and each.covers[1].requirement == "style_image.maxBytes"
    )
    assert pack.covers[0].requirement == "prompt.type"

    (found,) = judge(contract, None, pack, kling(text))

    assert found.requirement == blamed
    assert (found.evidence.grade == "inferred") == (blamed == "style_image.maxBytes")


@pytest.mark.parametrize("more", ["", ", allowed values: 16:9, 9:16", ", supported values: [16:9]"])
def test_a_text_that_is_known_in_two_forms_is_right_in_both(contract: Contract, more: str) -> None:
    assert judged(contract, "aspect_ratio.enum/unknown", kling(f"aspect_ratio value 'klingkit' is invalid{more}")) == []

    (wrong,) = judged(contract, "aspect_ratio.enum/unknown", kling(f"aspect_ratio value 'klingkit' is bad{more}"))
    assert (wrong.kind, wrong.evidence.grade) == ("text", "recorded")


@pytest.mark.parametrize(
    ("case_id", "answer", "kind", "known"),
    [
        # of one rule, the limit is documented, the text recorded
        ("prompt.maxLength/one-too-long", reply(200, ACCEPTED), "accepted", "documented"),
        ("prompt.maxLength/one-too-long", kling("prompt is too long"), "text", "recorded"),
        (
            "prompt.maxLength/one-too-long",
            kling("prompt: size must be between 0 and 2500", 422),
            "status",
            "recorded error-passthrough",
        ),
        ("n.maximum/one-too-high", kling("n is too much"), "text", "inferred list-errors"),
        (f"{SUBJECT}.maxBytes/one-byte-too-many", kling("too large", 413), "status", "inferred megabyte"),
        (f"{SUBJECT}.base64/data-url", reply(200, ACCEPTED), "accepted", "documented"),
        (f"{SUBJECT}.base64/line-break", reply(200, ACCEPTED), "accepted", "inferred base64-dialect"),
        (f"{SUBJECT}.base64/line-break", kling("bad picture"), "text", "inferred"),
        ("n.type/float", reply(200, ACCEPTED), "accepted", "inferred number-forms"),
        ("n.type/fraction", reply(200, ACCEPTED), "accepted", "documented"),
        ("subject_image_list.required/missing", reply(200, ACCEPTED), "accepted", "inferred no-subjects"),
        ("subject_image_list.minItems/one-too-few", reply(200, ACCEPTED), "accepted", "documented two-subjects"),
        ("body.json/nan", reply(200, ACCEPTED), "accepted", "inferred body-forms"),
        ("body.json/cut-off", reply(200, ACCEPTED), "accepted", "documented"),
        ("authorization.bearer/bare", reply(200, ACCEPTED), "accepted", "inferred bare-key"),
    ],
)
def test_a_deviation_has_the_evidence_of_its_aspect_for_such_input(
    contract: Contract, case_id: str, answer: Reply, kind: str, known: str
) -> None:
    (found,) = judged(contract, case_id, answer)

    assert (found.kind, f"{found.evidence.grade} {found.assumption}".strip()) == (kind, known)
    assert found.is_learned == known.startswith("inferred")


def test_nobody_is_judged_by_a_limit_that_is_unknown(contract: Contract) -> None:
    """Nesting and the size of a body are protections of the simulator."""
    cases = build_cases(contract)
    deep = replace(case(contract, "body.object/array"), rule=contract.rules["body.depth"])

    assert judge(contract, None, deep, reply(200, ACCEPTED)) == []
    assert not [each.id for each in cases if each.is_about("body.depth") or each.is_about("body.size")]


def test_a_field_that_no_page_mentions_is_named_and_no_deviation(contract: Contract) -> None:
    answer = reply(200, {**ACCEPTED, "data": {**TASK, "queue": 3}, "trace": "x"})
    result = Result(case(contract, "accepted/smallest"))
    for deviation in judged(contract, "accepted/smallest", answer):
        result.add(deviation)

    assert (result.state, result.deviations) == (HOLDS, [])
    assert result.unmentioned == {"data.queue", "trace"}


@pytest.mark.parametrize(
    ("change", "grade", "state"),
    [
        ({"task_id": 797182621750399062}, "recorded", DEVIATES),
        ({"task_result": {"images": [{"url": 1}]}}, "documented", DEVIATES),
        ({"task_result": {"images": [{"url": "http://a", "index": "0"}]}}, "recorded", DEVIATES),
        ({"task_status": "processing", "task_result": {}, "final_unit_deduction": "8"}, "inferred", LEARNED),
    ],
)
def test_a_field_has_evidence_of_its_own(contract: Contract, change: dict[str, Any], grade: str, state: str) -> None:
    ended = {**TASK, "task_status": "succeed", "task_result": {"images": [{"url": "http://a"}]}}
    answer = reply(200, {**ACCEPTED, "data": {**ended, **change}})
    path = f"{PATH}/{TASK['task_id']}"
    found = list(schemas_of(contract).judge("get_task", path, answer))
    result = Result(case(contract, "accepted/smallest"))
    for deviation in found:
        result.add(deviation)

    assert [deviation.evidence.grade for deviation in found] == [grade]
    assert result.state == state


def test_what_a_sibling_is_known_to_send_is_right(contract: Contract) -> None:
    """api-facts 3: units, watermark, empty videos and audios; index and task_status_msg absent."""
    images = [{"url": "http://a", "watermark_url": "http://b"}]
    ended = {"task_status": "succeed", "task_result": {"images": images, "videos": [], "audios": []}}
    answer = reply(200, {**ACCEPTED, "data": {**TASK, **ended, "final_unit_deduction": "8"}})

    assert list(schemas_of(contract).judge("get_task", f"{PATH}/{TASK['task_id']}", answer)) == []


def test_a_check_of_ones_own_fails_by_what_is_known(contract: Contract) -> None:
    class Target:
        key = "k"

        def send(self, *_: object) -> Reply:
            return kling("n is too much")

    one = case(contract, "n.maximum/one-too-high")

    assert send_case(Target(), contract, one, None)[1] == []  # type: ignore[arg-type]
    assert len(send_case(Target(), contract, one, None, "inferred")[1]) == 1  # type: ignore[arg-type]
