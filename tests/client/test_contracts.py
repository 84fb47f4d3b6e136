"""The client in each of the three contracts: the same Python, other words on the wire, and what one of them alone has."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests
import responses

from klingkit.client import (
    ApiError,
    AuthenticationError,
    BalanceDeduction,
    InputError,
    InvalidRequestError,
    KlingClient,
    KlingError,
    Task,
    TaskExistsError,
    UnexpectedAnswerError,
    UnknownFateError,
    UnknownTaskError,
)
from tests.client.test_client import ID, FakeTime, refusal, success, task_data
from tests.conftest import URL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMETAPI = "https://api.cometapi.com/kling/v1/images/generations"
KLING = "https://api-singapore.klingai.com/v1/images/multi-image2image"
PATHS = {"cometapi": COMETAPI, "cometapi-2026": COMETAPI, "kling": KLING}
ACCESS_KEY = "AKaccess"
SECRET_KEY = "SKvery-secret-key"  # shorter than PyJWT likes
NOT_FOUND = refusal(1201, "Task not found by id/external id: order-1")
TAKEN = refusal(1201, "External_task_id order-1 already exists")


@pytest.fixture
def fake() -> FakeTime:
    return FakeTime()


@pytest.fixture
def service() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMETAPI_KEY", "COMETAPI_BASE_URL", "KLING_ACCESS_KEY", "KLING_SECRET_KEY", "KLING_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("KLING_BASE_URL", raising=False)


@pytest.fixture
def kling(fake: FakeTime) -> Iterator[KlingClient]:
    with signing(fake) as client:
        yield client


def signing(fake: FakeTime, **options: Any) -> KlingClient:
    """A client that signs; its Unix time begins at 10^9."""
    return KlingClient(
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        sleep=fake.sleep,
        monotonic=fake.monotonic,
        now=lambda: 10**9 + fake.now,
        rng=random.Random(0),
        **options,
    )


def keyed(contract: str) -> KlingClient:
    return KlingClient("sk-a-key", contract=contract)


def body_of(service: responses.RequestsMock) -> Any:
    return json.loads(service.calls[0].request.body or "")


def tokens(service: responses.RequestsMock) -> list[str]:
    return [call.request.headers["Authorization"].removeprefix("Bearer ") for call in service.calls]


def with_external_id(name: str = "order-1", status: str = "submitted") -> dict[str, Any]:
    return success(status, task_info={"external_task_id": name})


# The same Python


@pytest.mark.parametrize(
    ("contract", "scene"), [("cometapi", "scence_image"), ("cometapi-2026", "scene_image"), ("kling", "scene_image")]
)
def test_each_contract_has_its_address_and_spelling(service: responses.RequestsMock, contract: str, scene: str) -> None:
    service.post(PATHS[contract], json=success())
    service.get(f"{PATHS[contract]}/{ID}", json=success())
    with keyed(contract) as client:
        task = client.create([URL, URL], prompt="two friends", scene_image=URL, n=2, model_name="kling-v2")
        assert client.get(task.task_id).status == "submitted"
        assert client.contract == contract

    assert body_of(service) == {
        "subject_image_list": [{"subject_image": URL}, {"subject_image": URL}],
        "prompt": "two friends",
        scene: URL,
        "n": 2,
        "model_name": "kling-v2",
    }


@pytest.mark.parametrize("contract", ["cometapi-2026", "kling"])
def test_the_newer_contracts_have_more(service: responses.RequestsMock, contract: str) -> None:
    service.post(PATHS[contract], json=success())
    keyed(contract).create([URL], negative_prompt="no dogs", watermark=False, model_name="kling-v2-1")

    sent = body_of(service)
    assert (sent["negative_prompt"], sent["watermark_info"]) == ("no dogs", {"enabled": False})
    assert len(sent["subject_image_list"]) == 1


@pytest.mark.parametrize(
    ("contract", "ask", "says"),
    [
        ("cometapi", lambda client: client.create([URL, URL], watermark=True), "cometapi has no watermark; comet"),
        ("cometapi", lambda client: client.create([URL, URL], negative_prompt="x"), "cometapi has no negative_prompt"),
        (
            "cometapi",
            lambda client: client.create([URL, URL], model_name="kling-v2-1"),
            "cometapi has no model kling-v",
        ),
        ("cometapi", lambda client: client.create([URL]), "1 subjects: the contract cometapi takes 2 to 4"),
        ("kling", lambda client: client.create([]), "0 subjects: the contract kling takes 1 to 4"),
        ("cometapi-2026", lambda client: client.create([URL] * 5), "5 subjects"),
        ("cometapi", lambda client: client.list(), "cometapi has no list of tasks; kling has it"),
        (
            "cometapi-2026",
            lambda client: client.get(external_task_id="a"),
            "no query by external_task_id; kling has it",
        ),
        ("kling", lambda client: client.list(page=0), "page is a number from 1 to 1000, not 0"),
        ("kling", lambda client: client.list(page_size=501), "page_size is a number from 1 to 500"),
        ("kling", lambda client: client.get(), "pass a task_id, or an external_task_id"),
        ("kling", lambda client: client.get("1", external_task_id="a"), "and not both"),
    ],
)
def test_what_a_contract_does_not_have_is_refused_before_anything_is_sent(
    contract: str, ask: Callable[[KlingClient], object], says: str
) -> None:
    """Without a mock: a request would fail otherwise."""
    with pytest.raises(InputError, match=says):
        ask(keyed(contract))


def test_a_model_that_no_contract_has_is_for_the_service_to_judge(service: responses.RequestsMock) -> None:
    service.post(COMETAPI, json=refusal(1201, "model_name value 'kling-v9' is invalid"), status=400)
    with pytest.raises(InvalidRequestError, match="kling-v9"):
        keyed("cometapi").create([URL, URL], model_name="kling-v9")


# Who asks


def test_a_pair_of_keys_signs_a_token(kling: KlingClient, service: responses.RequestsMock) -> None:
    service.get(f"{KLING}/{ID}", json=success())
    kling.get(ID)

    [token] = tokens(service)
    claims = jwt.decode(
        token, SECRET_KEY.encode().ljust(32, b"\0"), algorithms=["HS256"], options={"verify_exp": False}
    )
    assert claims == {"iss": ACCESS_KEY, "exp": 10**9 + 1800, "nbf": 10**9 - 5}
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}


@pytest.mark.parametrize(("moved", "renewed"), [(0, False), (1499, False), (1501, True), (4000, True), (-60, True)])
def test_a_token_is_replaced_before_it_expires_and_when_the_clock_goes_back(
    kling: KlingClient, service: responses.RequestsMock, fake: FakeTime, *, moved: float, renewed: bool
) -> None:
    service.get(f"{KLING}/{ID}", json=success())
    kling.get(ID)
    fake.now += moved
    kling.get(ID)

    first, second = tokens(service)
    assert (first != second) is renewed


def test_an_expired_token_is_replaced_once(kling: KlingClient, service: responses.RequestsMock, fake: FakeTime) -> None:
    service.post(KLING, json=refusal(1004, "The Token has expired on ..."), status=401)
    service.post(KLING, json=success())
    fake.now += 60
    assert kling.create([URL]).task_id == ID

    first, second = tokens(service)
    assert first != second
    assert fake.pauses == []


@pytest.mark.parametrize(("code", "asked"), [(1000, 1), (1002, 1), (1003, 1), (1004, 2)])
def test_no_refusal_of_a_key_is_repeated_without_end(
    kling: KlingClient, service: responses.RequestsMock, code: int, asked: int
) -> None:
    service.get(f"{KLING}/{ID}", json=refusal(code), status=401)
    with pytest.raises(AuthenticationError) as error:
        kling.get(ID)
    assert error.value.code == code
    assert len(service.calls) == asked


def test_a_key_alone_is_sent_as_it_is(service: responses.RequestsMock) -> None:
    service.get(f"{KLING}/{ID}", json=refusal(1004), status=401)
    with pytest.raises(AuthenticationError):
        keyed("kling").get(ID)
    assert tokens(service) == ["sk-a-key"]


@pytest.mark.parametrize(
    ("environment", "starts"),
    [
        ({"KLING_ACCESS_KEY": ACCESS_KEY, "KLING_SECRET_KEY": SECRET_KEY, "KLING_API_KEY": "k"}, "eyJ"),
        ({"KLING_API_KEY": "kling-key", "COMETAPI_KEY": "another", "KLING_ACCESS_KEY": ""}, "kling-key"),
    ],
)
def test_the_environment_has_keys_of_its_own_for_kling(
    service: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], starts: str
) -> None:
    """A key of CometAPI's goes to CometAPI alone."""
    for name, value in (environment | {"COMETAPI_BASE_URL": "http://comet"}).items():
        monkeypatch.setenv(name, value)
    service.get(f"{KLING}/{ID}", json=success())
    KlingClient(contract="kling").get(ID)
    assert tokens(service)[0].startswith(starts)
    monkeypatch.setenv("KLING_BASE_URL", "http://here/")
    assert KlingClient(contract="kling").base_url == "http://here"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"contract": "kling"}, "no access_key: pass access_key=... and secret_key=..., or key=..., or set KLING_ACC"),
        ({"access_key": ACCESS_KEY}, "no secret_key: pass secret_key=... or set KLING_SECRET_KEY"),
        ({"secret_key": SECRET_KEY}, "no access_key"),
        ({"access_key": "", "secret_key": SECRET_KEY}, "no access_key"),
        ({"access_key": ACCESS_KEY, "secret_key": ""}, "no secret_key"),
        ({"access_key": ACCESS_KEY, "secret_key": SECRET_KEY + "\n"}, "secret_key has characters"),
        ({"access_key": "a b", "secret_key": SECRET_KEY}, "access_key has characters"),
        ({"key": "k", "access_key": ACCESS_KEY, "secret_key": SECRET_KEY}, "not both"),
        ({"contract": "cometapi", "access_key": ACCESS_KEY, "secret_key": SECRET_KEY}, "cometapi takes a key"),
        ({"contract": "kling", "key": ""}, "no key: pass key=... or set KLING_API_KEY"),
        (
            {"contract": "klingon", "key": "k"},
            "no contract 'klingon'; the contracts are cometapi, cometapi-2026, kling",
        ),
        ({"contract": "x" * 1000 + "\n", "key": "k"}, "there is no contract"),
    ],
)
def test_what_names_nobody_is_refused_at_once(options: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        KlingClient(**options)  # type: ignore[arg-type]
    assert SECRET_KEY not in str(error.value)
    assert len(str(error.value)) < 200
    assert str(error.value).isprintable()


# Tasks by another id, and lists


@pytest.mark.parametrize(
    ("name", "segment"), [("order-1", "order-1"), ("a b?c#d", "a%20b%3Fc%23d"), ("дом", "%D0%B4%D0%BE%D0%BC")]
)
def test_a_task_is_found_by_its_external_id(
    kling: KlingClient, service: responses.RequestsMock, name: str, segment: str
) -> None:
    service.get(f"{KLING}/{segment}", json=with_external_id(name))
    task = kling.get(external_task_id=name)
    assert (task.task_id, task.external_task_id) == (ID, name)
    assert service.calls[0].request.path_url.endswith(f"/{segment}")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "\ud800", 7])
