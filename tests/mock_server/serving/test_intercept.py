"""The doors for requests, httpx and aiohttp: what they catch, what they let through, and what broken connections look like."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest
import requests
import responses
import uvloop
from aioresponses import aioresponses
from PIL import Image
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import Retry, Timeout

import klingkit
from klingkit.contract import load_contract
from klingkit.mock_server.serving.intercept import AlreadyPatchedError
from klingkit.no_connection import hosts_of, no_connection_to
from tests.conftest import PATH, body

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_httpserver import HTTPServer

    from klingkit.kling import Kling

REAL = "https://api.cometapi.com" + PATH
BROKEN = requests.exceptions.ChunkedEncodingError
FAULTS: dict[str, dict[str, Any]] = {
    "reset": {
        "requests": requests.ConnectionError,
        "httpx": httpx.ReadError,
        "aiohttp": aiohttp.ClientOSError,
    },
    "reset-within": {
        "requests": BROKEN,
        "httpx": httpx.ReadError,
        "aiohttp": aiohttp.ClientPayloadError,
    },
    "cut": {
        "requests": BROKEN,
        "httpx": httpx.RemoteProtocolError,
        "aiohttp": aiohttp.ClientPayloadError,
    },
    "delay:400ms": {
        "requests": requests.ReadTimeout,
        "httpx": httpx.ReadTimeout,
        "aiohttp": aiohttp.SocketTimeoutError,
        "aiohttp-total": TimeoutError,
    },
    "drip:100s": {
        "requests": requests.ConnectionError,
        "httpx": httpx.ReadTimeout,
        "aiohttp": aiohttp.SocketTimeoutError,
        "aiohttp-total": TimeoutError,
    },
}
"""What each library raises; `aiohttp-total`: with a timeout for all of a request, not only for each read."""
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


def post_aiohttp(
    kling: Kling, *, timeout: float | None = None, run: Any = asyncio.run, **options: Any
) -> httpx.Response:
    return post_with(kling, aiohttp.ClientTimeout(total=None, sock_read=timeout), run=run, **options)


def post_aiohttp_total(kling: Kling, *, timeout: float | None = None) -> httpx.Response:
    return post_with(kling, aiohttp.ClientTimeout(total=timeout))


def post_with(
    kling: Kling, timeout: aiohttp.ClientTimeout, *, run: Any = asyncio.run, **options: Any
) -> httpx.Response:
    async def send() -> httpx.Response:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {kling.key}"}) as session:
            content: dict[str, Any] = {} if "data" in options else {"json": body()}
            async with session.post(kling.url + PATH, timeout=timeout, **content, **options) as answer:
                return httpx.Response(answer.status, headers=answer.headers, content=await answer.read())

    answer: httpx.Response = run(send())
    return answer


SENDERS: dict[str, Callable[..., Any]] = {
    "requests": post,
    "httpx": post_httpx,
    "httpx-async": post_async,
    "aiohttp": post_aiohttp,
    "aiohttp-total": post_aiohttp_total,
}


def raised_by(sender: str, fault: str) -> Any:
    raised = FAULTS[fault]
    return raised[sender] if sender in raised else raised[sender.partition("-")[0]]


@pytest.fixture(params=SENDERS)
def sender(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def send(sender: str) -> Callable[..., Any]:
    return SENDERS[sender]


def test_each_library_reaches_the_simulator(kling_mock: Kling, send: Callable[..., Any]) -> None:
    answer = send(kling_mock)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["data"]["task_id"] == kling_mock.tasks[0].task_id


@pytest.mark.parametrize("where", ["kling_mock", "kling_server"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_looks_the_same_in_process_and_on_a_socket(
    fault: str, where: str, sender: str, send: Callable[..., Any], request: pytest.FixtureRequest
) -> None:
    kling: Kling = request.getfixturevalue(where)
    kling.scenario(fault)
    expected = raised_by(sender, fault)

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

    texts = [requests.get(url, timeout=5).text, httpx.get(url).text, asyncio.run(ask()), get_aiohttp(url).text]
    assert texts == ["theirs"] * 4
    assert kling_mock.journal == []


def get_aiohttp(url: str, **options: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with aiohttp.ClientSession() as session, session.get(url, **options) as answer:
            return httpx.Response(answer.status, headers=answer.headers, content=await answer.read())

    return asyncio.run(ask())


@pytest.mark.parametrize("send_to", [requests.get, httpx.get, get_aiohttp], ids=["requests", "httpx", "aiohttp"])
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
        (aiohttp.TCPConnector, "connect"),
        (aiohttp.ClientSession, "_request"),
        (socket.socket, "connect"),
        (socket, "getaddrinfo"),
        (uvloop.Loop, "create_connection"),
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


# aiohttp


def test_neither_httpx_nor_aiohttp_is_needed() -> None:
    code = """
