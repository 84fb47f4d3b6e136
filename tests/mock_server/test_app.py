"""Answers of the API in process: bodies, key order, headers, errors, accounts."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from klingkit.mock_server.app import create_app
from klingkit.mock_server.handlers import HANDLERS
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, URL, Api, Clock, b64, body, data_of, png, subjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.contract import Contract


GATEWAY_ID = r"2026\d{2}\d{2}\d{6}\d{9}[0-9A-Za-z]{8}"


def test_create_answers_as_recorded(api: Api, clock: Clock, contract: Contract) -> None:
    response = api.create()

    answer = json.loads(response.data)
    assert list(answer) == ["code", "message", "request_id", "data"]
    assert (answer["code"], answer["message"]) == (0, "SUCCEED")
    assert UUID(answer["request_id"]).version == 4
    data = answer["data"]
    assert list(data) == ["task_id", "task_status", "task_info", "created_at", "updated_at"]
    assert data["task_status"] == "submitted"
    assert data["task_info"] == {}
    assert data["created_at"] == data["updated_at"] == clock.now()
    assert re.fullmatch(r"\d{18}", data["task_id"])
    assert (int(data["task_id"]) >> 22) + 1568028518785 == clock.now()
    assert re.fullmatch(GATEWAY_ID, response.headers["x-cometapi-request-id"])
    assert b", " not in response.data


def test_query_walks_through_the_lifecycle(api: Api, clock: Clock) -> None:
    created = data_of(api.create(body(external_task_id="order-1", n=2)))
    assert created["task_info"] == {"external_task_id": "order-1"}
    seen = []
    for _ in range(60):
        data = data_of(api.query(created["task_id"]))
        keys = ["task_id", "task_info", "created_at", "updated_at", "task_result", "task_status"]
        assert list(data) == keys + ["task_status_msg"] * (data["task_status"] == "succeed")
        assert data["task_info"] == {"external_task_id": "order-1"}
        assert data["updated_at"] <= clock.now()
        seen.append((data["task_status"], data["updated_at"]))
        clock.move_to(clock.now() + 100)

    assert list(dict.fromkeys(status for status, _ in seen)) == ["submitted", "processing", "succeed"]
    assert [at for _, at in seen] == sorted(at for _, at in seen)
    assert data["task_status_msg"] == ""
    images = data["task_result"]["images"]
    assert [image["index"] for image in images] == [0, 1]
    assert all(image["url"].startswith("https://api.cometapi.com/_mock/pictures/") for image in images)


def test_a_failed_task_comes_under_200_and_code_0(api: Api, clock: Clock) -> None:
    task_id = data_of(api.create(body(scence_image=b64(png(299, 300)))))["task_id"]
    clock.move_to(clock.now() + 200)

    response = api.query(task_id)
    data = data_of(response)
    assert (data["task_status"], data["task_status_msg"], data["task_result"]) == (
        "failed",
        "Image pixel is invalid",
        {},
    )
    assert response.headers["Klingkit-Rule"].startswith("scence_image.pixels; ")


@pytest.mark.parametrize(
    ("data", "fails"),
    [
        (png(300, 300), False),
        (png(299, 600), True),
        (png(750, 300), False),
        (png(751, 300), True),
        (png(300, 750), False),
        (png(300, 751), True),
        (b"neither PNG nor JPEG", True),
        (png()[:20], True),
        (b"\xff\xd8\xff\xe0broken", True),
    ],
    ids=["300px", "299px", "2.5:1", "over-2.5:1", "1:2.5", "over-1:2.5", "text", "cut", "broken-jpeg"],
)
def test_pictures_are_measured(make_api: Callable[..., Api], data: bytes, fails: bool) -> None:
    api = make_api(instant=True)
    for fields in (
        {"subject_image_list": subjects(URL, b64(data))},
        {"scence_image": b64(data)},
        {"style_image": b64(data)},
    ):
        task_id = data_of(api.create(body(**fields)))["task_id"]
        assert data_of(api.query(task_id))["task_status"] == ("failed" if fails else "succeed")


def test_kling_errors_have_no_data_key_and_say_why_in_a_header(api: Api) -> None:
    response = api.create(body(n=10))

    answer = json.loads(response.data)
    assert response.status_code == 400
    assert list(answer) == ["code", "message", "request_id"]
    assert (answer["code"], answer["message"]) == (1201, "n: must be less than or equal to 9")
    assert response.headers["Klingkit-Rule"] == (
        'n.maximum; spec="#/components/schemas/CreateRequest/properties/n/maximum"; evidence=inferred'
    )


@pytest.mark.parametrize(
    ("header", "content_type", "assumption"),
    [
        (None, "application/json", "missing-key"),
        ("Bearer ", "application/json", "missing-key"),
        ("Basic abc", "application/json", "missing-key"),
        ("sk-bare", "application/json", "bare-key"),
        ("Bearer sk-test", None, "body-forms"),
        ("Bearer sk-test", "text/plain", "body-forms"),
    ],
)
def test_a_refusal_of_the_gateway_names_the_open_question(
    api: Api, header: str | None, content_type: str | None, assumption: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = api.send("POST", PATH, key=None, headers=headers, data="{}", content_type=content_type)

    assert f"; assumption={assumption}" in response.headers["Klingkit-Rule"]


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "sk-bare", "Basic abc", "Bearer two words"],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", PATH), ("GET", f"{PATH}/1"), ("DELETE", PATH), ("OPTIONS", PATH)]
)
def test_auth_comes_before_everything_but_the_path(api: Api, header: str | None, method: str, path: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = api.send(method, path, key=None, headers=headers, data="{", content_type="text/plain")

    request_id = response.headers["x-cometapi-request-id"]
    assert response.status_code == 401
    assert json.loads(response.data) == {
        "error": {"message": f"invalid token (request id: {request_id})", "type": "comet_api_error", "code": ""}
    }
    assert re.fullmatch(GATEWAY_ID, request_id)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_the_scheme_word_is_case_insensitive(api: Api, scheme: str) -> None:
    response = api.send("POST", PATH, key=None, headers={"Authorization": f"{scheme} k"}, json=body())

    assert response.status_code == 200


def test_keys_can_be_restricted(make_api: Callable[..., Api]) -> None:
    api = make_api(keys=frozenset({"sk-one", "sk-two"}))

    assert [api.create(key=key).status_code for key in ("sk-one", "sk-two", "sk-three")] == [200, 200, 401]


def test_every_key_is_an_account_of_its_own(api: Api) -> None:
    for number in range(100):
        api.create(key=f"sk-{number}")

    assert len({task.account for task in api.simulator.store.tasks()}) == 100


def test_another_accounts_task_does_not_exist(api: Api) -> None:
    task_id = data_of(api.create(key="mine"))["task_id"]
    unknown = {"code": "task_not_exist", "message": "task_not_exist", "data": None}

    assert api.query(task_id, key="mine").status_code == 200
    for response in (api.query(task_id, key="other"), api.query("100000000000000000"), api.query("x" * 10_000)):
        assert (response.status_code, json.loads(response.data)) == (400, unknown)


def test_external_task_ids_are_unique_per_account(api: Api) -> None:
    """A refused create takes no id, a failed task keeps its own, and an empty id is none."""
    assert api.create(body(external_task_id="a", n=0)).status_code == 400
    assert api.create(body(external_task_id="a", scence_image="QUJD")).status_code == 200
    response = api.create(body(external_task_id="a"))
    assert (response.status_code, json.loads(response.data)["message"]) == (400, "External_task_id a already exists")
    assert api.create(body(external_task_id="a"), key="other").status_code == 200
    assert [api.create(body(external_task_id="")).status_code for _ in range(2)] == [200, 200]
    assert api.query("a").status_code == 400


@pytest.mark.parametrize(
    ("method", "path"), [("GET", PATH), ("DELETE", PATH), ("OPTIONS", PATH), ("POST", f"{PATH}/1")]
)
def test_a_wrong_method_is_1202(api: Api, method: str, path: str) -> None:
    response = api.send(method, path)

    assert (response.status_code, json.loads(response.data)["code"]) == (404, 1202)


@pytest.mark.parametrize(
    "path",
    ["/", f"{PATH}/", "/v1/images/generations/1", f"{PATH}/a/b", f"/{PATH}/1", PATH.replace("/v1", "//v1"), "/kling"],
)
def test_a_wrong_path_is_a_page(api: Api, path: str) -> None:
    """HTML with 404, with and without a key: what a polling loop must not take for "still running"."""
    for key in ("key", None):
        response = api.send("GET", path, key=key)
        assert (response.status_code, response.mimetype) == (404, "text/html")
        assert "x-cometapi-request-id" in response.headers


def test_head_on_a_task_answers_as_get(api: Api) -> None:
    task_id = data_of(api.create())["task_id"]
    response = api.send("HEAD", f"{PATH}/{task_id}")

    assert (response.status_code, response.data) == (200, b"")
    assert int(response.headers["Content-Length"]) == len(api.query(task_id).data)


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded", "application/jsonp"])
def test_a_wrong_content_type_is_invalid(api: Api, content_type: str) -> None:
    response = api.send("POST", PATH, data=json.dumps(body()), content_type=content_type)

    assert response.status_code == 400
    assert json.loads(response.data)["error"]["code"] == "invalid_request"


def test_a_charset_beside_the_content_type_is_fine(api: Api) -> None:
    data = json.dumps(body())
    response = api.send("POST", PATH, data=data, content_type="Application/JSON; charset=utf-8")

    assert response.status_code == 200


def test_unknown_fields_are_named(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """The service ignores them in silence; the simulator accepts them too, and says so."""
    caplog.set_level("INFO", "klingkit")
    items = [{"subject_image": URL, "wieght": 1}, {"subject_image": URL}]
    response = api.create(body(subject_image_list=items, scene_image=URL, zzz=1))

    assert response.status_code == 200
    warning = response.headers["Klingkit-Warning"]
    assert "unknown field 'scene_image' is ignored, did you mean 'scence_image'?" in warning
    assert "unknown field 'zzz' is ignored;" in warning
    assert "unknown field 'wieght' in subject_image_list[0] is ignored" in warning
    assert warning.replace("; ", ", warning: ") in caplog.text


def test_hostile_field_names_cannot_break_header_or_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "klingkit")
    response = api.create(body(**{"a\r\nX-Evil: 1": 1, "é\ud7ff": 1, "x" * 9999: 1, **{f"f{n}": 1 for n in range(99)}}))

    assert response.status_code == 200
    assert "X-Evil" not in response.headers
    assert response.headers["Klingkit-Warning"].isascii()
    assert len(response.headers["Klingkit-Warning"]) < 1000
    assert all("\n" not in record.message for record in caplog.records)


def test_the_log_has_one_line_a_request_without_key_or_body(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "klingkit")
    data_of(api.create(body(prompt="my secret prompt"), key="sk-secret"))
    api.query("1", key="sk-secret")
    api.send("GET", "/a%0Ab%1B")

    lines = [record.message for record in caplog.records]
    assert len(lines) == 3
    assert lines[0].startswith(f"POST {PATH} 200 ")
    assert lines[1].startswith(f"GET {PATH}/1 400 ")
    assert lines[2].startswith(r"GET /a\nb\x1b 404 ")
    assert "secret" not in caplog.text


def test_the_same_seed_gives_the_same_bytes(make_api: Callable[..., Api]) -> None:
    def run(seed: int) -> list[bytes]:
        api = make_api(seed=seed, instant=True)
        created = api.create(body(prompt="x"))
        task_id = data_of(created)["task_id"]
        done = api.query(task_id)
        picture = api.send(
            "GET", data_of(done)["task_result"]["images"][0]["url"].removeprefix("https://api.cometapi.com")
        )
        return [created.data, done.data, picture.data, created.headers["x-cometapi-request-id"].encode()]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_instant_ends_at_once(make_api: Callable[..., Api]) -> None:
    api = make_api(instant=True)
    created = data_of(api.create())

    assert created["task_status"] == "submitted"
    assert data_of(api.query(created["task_id"]))["task_status"] == "succeed"


@pytest.mark.parametrize("speed", [1, 10, 500])
def test_speed_divides_the_recorded_timings(make_api: Callable[..., Api], clock: Clock, speed: float) -> None:
    """Real timings: processing within 1.8 s, success after 24 to 40.6 s, failure after 1 to 2 s."""
    api = make_api(speed=speed)

    def ends(request: dict[str, Any]) -> tuple[int, int]:
        task = api.simulator.create("account", request, "http://host").task
        (_, start), (_, processing), (_, end) = task.plan.steps
        return processing - start, end - start

    for _ in range(50):
        processing, succeeded = ends(body())
        assert 0 <= processing <= 1800 / speed
        assert 24_000 / speed - 1 <= succeeded <= 40_600 / speed
        processing, failed = ends(body(style_image="QUJD"))
        assert 1_000 / speed - 1 <= failed <= 2_000 / speed
        assert processing <= failed


def test_health_tells_what_runs(make_api: Callable[..., Api], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its uptime is that of the machine, whatever the clock shows."""
    machine = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: machine[0])
    api = make_api(seed=5)
    machine[0] += 2.5
    api.create()
    clock.move_to(clock.now() + 60_000)
    api.create()

    health = json.loads(api.send("GET", "/_mock/health", key=None).data)
    assert (health["status"], health["contract"], health["seed"], health["uptime_s"]) == ("ok", "cometapi", 5, 2.5)
    assert sum(health["tasks"].values()) == 2
    assert health["callbacks"] == {"pending": 0}
    assert re.fullmatch(r"\d+\.\d+\.\d+", health["version"])


def test_the_oldest_task_is_dropped_when_there_are_too_many(make_api: Callable[..., Api]) -> None:
    """Its external id becomes free again."""
    api = make_api(max_tasks=2)
    ids = [data_of(api.create(body(external_task_id=name)))["task_id"] for name in "abc"]

    assert [api.query(task_id).status_code for task_id in ids] == [400, 200, 200]
    assert [api.create(body(external_task_id=name)).status_code for name in "ca"] == [400, 200]


def test_a_bug_is_answered_in_the_envelope_and_logged(
    make_api: Callable[..., Api], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make_api()
    monkeypatch.setattr(api.simulator.store, "get", None)  # something that cannot happen
    response = api.query("1")

    assert (response.status_code, json.loads(response.data)["code"]) == (500, 5000)
    assert "Traceback" in caplog.text


def test_start_refuses_an_operation_without_a_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(HANDLERS, "list_tasks")
    create_app(Simulator())

    with pytest.raises(ValueError, match="operations of kling: list_tasks"):
        create_app(Simulator(Settings(contract="all")))