def test_an_external_id_that_no_path_can_hold_is_not_asked_for(kling: KlingClient, name: Any) -> None:
    with pytest.raises(InputError, match="cannot be asked for"):
        kling.get(external_task_id=name)


def test_a_task_whose_own_id_that_is_is_another(kling: KlingClient, service: responses.RequestsMock) -> None:
    service.get(f"{KLING}/{ID}", json=success())
    with pytest.raises(UnexpectedAnswerError, match="has not the external_task_id"):
        kling.get(external_task_id=ID)


def test_tasks_are_listed_by_pages(kling: KlingClient, service: responses.RequestsMock) -> None:
    first = task_data("succeed", task_result={"images": [{"url": URL}]})
    page = {"code": 0, "message": "SUCCEED", "request_id": "r", "data": [first, task_data() | {"task_id": "8"}]}
    service.get(KLING, json=refusal(1302), status=429)
    service.get(KLING, json=page)
    tasks = kling.list(page=2, page_size=500)

    assert [(task.task_id, task.status) for task in tasks] == [(ID, "succeed"), ("8", "submitted")]
    assert service.calls[1].request.path_url.endswith("?pageNum=2&pageSize=500")


@pytest.mark.parametrize("data", [None, {}, task_data(), [7], [task_data(), {"task_id": "1"}], "[]"])
def test_what_is_no_list_of_tasks_is_none(kling: KlingClient, service: responses.RequestsMock, data: Any) -> None:
    service.get(KLING, json={"code": 0, "data": data})
    with pytest.raises(UnexpectedAnswerError, match=r"no list of tasks|no task"):
        kling.list()