import sys
sys.modules.update(dict.fromkeys(["httpx", "aiohttp", "aioresponses", "pycares"]))
import klingkit, requests
with klingkit.mock() as kling:
    requests.get(kling.url, timeout=5)
    print(len(kling.journal))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1"


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("fault", ["delay:100s", "drip:100s"])
def test_a_late_answer_is_not_waited_for_by_aiohttp(kling_mock: Kling, fault: str, run: Any) -> None:
    kling_mock.scenario(fault, times=4)

    for timeout in (
        aiohttp.ClientTimeout(),
        aiohttp.ClientTimeout(total=0, sock_read=0),  # 0 is none
        aiohttp.ClientTimeout(total=200),
        aiohttp.ClientTimeout(sock_read=200),
    ):
        assert post_with(kling_mock, timeout, run=run).json()["code"] == 0


@pytest.mark.parametrize(("total", "sock_read", "expected"), [(1, 9, TimeoutError), (9, 1, aiohttp.SocketTimeoutError)])
def test_the_timeout_of_aiohttp_that_ends_first_counts(
    kling_mock: Kling, total: float, sock_read: float, expected: type[Exception]
) -> None:
    kling_mock.scenario("delay:10s")

    with pytest.raises(expected) as raised:
        post_with(kling_mock, aiohttp.ClientTimeout(total=total, sock_read=sock_read))

    assert type(raised.value) is expected


def test_a_drip_within_the_time_for_each_read_is_still_overdue(kling_mock: Kling) -> None:
    kling_mock.scenario("drip:100s")

    with pytest.raises(TimeoutError) as raised:
        post_with(kling_mock, aiohttp.ClientTimeout(total=60, sock_read=1))

    assert type(raised.value) is TimeoutError


@pytest.mark.parametrize("where", ["kling_mock", "kling_server"])
@pytest.mark.parametrize("fault", ["cut", "reset-within", "drip:100s"])
def test_a_body_that_aiohttp_streams_breaks_while_it_is_read(
    fault: str, where: str, request: pytest.FixtureRequest
) -> None:
    kling: Kling = request.getfixturevalue(where)
    kling.scenario(fault)

    async def read() -> int:
        timeout = aiohttp.ClientTimeout(sock_read=0.2)
        headers = {"Authorization": f"Bearer {kling.key}"}
        async with (
            aiohttp.ClientSession(base_url=kling.url, timeout=timeout, headers=headers) as session,
            session.post(PATH, json=body()) as answer,
        ):
            answer.raise_for_status()
            with pytest.raises(raised_by("aiohttp", fault)):
                async for _ in answer.content.iter_chunked(10):
                    pass
            return answer.status

    assert asyncio.run(read()) == 200


@pytest.mark.parametrize("where", ["kling_mock", "kling_server"])
def test_a_query_is_repeated_by_aiohttp_itself_as_ever(where: str, request: pytest.FixtureRequest) -> None:
    kling: Kling = request.getfixturevalue(where)
    task_id = post_aiohttp(kling).json()["data"]["task_id"]
    headers = {"Authorization": f"Bearer {kling.key}"}
    url = f"{kling.url}{PATH}/{task_id}"

    kling.scenario("reset", operation="get_task")
    assert get_aiohttp(url, headers=headers).json()["data"]["task_id"] == task_id
    kling.scenario("reset", operation="get_task", times=2)
    with pytest.raises(aiohttp.ClientOSError):
        get_aiohttp(url, headers=headers)


async def pieces() -> Any:
    yield TEXT[:9]
    yield TEXT[9:]


@pytest.mark.parametrize("where", ["kling_mock", "kling_server"])
@pytest.mark.parametrize(
    ("content", "options"),
    [
        (lambda: TEXT, {}),
        (TEXT.decode, {}),
        (lambda: io.BytesIO(TEXT), {}),
        (pieces, {}),
        (pieces, {"expect100": True}),
        (lambda: TEXT, {"chunked": True}),
        (lambda: TEXT, {"expect100": True}),
    ],
    ids=["bytes", "str", "file", "generator", "asked-for", "chunked", "asked-for-bytes"],
)
def test_a_body_of_any_kind_of_aiohttp_arrives(
    content: Any, options: Any, where: str, request: pytest.FixtureRequest
) -> None:
    kling: Kling = request.getfixturevalue(where)
    headers = {"Content-Type": "application/json"}

    async def send() -> Any:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {kling.key}"}) as session,
            session.post(kling.url + PATH, data=content(), headers=headers, **options) as answer,
        ):
            return await answer.json()

    assert asyncio.run(send())["code"] == 0
    assert kling.journal[0]["request"] == body()


@pytest.mark.parametrize("where", ["kling_mock", "kling_server"])
def test_a_form_of_aiohttp_is_refused_as_ever(where: str, request: pytest.FixtureRequest) -> None:
    form = aiohttp.FormData({"prompt": "two friends"})
    form.add_field("subject_image_list", b"no picture", filename="a.png", content_type="image/png")

    answer = post_aiohttp(request.getfixturevalue(where), data=form)

    assert answer.status_code == 400
    assert "content type is not application/json" in answer.json()["error"]["message"]


