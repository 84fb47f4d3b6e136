"""What is assumed of the real service is what the simulator does: for a server, and for an account."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from klingkit.contract import load_contract
from klingkit.contract.cases.sample_pictures import encode, picture
from klingkit.contract.targets.target import Reply, Request
from klingkit.contract.verify.run import verify
from klingkit.contract.verify.selection import Options
from klingkit.mock_server.auth import account_name
from klingkit.mock_server.contracts import Contracts
from klingkit.mock_server.serving.in_process import SimulatorTarget, in_process_target
from tests.klingkit.test_probing import OTHERWISE

SQUARE, SMALL = encode(picture(300, 300)), encode(picture(299, 299))
PATH = "/kling/v1/images/generations"
UNKNOWN = "100000000000000000"


def simulator(*assume: str, name: str = "cometapi") -> SimulatorTarget:
    return in_process_target(load_contract("+".join([name, *assume])))


def create(target: SimulatorTarget, subject: str = SQUARE, **fields: Any) -> Reply:
    path = target.simulator.contract.operations["create_task"].path
    body = {"subject_image_list": [{"subject_image": subject}, {"subject_image": SQUARE}], **fields}
    return target.send(Request("POST", path, body, content_type="application/json"))


def query(target: SimulatorTarget, task_id: str = UNKNOWN, authorization: str | None = "Bearer {key}") -> Reply:
    path = target.simulator.contract.operations["get_task"].path.replace("{task_id}", task_id)
    return target.send(Request("GET", path, authorization=authorization))


def said(reply: Reply) -> tuple[int, object]:
    body = reply.body or {}
    return reply.http, body.get("error", body).get("code")


GATES = [
    ("missing-key=kling", None, (401, ""), (401, 1001)),
    ("missing-key=kling", "", (401, ""), (401, 1001)),
    ("missing-key=kling", "Basic x", (401, ""), (401, "")),
    ("bare-key=accepted", "{key}", (401, ""), (400, "task_not_exist")),
    ("bare-key=accepted", "Bearer {key}", (400, "task_not_exist"), (400, "task_not_exist")),
    ("bare-key=accepted", "two words", (401, ""), (401, "")),
    ("unknown-task=kling", "Bearer {key}", (400, "task_not_exist"), (400, 1201)),
]


@pytest.mark.parametrize(("assume", "authorization", "by_default", "assumed"), GATES)
def test_a_query_is_answered_by_what_is_assumed(
    assume: str, authorization: str | None, by_default: tuple[int, object], assumed: tuple[int, object]
) -> None:
    assert said(query(simulator(), authorization=authorization)) == by_default
    assert said(query(simulator(assume), authorization=authorization)) == assumed


def test_a_bare_key_is_the_account_of_that_key() -> None:
    target = simulator("bare-key=accepted")
    task_id = create(target).data["task_id"]

    assert query(target, task_id, "{key}").data["task_id"] == task_id


@pytest.mark.parametrize(("assume", "code"), [("disabled-key=as-bad", ""), ("disabled-key=kling", 1100)])
def test_a_disabled_key(assume: str, code: object) -> None:
    target = simulator(assume)
    target.simulator.store.configure(account_name(target.key), {"disabled": True}, 0)

    assert query(target).http == (429 if code else 401)
    assert said(query(target))[1] == code


def test_kling_has_its_own_answer_to_a_disabled_key() -> None:
    for assume, answer in (("disabled-key=unknown", (401, 1002)), ("disabled-key=code-1100", (429, 1100))):
        target = simulator(assume, name="kling")
        target.simulator.store.configure(account_name(target.key), {"disabled": True}, 0)
        assert said(query(target)) == answer


@pytest.mark.parametrize(("assume", "again"), [("kept", 400), ("freed", 200)])
def test_the_external_id_of_a_task_that_has_failed(assume: str, again: int) -> None:
    target = simulator(f"external-id-after-failure={assume}", "external-id-query=yes")
    first = create(target, SMALL, external_task_id="mine").data["task_id"]
    assert create(target, external_task_id="mine").http == 400  # it has not failed yet
    target.wait(60)

    assert create(target, external_task_id="mine").http == again
    if again == 200:
        assert create(target, external_task_id="mine").http == 400  # nor does the second one let it go
        assert query(target, "mine").data["task_id"] != first
        assert query(target, first).data["task_id"] == first


def test_an_external_id_that_was_freed_stays_with_its_new_task_when_the_old_one_is_dropped() -> None:
    target = in_process_target(
        load_contract("cometapi+external-id-after-failure=freed+external-id-query=yes"), max_tasks=2
    )
    create(target, SMALL, external_task_id="mine")
    target.wait(60)
    second = create(target, external_task_id="mine").data["task_id"]
    create(target)  # the first goes

    assert query(target, "mine").data["task_id"] == second


@pytest.mark.parametrize(
    ("assume", "statuses"),
    [("all-states", ["submitted", "processing", "failed"]), ("end-only", ["submitted", "failed"])],
)
def test_what_a_task_that_fails_calls_back_for(assume: str, statuses: list[str]) -> None:
    target = simulator(f"callback-processing={assume}")
    for subject in (SMALL, SQUARE):
        create(target, subject, callback_url=target.callback_url)
    target.wait(60)

    bodies = [callback.body for callback in target.received]
    failing = [body["task_status"] for body in bodies if body["task_id"] == bodies[0]["task_id"]]
    assert failing == statuses
    assert len(bodies) == len(statuses) + 3


@pytest.mark.parametrize(("assume", "http"), [("gateway", 400), ("any-media-type", 200)])
def test_another_content_type(assume: str, http: int) -> None:
    target = simulator(f"body-forms={assume}")
    request = Request("POST", PATH, {"subject_image_list": [{"subject_image": SQUARE}] * 2})

    assert target.send(replace(request, content_type="text/plain")).http == http


def test_a_lenient_number_is_that_many_pictures() -> None:
    target = simulator("number-forms=lenient")
    task_id = create(target, n="2").data["task_id"]
    target.wait(60)

    assert len(query(target, task_id).data["task_result"]["images"]) == 2


@pytest.mark.parametrize(
    ("assume", "page", "found"),
    [
        ("refused", "pageNum=1&pageSize=1", 2),
        ("oldest-first", "pageNum=1&pageSize=1", 0),
        ("oldest-first", "pageNum=3&pageSize=1", 2),
        ("nearest", "pageNum=0&pageSize=1", 2),
        ("refused", "pageNum=0&pageSize=1", None),
        ("oldest-first", "pageNum=0", None),
    ],
)
def test_the_list_of_the_vendor(assume: str, page: str, found: int | None) -> None:
    target = simulator(f"list-paging={assume}", name="kling")
    made = [create(target).data["task_id"] for _ in range(3)]

    reply = target.send(Request("GET", f"/v1/images/multi-image2image?{page}"))

    if found is None:
        assert said(reply) == (400, 1201)
    else:
        assert [task["task_id"] for task in reply.body["data"]] == [made[found]]


def test_what_the_server_assumes_holds_for_each_contract_that_knows_the_question() -> None:
    served = Contracts("all", assume=(("prompt-length", "bytes"), ("bare-key", "accepted"))).served

    assert [str(contract.choice) for contract in served] == [
        "cometapi+bare-key=accepted+prompt-length=bytes",
        "kling+prompt-length=bytes",
    ]


def test_an_account_assumes_more_than_the_server() -> None:
    target = in_process_target(assume=(("unknown-task", "kling"),))
    too_long_in_bytes = {"prompt": "\u00e9" * 1251}
    store = target.simulator.store
    assert create(target, **too_long_in_bytes).http == 200

    store.configure(account_name(target.key), {"assume": (("prompt-length", "bytes"),)}, 0)

    assert said(create(target, **too_long_in_bytes)) == (400, 1201)
    assert said(query(target)) == (400, 1201)


@pytest.mark.parametrize(
    ("assume", "said"),
    [
        (("prompt-length", "words"), "prompt-length has no alternative 'words'; there are characters, bytes"),
        (("prompt", "bytes"), "cometapi has no assumption 'prompt'; there are list-errors"),
    ],
)
def test_what_cannot_be_assumed_is_one_line(assume: tuple[str, str], said: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(said)) as raised:
        in_process_target(assume=(assume,))
    assert "\n" not in str(raised.value)


def test_the_cases_follow_what_is_assumed() -> None:
    """Of what costs nothing, each answer of a service that is otherwise in all that is open is what its contract says."""
    contract = load_contract(
        OTHERWISE.replace("+unknown-model=gateway", "")
    )  # a 503 is no answer to judge, without money
    target = in_process_target(contract, keys=frozenset({"sk-klingkit-one"}))

    report = verify(target, contract, Options("sk-klingkit-one", budget=Decimal(0)))

    assert [result.case.id for result in report.results if result.deviations] == []
    assert sum(result.state == "holds" for result in report.results) > 30