# A create whose answer was lost


def test_a_create_whose_answer_was_lost_is_found(kling: KlingClient, service: responses.RequestsMock) -> None:
    service.post(KLING, body=requests.ConnectionError("reset"))
    service.post(KLING, json=TAKEN, status=400)
    service.get(f"{KLING}/order-1", json=with_external_id(status="processing"))
    task = kling.create([URL], external_task_id="order-1")
    assert (task.task_id, task.status) == (ID, "processing")


def test_it_is_looked_for_when_the_time_for_repetitions_is_over(
    fake: FakeTime, service: responses.RequestsMock
) -> None:
    service.post(KLING, body=requests.ReadTimeout("slow"))
    service.get(f"{KLING}/order-1", json=with_external_id())
    assert signing(fake, retry_for=0).create([URL], external_task_id="order-1").task_id == ID


@pytest.mark.parametrize(
    "answer", [{"json": NOT_FOUND, "status": 400}, {"json": success()}, {"body": requests.ConnectionError("reset")}]
)
def test_a_create_that_is_not_found_stays_what_it_was(
    fake: FakeTime, service: responses.RequestsMock, answer: dict[str, Any]
) -> None:
    service.post(KLING, body=requests.ConnectionError("reset"))
    service.get(f"{KLING}/order-1", **answer)
    with pytest.raises(UnknownFateError, match="may exist and cost money"):
        signing(fake, retry_for=0).create([URL], external_task_id="order-1")


