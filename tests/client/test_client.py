"""The client: what it sends, what it makes of each answer, and when it tries again. Its time is a fake one."""

from __future__ import annotations

import base64
import json
import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
import responses
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from urllib3.exceptions import MaxRetryError, NewConnectionError

from klingkit.client import (
    AccountError,
    ApiError,
    AuthenticationError,
    CallbackSignatureError,
    ConnectError,
    InputError,
    InvalidRequestError,
    KlingClient,
    KlingError,
    PolicyError,
    RateLimitError,
    ServiceError,
    Task,
    TaskExistsError,
    TaskFailedError,
    TransportError,
    UnexpectedAnswerError,
    UnknownFateError,
    WaitTimeoutError,
    parse_callback,
)
from tests.conftest import PATH, URL, png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Running

BASE = "https://api.cometapi.com"
CREATE = BASE + PATH
ID = "797182621750399062"
QUERY = f"{CREATE}/{ID}"
KEY = "sk-very-secret"


class FakeTime:
    """Seconds that pass only by sleeping; the pauses are kept."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def fake() -> FakeTime:
    return FakeTime()


@pytest.fixture
def client(fake: FakeTime) -> Iterator[KlingClient]:
    with KlingClient(KEY, BASE, sleep=fake.sleep, monotonic=fake.monotonic, rng=random.Random(0)) as client:
        yield client


@pytest.fixture
def service() -> Iterator[responses.RequestsMock]:
    """Canned answers, each used up in its turn; all must be asked for."""
    with responses.RequestsMock() as mock:
        yield mock


def task_data(status: str = "submitted", **more: Any) -> dict[str, Any]:
    return {
        "task_id": ID,
        "task_status": status,
        "task_info": {},
        "created_at": 1758091666748,
        "updated_at": 1758091666748,
        **more,
    }


def success(status: str = "submitted", **more: Any) -> dict[str, Any]:
    return {"code": 0, "message": "SUCCEED", "request_id": "r", "data": task_data(status, **more)}


def refusal(code: int, message: str = "no") -> dict[str, Any]:
    return {"code": code, "message": message, "request_id": "the-request-id"}


def refused_connection() -> requests.ConnectionError:
    reason = NewConnectionError(None, "refused")  # type: ignore[arg-type]
    return requests.ConnectionError(MaxRetryError(None, "/", reason))  # type: ignore[arg-type]


DONE = success(
    "succeed",
    task_status_msg="",
    task_result={"images": [{"index": 0, "url": "https://cdn.example/0.png"}, {"index": 1, "url": "https://c/1.png"}]},
)


# What is sent


def test_create_sends_the_spelling_of_the_api(client: KlingClient, service: responses.RequestsMock) -> None:
    service.post(CREATE, json=success())
    picture = png()
    task = client.create(
        [URL, picture],
        prompt="two friends",
        scene_image=URL,
        style_image=URL,
        n=2,
        aspect_ratio="1:1",
        model_name="kling-v2",
        callback_url="http://127.0.0.1/x",
        external_task_id="order-1",
    )

    request = service.calls[0].request
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert json.loads(request.body or "") == {
        "subject_image_list": [{"subject_image": URL}, {"subject_image": base64.b64encode(picture).decode()}],
        "prompt": "two friends",
        "scence_image": URL,
        "style_image": URL,
        "n": 2,
        "aspect_ratio": "1:1",
        "model_name": "kling-v2",
        "callback_url": "http://127.0.0.1/x",
        "external_task_id": "order-1",
    }
    assert (task.task_id, task.status, task.image_urls, task.message) == (ID, "submitted", (), "")


def test_what_is_not_given_is_not_sent(client: KlingClient, service: responses.RequestsMock) -> None:
    service.post(CREATE, json=success())
    client.create([URL, URL])

    assert list(json.loads(service.calls[0].request.body or "")) == ["subject_image_list"]


def test_files_are_encoded(client: KlingClient, service: responses.RequestsMock, tmp_path: Path) -> None:
    service.post(CREATE, json=success())
    file = tmp_path / "a.png"
    file.write_bytes(png())
    client.create([file, file])

    sent = json.loads(service.calls[0].request.body or "")["subject_image_list"][0]["subject_image"]
    assert base64.b64decode(sent, validate=True) == png()


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        ("data:image/png;base64,AAAA", "data: URL"),
        ("a.png", "pathlib.Path"),
        (b"text", "not a PNG or JPEG"),
        (b"", "not a PNG or JPEG"),
        (png(299, 300), "at least 300 px"),
        (png(300, 751), "1:2.5 to 2.5:1"),
        (png() + bytes(10 * 1024 * 1024), "10 MB"),
        (7, "not int"),
    ],
    ids=["data", "name", "text", "empty", "small", "long", "large", "number"],
)
def test_a_wrong_picture_costs_nothing(client: KlingClient, picture: Any, says: str) -> None:
    """Without a mock: a request would fail otherwise."""
    with pytest.raises(InputError, match=says):
        client.create([URL, picture])


def test_a_missing_file_is_named(client: KlingClient, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.png: No such file"):
        client.create([tmp_path / "none.png", URL])


def test_one_picture_is_no_list(client: KlingClient) -> None:
    with pytest.raises(InputError, match="list"):
        client.create(URL)


def test_pictures_at_the_limits_are_sent(client: KlingClient, service: responses.RequestsMock) -> None:
    service.post(CREATE, json=success())
    large = png()
    client.create([png(300, 750), large + bytes(10 * 1024 * 1024 - len(large))])

    assert len(service.calls) == 1


@pytest.mark.parametrize("task_id", ["", "../x", "a/b", "a?b", "a b", "\n", 7.97e17], ids=repr)
def test_a_wrong_task_id_is_not_sent(client: KlingClient, task_id: Any) -> None:
    with pytest.raises(InputError, match="not a task id"):
        client.get(task_id)


# Key and address


def test_key_and_address_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMETAPI_BASE_URL", raising=False)
    monkeypatch.setenv("COMETAPI_KEY", KEY)
    assert KlingClient().base_url == BASE
    monkeypatch.setenv("COMETAPI_BASE_URL", "http://127.0.0.1:8000/")
    assert KlingClient().base_url == "http://127.0.0.1:8000"
    assert KlingClient(base_url="http://other").base_url == "http://other"


def test_without_a_key_it_says_where_to_put_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMETAPI_KEY", raising=False)
    with pytest.raises(InputError, match="COMETAPI_KEY"):
        KlingClient()


@pytest.mark.parametrize(("key", "url"), [("k\n", BASE), ("a b", BASE), ("ключ", BASE), ("k", "api.cometapi.com")])
def test_a_wrong_key_or_address_is_refused_at_once(key: str, url: str) -> None:
    with pytest.raises(InputError) as error:
        KlingClient(key, url)
    assert key not in str(error.value) or url != BASE


def test_the_key_shows_nowhere(client: KlingClient, service: responses.RequestsMock) -> None:
    service.post(CREATE, json=refusal(1000, f"bad token {KEY}"), status=401)
    with pytest.raises(AuthenticationError) as refused:
        client.create([URL, URL])
    service.get(QUERY, body=requests.ConnectionError(f"header {KEY} broke"))
    with pytest.raises(TransportError) as broken:
        KlingClient(KEY, BASE, retry_for=0).get(ID)

    for text in (repr(client), str(client), repr(refused.value), str(refused.value), repr(broken.value)):
        assert KEY not in text
    assert "bad token ***" in str(refused.value)


def test_a_netrc_file_does_not_replace_the_key(
    client: KlingClient, service: responses.RequestsMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine api.cometapi.com login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    service.get(QUERY, json=success())
    client.get(ID)

    assert service.calls[0].request.headers["Authorization"] == f"Bearer {KEY}"


# What is made of an answer


FAMILIES = [
    (401, 1000, AuthenticationError, False),
    (401, 1004, AuthenticationError, False),
    (429, 1100, AccountError, False),
    (429, 1102, AccountError, False),
    (403, 1103, AccountError, False),
    (400, 1201, InvalidRequestError, False),
    (404, 1203, InvalidRequestError, False),
    (400, 1300, PolicyError, False),
    (400, 1301, PolicyError, False),
    (429, 1302, RateLimitError, True),
    (429, 1303, RateLimitError, True),
    (429, 1304, PolicyError, False),
    (500, 5000, ServiceError, True),
    (503, 5001, ServiceError, True),
    (504, 5002, ServiceError, True),
]


@pytest.mark.parametrize(("http", "code", "family", "retryable"), FAMILIES)
@pytest.mark.parametrize("wire", ["number", "string"])
def test_each_code_has_its_family(
    service: responses.RequestsMock, *, http: int, code: int, family: type[ApiError], retryable: bool, wire: str
) -> None:
    sent: Any = code if wire == "number" else str(code)
    service.get(QUERY, json=refusal(sent, "the text"), status=http)
    with pytest.raises(family) as error:
        KlingClient(KEY, BASE, retry_for=0).get(ID)

    refused = error.value
    assert (refused.code, refused.http_status, refused.message) == (code, http, "the text")
    assert (refused.request_id, refused.retryable) == ("the-request-id", retryable)


@pytest.mark.parametrize("more", [{}, {"data": task_data()}], ids=["no-data", "data"])
def test_a_code_under_http_200_is_a_refusal(
    client: KlingClient, service: responses.RequestsMock, more: dict[str, Any]
) -> None:
    service.get(QUERY, json=refusal(1201) | more)
    with pytest.raises(InvalidRequestError):
        client.get(ID)


def test_the_code_may_be_a_string_in_a_success(client: KlingClient, service: responses.RequestsMock) -> None:
    service.get(QUERY, json=success() | {"code": "0"})
    assert client.get(ID).task_id == ID


def test_the_gateways_envelopes_are_read(client: KlingClient, service: responses.RequestsMock) -> None:
    gateway = {"error": {"message": "invalid token (request id: x)", "type": "comet_api_error", "code": ""}}
    service.get(QUERY, json=gateway, status=401, headers={"x-cometapi-request-id": "the-id"})
    with pytest.raises(AuthenticationError, match="invalid token") as error:
        client.get(ID)
    assert (error.value.code, error.value.request_id) == ("", "the-id")

    service.get(QUERY, json={"code": "task_not_exist", "message": "task_not_exist", "data": None}, status=400)
    with pytest.raises(InvalidRequestError) as unknown:
        client.get(ID)
    assert unknown.value.code == "task_not_exist"


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (200, "text/html", "<html>running</html>"),
        (404, "text/html", "<html>404</html>"),
        (301, "text/html", ""),
        (200, "application/json", "[1]"),
        (200, "application/json", "{}"),
        (200, "application/json", '{"code": 0, "data": {}}'),
        (200, "application/json", '{"code": 0, "data": null}'),
        (200, "application/json", '{"code": 0, "data": {"task_id": "1", "task_status": "x", "task_result": [1]}}'),
        (200, "application/json", "\xff"),
        (200, "text/plain", ""),
    ],
)
def test_what_is_no_answer_of_this_api_is_an_error_at_once(
    client: KlingClient, service: responses.RequestsMock, fake: FakeTime, *, status: int, kind: str, text: str
) -> None:
    service.get(QUERY, body=text, status=status, content_type=kind, headers={"Location": BASE})
    with pytest.raises(UnexpectedAnswerError):
        client.wait(ID)
    assert fake.pauses == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["code", "data", "error", "message", "task_id"]), inner)
        ),
    ),
    st.sampled_from([200, 204, 302, 400, 429, 500]),
)
def test_no_json_makes_it_crash(answer: Any, status: int) -> None:
    with responses.RequestsMock() as service:
        service.get(QUERY, json=answer, status=status)
        with pytest.raises(KlingError):
            KlingClient(KEY, BASE, retry_for=0).get(ID)


# When it tries again


def test_a_query_is_repeated_after_growing_pauses(
    client: KlingClient, service: responses.RequestsMock, fake: FakeTime
) -> None:
    problems: list[dict[str, Any]] = [
        {"json": refusal(1302), "status": 429},
        {"json": refusal(1303), "status": 429},
        {"json": refusal(5000), "status": 500},
        {"body": "<html>bad gateway</html>", "status": 502},
        {"body": requests.ConnectionError("reset")},
        {"body": requests.ReadTimeout("slow")},
    ]
    for problem in problems:
        service.get(QUERY, **problem)
    service.get(QUERY, json=success())

    assert client.get(ID).status == "submitted"
    assert len(fake.pauses) == 6
    assert fake.pauses[0] < fake.pauses[2] < fake.pauses[4]
    assert all(0.75 <= pause <= 10 for pause in fake.pauses)


def test_pauses_of_two_clients_differ(service: responses.RequestsMock) -> None:
    def pauses(seed: int) -> list[float]:
        fake = FakeTime()
        for _ in range(3):
            service.get(QUERY, json=refusal(1302), status=429)
        service.get(QUERY, json=success())
        KlingClient(KEY, BASE, sleep=fake.sleep, monotonic=fake.monotonic, rng=random.Random(seed)).get(ID)
        return fake.pauses

    assert pauses(1) != pauses(2)


@pytest.mark.parametrize(("code", "http"), [(1102, 429), (1101, 429), (1201, 400), (1304, 429), (1000, 401)])
def test_other_refusals_are_final(
    client: KlingClient, service: responses.RequestsMock, fake: FakeTime, code: int, http: int
) -> None:
    service.get(QUERY, json=refusal(code), status=http)
    service.post(CREATE, json=refusal(code), status=http)
    with pytest.raises(ApiError):
        client.get(ID)
    with pytest.raises(ApiError):
        client.create([URL, URL], external_task_id="x")
    assert fake.pauses == []


def test_retry_after_is_honoured(client: KlingClient, service: responses.RequestsMock, fake: FakeTime) -> None:
    service.post(CREATE, json=refusal(1302), status=429, headers={"Retry-After": "17"})
    service.post(CREATE, json=success())
    client.create([URL, URL])
    assert fake.pauses == [17]


def test_retry_after_may_be_a_date(
    client: KlingClient, service: responses.RequestsMock, fake: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    service.get(QUERY, json=refusal(1302), status=429, headers={"Retry-After": "Thu, 01 Jan 2026 00:00:20 GMT"})
    service.get(QUERY, json=refusal(1302), status=429, headers={"Retry-After": "soon"})
    service.get(QUERY, json=success())
    client.get(ID)
    assert fake.pauses[0] == 20
    assert fake.pauses[1] < 2


def test_a_retry_after_beyond_the_deadline_is_not_waited_for(
    client: KlingClient, service: responses.RequestsMock, fake: FakeTime
) -> None:
    service.get(QUERY, json=refusal(1302), status=429, headers={"Retry-After": "3600"})
    with pytest.raises(RateLimitError):
        client.get(ID)
    assert fake.pauses == []


def test_it_never_repeats_without_end(client: KlingClient, service: responses.RequestsMock, fake: FakeTime) -> None:
    service.get(QUERY, json=refusal(1302), status=429)
    service.post(CREATE, json=refusal(5001), status=503)
    with pytest.raises(RateLimitError):
        client.get(ID)
    assert 50 < fake.now <= 60
    with pytest.raises(ServiceError):
        client.create([URL, URL])
    assert 110 < fake.now <= 120


@pytest.mark.parametrize(
    "problem",
    [
        {"json": refusal(1302), "status": 429},
        {"json": refusal(1303), "status": 429},
        {"json": refusal(5001), "status": 503},
        {"body": refused_connection()},
        {"body": requests.ConnectTimeout("slow")},
    ],
    ids=["1302", "1303", "5001", "refused", "connect-timeout"],
)
def test_a_create_that_made_nothing_is_repeated(
    client: KlingClient, service: responses.RequestsMock, fake: FakeTime, problem: dict[str, Any]
) -> None:
    service.post(CREATE, **problem)
    service.post(CREATE, json=success())

    assert client.create([URL, URL]).task_id == ID
    assert len(fake.pauses) == 1


BREAKS: list[dict[str, Any]] = [
    {"body": requests.ConnectionError("reset")},
    {"body": requests.ReadTimeout("slow")},
    {"body": requests.exceptions.ChunkedEncodingError("cut")},
    {"json": refusal(5000), "status": 500},
    {"json": refusal(5002), "status": 504},
    {"body": "<html>bad gateway</html>", "status": 502},
]


@pytest.mark.parametrize("problem", BREAKS, ids=["reset", "timeout", "cut", "5000", "5002", "502"])
def test_a_create_whose_fate_is_unknown_is_not_repeated(
    client: KlingClient, service: responses.RequestsMock, fake: FakeTime, problem: dict[str, Any]
) -> None:
    service.post(CREATE, **problem)
    with pytest.raises(UnknownFateError, match="may exist and cost money"):
        client.create([URL, URL])
    assert fake.pauses == []


@pytest.mark.parametrize("problem", BREAKS, ids=["reset", "timeout", "cut", "5000", "5002", "502"])
def test_with_an_external_id_it_is_repeated(
    client: KlingClient, service: responses.RequestsMock, problem: dict[str, Any]
) -> None:
    service.post(CREATE, **problem)
    service.post(CREATE, json=success())
    assert client.create([URL, URL], external_task_id="order-1").task_id == ID


def test_if_the_id_exists_then_the_task_was_made(client: KlingClient, service: responses.RequestsMock) -> None:
    service.post(CREATE, body=requests.ConnectionError("reset"))
    service.post(CREATE, json=refusal(1303), status=429)
    service.post(CREATE, json=refusal(1201, "External_task_id order-1 already exists"), status=400)
    with pytest.raises(TaskExistsError, match=r"'order-1' exists.*not known, and nothing was paid twice"):
        client.create([URL, URL], external_task_id="order-1")


def test_an_id_that_existed_before_is_an_ordinary_refusal(client: KlingClient, service: responses.RequestsMock) -> None:
    service.post(CREATE, json=refusal(1303), status=429)
    service.post(CREATE, json=refusal(1201, "External_task_id order-1 already exists"), status=400)
    with pytest.raises(InvalidRequestError, match="already exists"):
        client.create([URL, URL], external_task_id="order-1")


def test_a_fate_that_stays_unknown_says_how_to_find_out(client: KlingClient, service: responses.RequestsMock) -> None:
    service.post(CREATE, body=requests.ConnectionError("reset"))
    with pytest.raises(UnknownFateError, match="same external_task_id 'order-1'"):
        client.create([URL, URL], external_task_id="order-1")


def test_nobody_listening_is_named(service: responses.RequestsMock) -> None:
    service.get(QUERY, body=refused_connection())
    with pytest.raises(ConnectError, match="is the server running"):
        KlingClient(KEY, BASE, retry_for=0).get(ID)


# Waiting


def test_wait_polls_to_the_end(client: KlingClient, service: responses.RequestsMock, fake: FakeTime) -> None:
    for answer in (success(), success("processing"), success("processing"), DONE):
        service.get(QUERY, json=answer)
    seen: list[str] = []
    task = client.wait(ID, on_change=lambda current: seen.append(current.status))

    assert task.succeeded
    assert task.image_urls == ("https://cdn.example/0.png", "https://c/1.png")
    assert seen == ["submitted", "processing", "succeed"]
    assert len(fake.pauses) == 3


def test_wait_takes_a_task_too(client: KlingClient, service: responses.RequestsMock) -> None:
    service.get(QUERY, json=DONE)
    assert client.wait(Task(ID, "submitted")).ended


def test_a_failed_task_raises_with_its_message(client: KlingClient, service: responses.RequestsMock) -> None:
    service.get(QUERY, json=success("failed", task_status_msg="Image pixel is invalid"))
    with pytest.raises(TaskFailedError, match="Image pixel is invalid") as error:
        client.wait(ID)
    assert error.value.task.message == "Image pixel is invalid"


@pytest.mark.parametrize("status", ["submitted", "processing", "succeeded", "weird"])
def test_wait_ends_at_its_timeout(
    client: KlingClient, service: responses.RequestsMock, fake: FakeTime, status: str
) -> None:
    service.get(QUERY, json=success(status))
    with pytest.raises(WaitTimeoutError, match=f"30 s .last status: {status}") as error:
        client.wait(ID, timeout=30)
    assert fake.now == 30
    assert error.value.task
    assert error.value.task.status == status


def test_wait_ends_at_its_timeout_while_the_service_is_down(
    client: KlingClient, service: responses.RequestsMock, fake: FakeTime
) -> None:
    service.get(QUERY, json=refusal(5001), status=503)
    with pytest.raises(WaitTimeoutError, match="never seen"):
        client.wait(ID, timeout=10)
    assert fake.now == 10


def test_wait_gives_up_on_a_service_that_stays_down(
    client: KlingClient, service: responses.RequestsMock, fake: FakeTime
) -> None:
    service.get(QUERY, json=refusal(5001), status=503)
    with pytest.raises(ServiceError):
        client.wait(ID, timeout=600)
    assert fake.now <= 60


# Saving


def test_save_writes_the_pictures_without_the_key(
    client: KlingClient, service: responses.RequestsMock, tmp_path: Path
) -> None:
    first, second = png(), b"\xff\xd8\xff\xe0 a jpeg"
    service.get("https://cdn.example/0.png", body=first)
    service.get("https://c/1.png", body=requests.ConnectionError("reset"))
    service.get("https://c/1.png", body=second)
    task = Task(ID, "succeed", ("https://cdn.example/0.png", "https://c/1.png"))
    files = client.save(task, tmp_path / "new" / "out")

    assert [file.name for file in files] == [f"{ID}-0.png", f"{ID}-1.jpg"]
    assert [file.read_bytes() for file in files] == [first, second]
    assert sorted(tmp_path.rglob("*.*")) == sorted(files)
    assert not [call for call in service.calls if "Authorization" in call.request.headers]


def test_save_keeps_nothing_that_is_no_picture(
    client: KlingClient, service: responses.RequestsMock, tmp_path: Path
) -> None:
    service.get("https://c/0.png", body="<html>", content_type="text/html")
    with pytest.raises(UnexpectedAnswerError, match="no PNG"):
        client.save(Task(ID, "succeed", ("https://c/0.png",)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_save_leaves_nothing_half_written(client: KlingClient, service: responses.RequestsMock, tmp_path: Path) -> None:
    (tmp_path / f"{ID}-0.png").mkdir()  # something is in the way
    service.get("https://c/0.png", body=png())
    with pytest.raises(OSError, match=ID):
        client.save(Task(ID, "succeed", ("https://c/0.png",)), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [f"{ID}-0.png"]


def test_save_names_what_has_expired(client: KlingClient, service: responses.RequestsMock, tmp_path: Path) -> None:
    service.get("https://c/0.png", status=403)
    with pytest.raises(InvalidRequestError, match="30 days"):
        client.save(Task(ID, "succeed", ("https://c/0.png",)), tmp_path)


def test_save_without_pictures_is_an_error(client: KlingClient, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pictures: its status is processing"):
        client.save(Task(ID, "processing"), tmp_path)


# Callbacks

VECTOR = {
    "secret": "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=",
    "id": "9876543210",
    "timestamp": "1781080794",
    "body": '{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}',
    "signature": "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=",
}
"""The vendor's (api-facts, section 5)."""
BODY = json.dumps(task_data("failed", task_status_msg="Image pixel is invalid", task_result={})).encode()


