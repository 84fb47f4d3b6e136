"""The doors for requests and httpx: what they catch, what they let through, and what broken connections look like."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
import responses
from PIL import Image
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import Retry, Timeout

import klingkit
from klingkit.mock_server.serving.intercept import AlreadyPatchedError
from tests.conftest import PATH, body

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_httpserver import HTTPServer

    from klingkit.kling import Kling

REAL = "https://api.cometapi.com" + PATH
BROKEN = requests.exceptions.ChunkedEncodingError
FAULTS = {
    "reset": (requests.ConnectionError, httpx.ReadError),
    "reset-within": (BROKEN, httpx.ReadError),
    "cut": (BROKEN, httpx.RemoteProtocolError),
    "delay:400ms": (requests.ReadTimeout, httpx.ReadTimeout),
    "drip:100s": (requests.ConnectionError, httpx.ReadTimeout),
}
KEY = {"Authorization": "Bearer klingkit-test"}


def post(kling: Kling, **options: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {kling.key}"}
    return requests.post(kling.url + PATH, json=body(), headers=headers, **{"timeout": 5, **options})


def post_httpx(kling: Kling, **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {kling.key}"}
    return httpx.post(kling.url + PATH, json=body(), headers=headers, **options)


def post_async(kling: Kling, **options: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient() as client:
            headers = {"Authorization": f"Bearer {kling.key}"}
            return await client.post(kling.url + PATH, json=body(), headers=headers, **options)

    return asyncio.run(send())


SENDERS: dict[str, Callable[..., Any]] = {"requests": post, "httpx": post_httpx, "httpx-async": post_async}


@pytest.fixture(params=SENDERS)
def send(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return SENDERS[request.param]


def test_each_library_reaches_the_simulator(kling_mock: Kling, send: Callable[..., Any]) -> None:
    answer = send(kling_mock)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["data"]["task_id"] == kling_mock.tasks[0].task_id


@pytest.mark.parametrize("where", ["kling_mock", "kling_server"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_looks_the_same_in_process_and_on_a_socket(
    fault: str, where: str, send: Callable[..., Any], request: pytest.FixtureRequest
) -> None:
    kling: Kling = request.getfixturevalue(where)
    kling.scenario(fault)
    expected = FAULTS[fault][send is not post]

    with pytest.raises(expected) as raised:
        send(kling, timeout=0.1)

    assert type(raised.value) is expected
    assert len(kling.tasks) == 1
    assert send(kling).status_code == 200


@pytest.mark.parametrize("timeout", [None, 200, (1, 200), Timeout(read=200)])
@pytest.mark.parametrize("fault", ["delay:100s", "drip:100s", "delay:lognormal:100ms"])
def test_a_late_answer_is_not_waited_for(kling_mock: Kling, fault: str, timeout: Any) -> None:
    kling_mock.scenario(fault)

    assert post(kling_mock, timeout=timeout).json()["code"] == 0


@pytest.mark.parametrize("timeout", [(200, 0.1), Timeout(read=0.1), Timeout(0.1)])
def test_the_read_timeout_is_what_counts(kling_mock: Kling, timeout: Any) -> None:
    kling_mock.scenario("delay:lognormal:100s")

    with pytest.raises(requests.ReadTimeout):
        post(kling_mock, timeout=timeout)


def test_a_late_answer_is_not_waited_for_by_httpx(kling_mock: Kling) -> None:
    kling_mock.scenario("delay:100s", times=2)

    assert post_httpx(kling_mock, timeout=200).status_code == 200
    assert post_async(kling_mock, timeout=None).status_code == 200


def test_a_broken_body_that_is_streamed_breaks_while_it_is_read(kling_mock: Kling) -> None:
    kling_mock.scenario("cut")

    answer = post(kling_mock, stream=True)

    assert answer.status_code == 200
    with pytest.raises(BROKEN):
        _ = answer.content


@pytest.mark.parametrize("scenario", ["reset", "gateway-503", "delay:10s"])
def test_a_session_that_tries_again_does(kling_mock: Kling, scenario: str) -> None:
    kling_mock.scenario(scenario, times=2)
    retry = Retry(total=3, allowed_methods=None, status_forcelist=[503])

    with requests.Session() as session:
        session.mount("https://", HTTPAdapter(max_retries=retry))
        answer = session.post(REAL, json=body(), headers=KEY, timeout=1)

    assert answer.json()["code"] == 0
    assert kling_mock.creates == 3


def test_a_session_that_tries_in_vain_fails_as_ever(kling_mock: Kling) -> None:
    kling_mock.scenario("reset", times=2)

    with requests.Session() as session:
        session.mount("https://", HTTPAdapter(max_retries=Retry(total=1, allowed_methods=None)))
        with pytest.raises(requests.ConnectionError, match="Max retries exceeded"):
            session.post(REAL, json=body(), headers=KEY, timeout=1)

    assert kling_mock.creates == 2


TEXT = json.dumps(body()).encode()


@pytest.mark.parametrize(
    "data",
    [TEXT, TEXT.decode(), lambda: io.BytesIO(TEXT), lambda: iter([TEXT[:9], TEXT[9:]])],
    ids=["bytes", "str", "file", "iterator"],
)
def test_a_body_of_any_kind_arrives(kling_mock: Kling, data: Any) -> None:
    content = data() if callable(data) else data

    answer = requests.post(REAL, data=content, headers={**KEY, "Content-Type": "application/json"}, timeout=5)

    assert answer.json()["code"] == 0
    assert kling_mock.creates == 1


def test_a_stream_of_httpx_arrives(kling_mock: Kling) -> None:
    headers = {**KEY, "Content-Type": "application/json"}

    assert httpx.post(REAL, content=iter([TEXT[:9], TEXT[9:]]), headers=headers).json()["code"] == 0


def test_the_pictures_are_served_too(kling_mock: Kling) -> None:
    task_id = post(kling_mock).json()["data"]["task_id"]
    kling_mock.clock.advance("2m")
    (image,) = requests.get(f"{REAL}/{task_id}", headers=KEY, timeout=5).json()["data"]["task_result"]["images"]

    pictures = [requests.get(image["url"], timeout=5).content, httpx.get(image["url"]).content]

    assert pictures[0] == pictures[1]
    picture = Image.open(io.BytesIO(pictures[0]))
    assert picture.width / picture.height == pytest.approx(16 / 9, rel=0.02)


def test_a_loop_that_polls_ends_in_three_rounds(kling_mock: Kling) -> None:
    task_id = post(kling_mock).json()["data"]["task_id"]

    answers = [requests.get(f"{REAL}/{task_id}", headers=KEY, timeout=5).json()["data"] for _ in range(3)]

    assert [answer["task_status"] for answer in answers] == ["submitted", "processing", "succeed"]


def test_other_hosts_get_what_is_for_them(kling_mock: Kling, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/other").respond_with_data("theirs")
    url = httpserver.url_for("/other")

    async def ask() -> str:
        async with httpx.AsyncClient() as client:
            return (await client.get(url)).text

    assert [requests.get(url, timeout=5).text, httpx.get(url).text, asyncio.run(ask())] == ["theirs"] * 3
    assert kling_mock.journal == []


@pytest.mark.parametrize("send_to", [requests.get, httpx.get], ids=["requests", "httpx"])
def test_a_request_to_a_wrong_host_is_told_of(
    kling_mock: Kling, httpserver: HTTPServer, send_to: Callable[..., Any]
) -> None:
    httpserver.expect_request(PATH).respond_with_data("not the simulator")
    url = httpserver.url_for(PATH)

    message = f"a request to {re.escape(url)} was let through: kling_mock answers only as https://api.cometapi.com"
    with pytest.warns(UserWarning, match=message):
        send_to(url + "?key=secret")


def test_what_stands_in_place_of_the_transport_stays(kling_mock: Kling) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(418))

    with httpx.Client(transport=transport) as client:
        assert client.get(REAL).status_code == 418
    assert kling_mock.journal == []


OTHER = "https://other.example/"


@responses.activate
def test_mocks_that_begin_before_the_simulator_keep_working() -> None:
    responses.get(OTHER, body="mine")

    with klingkit.mock() as kling:
        assert post(kling).status_code == 200
        assert requests.get(OTHER, timeout=5).text == "mine"
        responses.get(OTHER + "2", body="mine too")
        assert requests.get(OTHER + "2", timeout=5).text == "mine too"
    assert requests.get(OTHER, timeout=5).text == "mine"


def test_mocks_that_begin_after_the_simulator_keep_working(kling_mock: Kling) -> None:
    with responses.RequestsMock() as mock:
        mock.get(OTHER, body="mine")
        assert requests.get(OTHER, timeout=5).text == "mine"
        assert post(kling_mock).status_code == 200
        assert len(mock.calls) == 1
    assert post(kling_mock).status_code == 200


def test_mocks_that_end_after_the_simulator_keep_working() -> None:
    mock = responses.RequestsMock()
    with klingkit.mock() as kling:
        mock.start()
        mock.get(OTHER, body="mine")
        assert post(kling).status_code == 200
    assert requests.get(OTHER, timeout=5).text == "mine"
    mock.stop()


def test_another_tool_in_the_same_place_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.Session, "get_adapter", lambda *_: None)

    message = f"requests is already patched by {__name__}, and kling_mock cannot stand beside it"
    with pytest.raises(AlreadyPatchedError, match=message), klingkit.mock():
        pass


def test_one_simulator_at_a_time_can_answer(kling_mock: Kling) -> None:
    with pytest.raises(AlreadyPatchedError, match="a simulator answers in this process already"), klingkit.mock():
        pass
    assert post(kling_mock).status_code == 200


def test_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMETAPI_KEY", "mine")
    monkeypatch.delenv("COMETAPI_BASE_URL", raising=False)
    places = [
        (requests.Session, "get_adapter"),
        (requests.Session, "send"),
        (HTTPAdapter, "send"),
        (httpx.HTTPTransport, "handle_request"),
        (httpx.AsyncHTTPTransport, "handle_async_request"),
        (asyncio, "sleep"),
        (__import__("time"), "sleep"),
    ]
    before = [getattr(owner, name) for owner, name in places], dict(os.environ), threading.enumerate()

    def use() -> None:
        with klingkit.mock() as kling:
            kling.skip_sleep()
            assert os.environ["COMETAPI_KEY"] == kling.key
            assert os.environ["COMETAPI_BASE_URL"] == kling.url
            post(kling)
            post_async(kling)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        use()
    assert before == ([getattr(owner, name) for owner, name in places], dict(os.environ), threading.enumerate())


def test_threads_of_the_code_under_test_are_answered(kling_mock: Kling) -> None:
    threads = [threading.Thread(target=post, args=(kling_mock,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert kling_mock.creates == 8
    assert len({task.task_id for task in kling_mock.tasks}) == 8
    assert kling_mock.spent == 8 * Decimal("0.0133")


def test_an_adapter_that_is_kept_for_longer_says_that_the_simulator_has_ended() -> None:
    with klingkit.mock() as kling:
        session = requests.Session()
        adapter = session.get_adapter(kling.url)
        prepared = session.prepare_request(requests.Request("GET", kling.url))

    with pytest.raises(requests.ConnectionError, match="has ended"):
        adapter.send(prepared)


def test_a_header_may_be_bytes(kling_mock: Kling) -> None:
    headers: Any = {"Authorization": f"Bearer {kling_mock.key}".encode()}
    assert requests.post(REAL, json=body(), headers=headers, timeout=5).json()["code"] == 0


class Patient(HTTPAdapter):
    """As applications have one: a default timeout and a header."""

    sent = 0

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        self.sent += 1
        request.headers["Authorization"] = KEY["Authorization"]
        return super().send(request, *args, **{**options, "timeout": options.get("timeout") or 0.3})


class Canned(BaseAdapter):
    """Answers by itself."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = 299, request, str(request.url)
        return answer

    def close(self) -> None:
        pass


def test_an_adapter_of_the_application_keeps_what_it_does(kling_mock: Kling) -> None:
    adapter = Patient(max_retries=Retry(connect=0))
    with requests.Session() as session:
        session.mount("https://api.cometapi.com/", adapter)
        assert session.post(REAL, json=body()).json()["code"] == 0
        kling_mock.scenario("delay:400ms")
        with pytest.raises(requests.ReadTimeout):
            session.post(REAL, json=body())
        session.mount("https://api.cometapi.com/", Canned())
        assert session.post(REAL, json=body()).status_code == 299

    assert adapter.sent == 2
    assert kling_mock.creates == 2


def test_an_adapter_of_the_application_works_beside_mocks_of_its_own(kling_mock: Kling) -> None:
    with responses.RequestsMock() as mine, requests.Session() as session:
        mine.get("https://example.com/", body="mine")
        session.mount("https://", Patient())
        assert session.get("https://example.com/").text == "mine"
        assert session.post(REAL, json=body()).json()["code"] == 0
    assert kling_mock.creates == 1