def test_a_task_that_exists_and_cannot_be_found_says_so(kling: KlingClient, service: responses.RequestsMock) -> None:
    service.post(KLING, body=requests.ConnectionError("reset"))
    service.post(KLING, json=TAKEN, status=400)
    service.get(f"{KLING}/order-1", json=NOT_FOUND, status=400)
    with pytest.raises(TaskExistsError, match="nothing was paid twice"):
        kling.create([URL], external_task_id="order-1")


def test_an_id_that_was_taken_before_is_not_looked_for(kling: KlingClient, service: responses.RequestsMock) -> None:
    service.post(KLING, json=TAKEN, status=400)
    with pytest.raises(InvalidRequestError, match="already exists"):
        kling.create([URL], external_task_id="order-1")


def test_without_an_id_of_ours_nothing_is_looked_for(kling: KlingClient, service: responses.RequestsMock) -> None:
    service.post(KLING, body=requests.ConnectionError("reset"))
    with pytest.raises(UnknownFateError, match="without an external_task_id"):
        kling.create([URL])
    assert len(service.calls) == 1


# What is made of an answer


def test_what_kling_alone_says_can_be_read(kling: KlingClient, service: responses.RequestsMock) -> None:
    images = [{"index": 0, "url": URL, "watermark_url": f"{URL}?marked"}, {"index": 1, "url": f"{URL}?1"}]
    done = success(
        "succeed",
        task_status_msg="",
        task_result={"images": images, "videos": [], "audios": []},
        watermark_info={"enabled": True},
        final_unit_deduction="16",
        final_balance_deduction={"quota": "1.5", "list_price": "2"},
    )
    service.get(f"{KLING}/{ID}", json=done)
    task = kling.wait(ID)

    assert task.image_urls == (URL, f"{URL}?1")
    assert task.watermark_urls == (f"{URL}?marked", "")
    assert task.final_unit_deduction == "16"
    assert task.final_balance_deduction == BalanceDeduction(quota="1.5", list_price="2")