def signed(body: bytes, secret: str = VECTOR["secret"], at: datetime | None = None) -> dict[str, str]:
    at = at or datetime.now(tz=UTC)
    return {
        "Webhook-Id": "msg-1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("msg-1", at, body.decode()),
    }


@pytest.mark.parametrize("secret", [None, VECTOR["secret"], VECTOR["secret"].removeprefix("whsec_")])
def test_a_callback_gives_the_task(secret: str | None) -> None:
    task = parse_callback(BODY, signed(BODY) if secret else {}, secret)
    assert (task.task_id, task.status, task.message) == (ID, "failed", "Image pixel is invalid")


def test_the_vendors_signature_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test vector is right and old: only its age is refused, and at its own time only its body is no task."""
    headers = {
        "webhook-id": VECTOR["id"],
        "webhook-timestamp": VECTOR["timestamp"],
        "webhook-signature": VECTOR["signature"],
    }
    moment = datetime.fromtimestamp(int(VECTOR["timestamp"]), UTC)

    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moment

    with pytest.raises(CallbackSignatureError):
        parse_callback(VECTOR["body"], headers | {"webhook-timestamp": "1"}, VECTOR["secret"])
    monkeypatch.setattr("standardwebhooks.webhooks.datetime", Then)
    with pytest.raises(UnexpectedAnswerError, match="task_id"):
        parse_callback(VECTOR["body"], headers, VECTOR["secret"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(BODY, "whsec_" + base64.b64encode(b"another").decode()),
        signed(BODY, at=datetime(2026, 1, 1, tzinfo=UTC)),
        signed(BODY) | {"Webhook-Signature": "v1,x"},
        signed(BODY) | {"Webhook-Timestamp": "soon"},
        signed(BODY) | {"Webhook-Id": "msg-2"},
    ],
    ids=["none", "other-secret", "old", "malformed", "no-time", "other-id"],
)
def test_what_is_not_signed_with_the_secret_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(CallbackSignatureError) as error:
        parse_callback(BODY, headers, VECTOR["secret"])
    assert VECTOR["secret"][6:] not in str(error.value)


@pytest.mark.parametrize("secret", ["whsec_!", "", "whsec_"])
def test_a_wrong_secret_is_our_mistake(secret: str) -> None:
    with pytest.raises(InputError, match="secret"):
        parse_callback(BODY, signed(BODY), secret)


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"1", b"{}", "null"])
def test_a_callback_that_is_no_task_is_named(body: bytes | str) -> None:
    with pytest.raises(UnexpectedAnswerError):
        parse_callback(body, {})


# Against the simulator, over a socket


def test_from_files_to_pictures(server: Running, tmp_path: Path) -> None:
    with KlingClient("client-test", server.url) as client:
        task = client.create([png(), png()], prompt="two friends", n=2, aspect_ratio="1:1", external_task_id="e")
        assert task.status == "submitted"
        done = client.wait(task)
        assert (done.task_id, done.external_task_id) == (task.task_id, "e")
        files = client.save(done, tmp_path)
        assert len(files) == 2
        with pytest.raises(InvalidRequestError, match="External_task_id e already exists"):
            client.create([URL, URL], external_task_id="e")
        with pytest.raises(InvalidRequestError, match="task_not_exist"):
            client.get("100000000000000000")
    with KlingClient("client-test", server.url + "/v1") as lost, pytest.raises(UnexpectedAnswerError, match="base URL"):
        lost.get(task.task_id)


def test_a_task_that_fails_over_the_socket(server: Running) -> None:
    with KlingClient("client-test-2", server.url) as client:
        response = requests.post(
            server.url + PATH,
            json={"subject_image_list": [{"subject_image": URL}, {"subject_image": "QUJD"}]},
            headers={"Authorization": "Bearer client-test-2"},
            timeout=20,
        )
        with pytest.raises(TaskFailedError, match="Image pixel is invalid"):
            client.wait(response.json()["data"]["task_id"])