@pytest.mark.parametrize("where", ["kling_mock", "kling_server"])
def test_a_method_without_a_body_and_one_that_there_is_not(where: str, request: pytest.FixtureRequest) -> None:
    kling: Kling = request.getfixturevalue(where)

    async def send(method: str) -> tuple[int, bytes]:
        async with aiohttp.ClientSession() as session, session.request(method, kling.url + PATH) as answer:
            return answer.status, await answer.read()

    assert asyncio.run(send("HEAD"))[1] == b""
    assert asyncio.run(send("NONSENSE"))[0] == 400


def test_aiohttp_asks_neither_a_proxy_nor_a_resolver(kling_mock: Kling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    async def send() -> list[int]:
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(connector=connector, trust_env=True, headers=KEY) as session:
            urls = (REAL, REAL.replace("cometapi.com", "CometAPI.com."), REAL.replace("https", "http"))
            answers = [
                await session.post(url, json=body(), proxy=proxy)
                for url in urls
                for proxy in (None, "http://127.0.0.1:9")
            ]
            return [answer.status for answer in answers]

    assert asyncio.run(send()) == [200] * 6
    assert kling_mock.creates == 6


def test_what_stands_above_the_connection_of_aiohttp_stays(kling_mock: Kling) -> None:
    """Sessions of a base URL, retries and middlewares of the application, many at a time."""
    kling_mock.scenario("error-1303", times=2)
    seen = []

    async def patient(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        request.headers["Authorization"] = KEY["Authorization"]
        for _ in range(3):
            answer = await handler(request)
            seen.append(answer.status)
            if answer.status == 200:
                break
        return answer

    async def send() -> list[int]:
        async with aiohttp.ClientSession("https://api.cometapi.com", middlewares=[patient]) as session:
            first = await session.post(PATH, json=body(), raise_for_status=True)
            others = await asyncio.gather(*(session.post(PATH, json=body()) for _ in range(9)))
            return [answer.status for answer in (first, *others)]

    assert asyncio.run(send()) == [200] * 10
    assert seen == [429, 429] + [200] * 10


def test_a_session_of_aiohttp_keeps_no_connection_of_a_simulator_that_has_ended() -> None:
    async def send() -> list[int]:
        created = []
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                with klingkit.mock() as kling:
                    async with session.post(REAL, json=body(), headers=KEY) as answer:
                        await answer.read()
                    created.append(kling.creates)
            with no_connection_to(hosts_of(load_contract())), pytest.raises(aiohttp.ClientConnectorError):
                await session.post(REAL, json=body(), headers=KEY)
        return created

    assert asyncio.run(send()) == [1, 1]


def test_pauses_of_code_that_uses_aiohttp_are_skipped(kling_mock: Kling) -> None:
    kling_mock.skip_sleep()

    async def wait() -> int:
        polls = 0
        async with aiohttp.ClientSession("https://api.cometapi.com", headers=KEY) as session:
            async with session.post(PATH, json=body()) as answer:
                task_id = (await answer.json())["data"]["task_id"]
            status = ""
            while status != "succeed":
                await asyncio.sleep(60)
                polls += 1
                async with session.get(f"{PATH}/{task_id}") as answer:
                    status = (await answer.json())["data"]["task_status"]
        return polls

    before = kling_mock.clock.now
    polls = asyncio.run(wait())

    assert (kling_mock.clock.now - before).total_seconds() == 60 * polls


def test_what_the_simulator_raises_reaches_aiohttp(kling_mock: Kling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kling_mock, "_app", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        post_aiohttp(kling_mock)


class MineError(Exception):
    """What the mocks below answer: aioresponses 0.7.9 can make no answer of aiohttp 3.14."""


def test_mocks_of_aioresponses_that_begin_before_the_simulator_keep_working() -> None:
    with aioresponses() as mocks:
        mocks.get(OTHER, exception=MineError(), repeat=True)
        with klingkit.mock() as kling:
            assert post_aiohttp(kling).status_code == 200
            with pytest.raises(MineError):
                get_aiohttp(OTHER)
        with pytest.raises(MineError):
            get_aiohttp(OTHER)
        with pytest.raises(aiohttp.ClientConnectionError, match="Connection refused"):
            get_aiohttp(REAL)  # nobody passes it on any more


def test_mocks_of_aioresponses_that_begin_after_the_simulator_keep_working(kling_mock: Kling) -> None:
    with aioresponses() as mocks:
        mocks.get(OTHER, exception=MineError())
        assert post_aiohttp(kling_mock).status_code == 200
        with pytest.raises(MineError):
            get_aiohttp(OTHER)
    assert post_aiohttp(kling_mock).status_code == 200


def test_mocks_of_aioresponses_that_end_after_the_simulator_keep_working() -> None:
    mocks = aioresponses(passthrough=["https://elsewhere.example"])
    with klingkit.mock() as kling:
        mocks.start()
        mocks.get(OTHER, exception=MineError())
        assert post_aiohttp(kling).status_code == 200
    with pytest.raises(MineError):
        get_aiohttp(OTHER)
    mocks.stop()