def test_what_is_absent_is_empty(kling: KlingClient, service: responses.RequestsMock) -> None:
    """As in a sample of a sibling: no index, no task_status_msg."""
    service.get(f"{KLING}/{ID}", json=success("succeed", task_result={"images": [{"url": URL}]}))
    task = kling.wait(ID)
    assert (task.image_urls, task.watermark_urls, task.message) == ((URL,), (), "")
    assert (task.final_unit_deduction, task.final_balance_deduction) == ("", None)


@pytest.mark.parametrize("odd", [7, None, [], {}, "x" * 10_000, {"quota": []}, True, "\x1b[2J"])
def test_no_odd_extra_makes_a_paid_task_unreadable(
    kling: KlingClient, service: responses.RequestsMock, odd: Any
) -> None:
    images = [{"url": URL, "watermark_url": odd}]
    extras = {"final_unit_deduction": odd, "final_balance_deduction": odd, "watermark_info": odd}
    service.get(f"{KLING}/{ID}", json=success("succeed", task_result={"images": images}, **extras))
    task = kling.wait(ID)
    assert task.image_urls == (URL,)
    assert len(task.final_unit_deduction) <= 100
    assert "\x1b" not in repr(task)


@pytest.mark.parametrize(
    ("contract", "answer", "status"),
    [
        ("cometapi", {"code": "task_not_exist", "message": "task_not_exist", "data": None}, 400),
        ("cometapi", NOT_FOUND, 400),
        ("kling", NOT_FOUND, 400),
    ],
)
def test_an_unknown_task_is_one_exception(
    service: responses.RequestsMock, contract: str, answer: dict[str, Any], status: int
) -> None:
    service.get(f"{PATHS[contract]}/{ID}", json=answer, status=status)
    with pytest.raises(UnknownTaskError) as error:
        keyed(contract).get(ID)
    assert not error.value.retryable


def test_a_wrong_value_is_no_unknown_task(kling: KlingClient, service: responses.RequestsMock) -> None:
    service.get(f"{KLING}/{ID}", json=refusal(1201, "something else"), status=400)
    with pytest.raises(ApiError) as error:
        kling.get(ID)
    assert not isinstance(error.value, UnknownTaskError)


def test_a_wrong_path_says_what_to_do(kling: KlingClient, service: responses.RequestsMock, fake: FakeTime) -> None:
    """As the vendor's own API answers on a path that it does not have."""
    path = f"/v2/images/\x1b[2J{SECRET_KEY}"
    said = {"timestamp": "2026-01-01", "status": 404, "error": "Not Found", "message": "No message", "path": path}
    service.get(f"{KLING}/{ID}", json=said, status=404)
    with pytest.raises(
        UnexpectedAnswerError, match=r"no path '/v2/images/.*check the base URL and the contract"
    ) as error:
        kling.wait(ID)
    assert SECRET_KEY not in str(error.value)
    assert str(error.value).isprintable()
    assert fake.pauses == []


# Secrets


def test_neither_secret_nor_token_is_shown(
    kling: KlingClient, service: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)

    def echo(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        said = f"{token} {token.rpartition('.')[2]} {SECRET_KEY}"
        return 401, {"x-cometapi-request-id": token}, json.dumps(refusal(1002, said) | {"request_id": token})

    service.add_callback("GET", f"{KLING}/{ID}", echo)
    with pytest.raises(AuthenticationError) as error:
        kling.get(ID)
    signature = tokens(service)[0].rpartition(".")[2]
    everything = [repr(kling), str(error.value), repr(error.value.__dict__), caplog.text, repr(vars(kling))]
    for text in everything:
        assert SECRET_KEY not in text
        assert signature not in text


def test_a_token_that_was_replaced_is_hidden_still(
    kling: KlingClient, service: responses.RequestsMock, fake: FakeTime
) -> None:
    service.get(f"{KLING}/{ID}", json=success())
    kling.get(ID)
    old = tokens(service)[0]
    fake.now += 1600
    service.replace("GET", f"{KLING}/{ID}", json=success("failed", task_status_msg=f"no {old}"))
    with pytest.raises(KlingError) as error:
        kling.wait(ID)
    assert old.rpartition(".")[2] not in str(error.value)
    assert Task(ID, "failed").failed
