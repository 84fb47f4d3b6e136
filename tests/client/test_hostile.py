"""What a service can do to the client: nothing it sends becomes a path, an exception of somebody else, an endless wait or a full memory."""

from __future__ import annotations

import base64
import gzip
import json
import random
import socket
import string
import threading
import zlib
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests
import responses
from hypothesis import example, given, settings
from hypothesis import strategies as st

from klingkit.client import (
    ApiError,
    AuthenticationError,
    ConnectError,
    InputError,
    KlingClient,
    KlingError,
    Task,
    TaskFailedError,
    TransportError,
    UnexpectedAnswerError,
    UnknownFateError,
    WaitTimeoutError,
    parse_callback,
)
from klingkit.client.hiding import LONGEST, Cleaner
from klingkit.client.reading import LONGEST_ID
from tests.client.test_client import CREATE, ID, KEY, QUERY, VECTOR, FakeTime, signed, success, task_data
from tests.client.test_contracts import KLING
from tests.conftest import URL, png

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BASE = "https://api.cometapi.com"


@pytest.fixture
def fake() -> FakeTime:
    return FakeTime()


@pytest.fixture
def client(fake: FakeTime) -> Iterator[KlingClient]:
    with client_of(BASE, fake) as client:
        yield client


@pytest.fixture
def service() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def client_of(url: str, fake: FakeTime, **options: Any) -> KlingClient:
    return KlingClient(KEY, url, sleep=fake.sleep, monotonic=fake.monotonic, rng=random.Random(0), **options)


@contextmanager
def answering(answer: bytes | Callable[[socket.socket], object]) -> Iterator[str]:
    """A server that answers whatever comes with some bytes, or by a function; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        request = b""
                        while b"\r\n\r\n" not in request:
                            request += connection.recv(65536)
                        if callable(answer):
                            answer(connection)
                        else:
                            connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(20)
    assert not thread.is_alive()


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An answer, whose length is said unless a header says how it ends."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *headers]
    if not any(line.startswith(("Content-Length", "Transfer-Encoding")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body


def is_shown_in_one_line(error: KlingError) -> bool:
    return bool(str(error)) and str(error).isprintable()


# No path


NO_IDS: list[Any] = [
    "../../x",
    "/etc/x",
    "..",
    ".",
    "",
    "a/b",
    "a\\b",
    "C:x",
    "a:b",
    "CON.",
    "a\0b",
    "a\nb",
    "7" * 65,
    "дом",
    "\uff17",
    "\ud800",
    " 7",
    None,
    True,
    7.97e17,
    float("inf"),
    ["7"],
    {"7": 7},
]


@pytest.mark.parametrize("task_id", NO_IDS, ids=ascii)
def test_what_is_no_id_is_no_task(client: KlingClient, service: responses.RequestsMock, task_id: Any) -> None:
    answer = success("succeed", task_result={"images": [{"index": "../x", "url": "https://c/0.png"}]})
    answer["data"]["task_id"] = task_id
    service.get(QUERY, json=answer)
    service.post(CREATE, json=answer)
    asking: list[Callable[[], Task]] = [
        lambda: client.get(ID),
        lambda: client.wait(ID),
        lambda: client.create([URL, URL]),
        lambda: parse_callback(json.dumps(answer["data"]), {}),
    ]
    for ask in asking:
        with pytest.raises(UnexpectedAnswerError, match="no task") as error:
            ask()
        assert is_shown_in_one_line(error.value)


def test_another_task_than_the_one_asked_for_is_not_taken(client: KlingClient, service: responses.RequestsMock) -> None:
    service.get(f"{CREATE}/1", json=success())
    with pytest.raises(UnexpectedAnswerError, match=f"task {ID}, and not 1"):
        client.get("1")
    with pytest.raises(UnexpectedAnswerError, match="not 1"):
        client.wait("1")


def test_an_id_may_come_as_a_number(client: KlingClient, service: responses.RequestsMock) -> None:
    answer = success()
    answer["data"]["task_id"] = int(ID)
    service.get(QUERY, json=answer)
    assert client.get(ID).task_id == ID


@pytest.mark.parametrize("task_id", ["../../x", "a/b?x", "%2e%2e", "7#", "7" * 65], ids=repr)
def test_an_id_of_ours_that_is_none_goes_nowhere(client: KlingClient, tmp_path: Path, task_id: str) -> None:
    """Without a mock: a request would fail otherwise."""
    with pytest.raises(InputError, match="not a task id"):
        client.get(task_id)
    with pytest.raises(InputError, match="not a task id"):
        client.wait(task_id)
    with pytest.raises(InputError, match="not a task id"):
        client.save(Task(task_id, "succeed", (URL,)), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_save_writes_through_no_link_and_replaces_what_is_there(
    client: KlingClient, service: responses.RequestsMock, tmp_path: Path
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.write_text("mine")
    for name in (f"{ID}-0.png", f"{ID}-0.part", f"{ID}-1.png"):
        (out / name).symlink_to(elsewhere)
    (out / f"{ID}-1.png").unlink()
    (out / f"{ID}-1.png").write_text("an older one")
    service.get("https://c/0/../../x.exe?y=.sh", body=png())
    service.get("https://c/1", body=png(400))
    files = client.save(Task(ID, "succeed", ("https://c/0/../../x.exe?y=.sh", "https://c/1")), out)

    assert elsewhere.read_text() == "mine"
    assert [file.name for file in files] == [f"{ID}-0.png", f"{ID}-1.png"]
    assert [file.read_bytes() for file in files] == [png(), png(400)]
    assert not any(file.is_symlink() for file in files)
    assert sorted(file.name for file in out.iterdir()) == [f"{ID}-0.part", f"{ID}-0.png", f"{ID}-1.png"]


# No exception but its own


@pytest.mark.parametrize(
    "field",
    [
        '"created_at": 1e999',
        '"created_at": NaN',
        '"created_at": -1',
        '"created_at": ' + "9" * 4000,
        '"created_at": [1]',
        '"updated_at": 1e300',
        '"task_status": {}',
        '"task_status_msg": {"a": [1]}',
        '"task_result": [1]',
        '"task_result": {"images": 7}',
        '"task_result": {"images": [{"url": 7.5e300}]}',
        '"task_result": {"images": [{"url": {"a": 1}}]}',
        '"task_result": {"images": [null]}',
        '"task_result": {"images": [' + ", ".join(['{"url": "https://c/1"}'] * 101) + "]}",
        '"task_result": {"images": [{"url": "https://c/' + "x" * 8000 + '"}]}',
        '"task_info": "x"',
        '"task_info": {"external_task_id": [1]}',
    ],
    ids=lambda field: field[:40],
)
def test_a_field_of_another_type_makes_no_task(field: str) -> None:
    name, _, value = field.partition(": ")
    body = {**task_data(), name.strip('"'): "HERE"}
    with pytest.raises(UnexpectedAnswerError, match="no task"):
        parse_callback(json.dumps(body).replace('"HERE"', value), {})


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"task_id":' * 100_000,
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{",
        "9" * 5000,
        b" " * (10 * 1024 * 1024 + 1),
    ],
    ids=["brackets", "objects", "bytes", "mark", "digits", "long"],
)
def test_a_callback_that_cannot_be_read_is_none(body: str | bytes) -> None:
    with pytest.raises(UnexpectedAnswerError):
        parse_callback(body, {})


def test_an_answer_that_cannot_be_read_is_none(client: KlingClient, service: responses.RequestsMock) -> None:
    for body in ("[" * 100_000, "9" * 5000, '{"code": ' + "[" * 900 + "]" * 900 + "}"):
        service.get(QUERY, body=body)
        with pytest.raises(KlingError):
            client.get(ID)


@pytest.mark.parametrize(
    "headers",
    [
        {"Webhook-Timestamp": "1e999"},
        {"Webhook-Timestamp": "9" * 400},
        {"Webhook-Timestamp": 7},
        {"Webhook-Timestamp": None},
        {"Webhook-Signature": b"v1,\xff"},
        {"Webhook-Signature": "v1,ключ"},
        {"Webhook-Signature": "v1,a,b"},
        {"Webhook-Id": "\ud800"},
        {7: 7},
    ],
    ids=repr,
)
def test_no_header_of_a_callback_makes_it_crash(headers: dict[Any, Any]) -> None:
    body = json.dumps(task_data()).encode()
    given_headers = signed(body) | headers
    if 7 in headers:
        parse_callback(body, given_headers, VECTOR["secret"])
        return
    with pytest.raises(KlingError) as error:
        parse_callback(body, given_headers, VECTOR["secret"])
    assert is_shown_in_one_line(error.value)


NO_ADDRESSES = [
    "file:///etc/passwd",
    "ftp://c/0.png",
    "data:image/png;base64,AAAA",
    "gopher://c",
    "//c/0.png",
    "0.png",
    "",
    "http://",
    "http://[",
    "http://c:99999/0.png",
    "http://" + "a" * 70 + ".example/0.png",
    "http://a..b/0.png",
    "http://\ud800/",
    "http://ключ" + "ю" * 70 + "/",
    "http://c:x/",
    "http://\0/",
]


@pytest.mark.parametrize("url", NO_ADDRESSES, ids=ascii)
def test_what_is_no_address_of_a_picture_is_not_tried_again(
    client: KlingClient, fake: FakeTime, tmp_path: Path, url: str
) -> None:
    with pytest.raises(UnexpectedAnswerError) as error:
        client.save(Task(ID, "succeed", (url,)), tmp_path)
    assert fake.pauses == []
    assert is_shown_in_one_line(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", NO_ADDRESSES, ids=ascii)
def test_what_is_no_address_of_a_service_is_our_mistake(fake: FakeTime, url: str) -> None:
    with pytest.raises(InputError) as error, client_of(url, fake) as client:
        client.get(ID)
    assert is_shown_in_one_line(error.value)
    assert fake.pauses == []


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://c/1", "data:,x", "http://[", "\xff\xfe", "//"], ids=repr
)
def test_a_redirect_leads_to_no_other_scheme(
    client: KlingClient, service: responses.RequestsMock, fake: FakeTime, tmp_path: Path, location: str
) -> None:
    service.get("https://c/0.png", status=302, headers={"Location": location})
    if location.startswith("\xff"):
        service.get("https://c/%C3%BF%C3%BE", status=404)
    with pytest.raises(KlingError) as error:
        client.save(Task(ID, "succeed", ("https://c/0.png",)), tmp_path)
    assert is_shown_in_one_line(error.value)
    assert fake.pauses == []


def test_a_redirect_is_followed_a_few_times(
    client: KlingClient, service: responses.RequestsMock, tmp_path: Path
) -> None:
    service.get("https://c/0.png", status=302, headers={"Location": "/1.png"})
    service.get("https://c/1.png", body=png())
    assert client.save(Task(ID, "succeed", ("https://c/0.png",)), tmp_path)[0].read_bytes() == png()
    service.get("https://c/round", status=302, headers={"Location": "/round"})
    with pytest.raises(UnexpectedAnswerError, match="more than 5 redirects"):
        client.save(Task(ID, "succeed", ("https://c/round",)), tmp_path)


BOMB = gzip.compress(bytes(30 * 1024 * 1024))
TASK = json.dumps(success()).encode()
BROKEN_ANSWERS: dict[str, tuple[bytes, type[KlingError]]] = {
    "nothing": (b"", TransportError),
    "no-http": (b"SSH-2.0-x\r\n\r\n", TransportError),
    "nul": (http(b"\0" * 100), UnexpectedAnswerError),
    "no-utf8": (http(b"\xff\xfe\xfd"), UnexpectedAnswerError),
    "short": (http(TASK, "Content-Length: 9999"), TransportError),
    "status": (http(TASK, status="999999 OK"), TransportError),
    "status-text": (http(TASK, status="two OK"), TransportError),
    "headers": (http(TASK, *(f"X-{number}: 1" for number in range(200))), TransportError),
    "long-header": (http(TASK, "X: " + "x" * 70_000), TransportError),
    "location": (http(b"", "Location: http://[", status="302 Found"), UnexpectedAnswerError),
    "cookie": (http(TASK, "Set-Cookie: \xff=\x01; expires=Thu, 99 Foo 99999", status="400 Bad"), KlingError),
    "retry-after": (http(b"", "Retry-After: Thu, 99 Jan 99999999999 00:00:20 GMT", status="500 x"), ApiError),
    "chunks": (http(b"zz\r\nx\r\n", "Transfer-Encoding: chunked"), TransportError),
    "negative-chunk": (http(b"-5\r\nx\r\n", "Transfer-Encoding: chunked"), KlingError),
    "cut-chunk": (http(b"ff\r\nx", "Transfer-Encoding: chunked"), TransportError),
    "no-gzip": (http(b"no gzip", "Content-Encoding: gzip"), TransportError),
    "bomb": (http(BOMB, "Content-Encoding: gzip"), UnexpectedAnswerError),
    "bomb-in-chunks": (
        http(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BOMB), BOMB), "Content-Encoding: gzip", "Transfer-Encoding: chunked"),
        UnexpectedAnswerError,
    ),
    "deflate-bomb": (
        http(zlib.compress(bytes(30 * 1024 * 1024)), "Content-Encoding: deflate"),
        UnexpectedAnswerError,
    ),
    "bomb-in-a-bomb": (http(gzip.compress(BOMB), "Content-Encoding: gzip, gzip"), UnexpectedAnswerError),
    "many-encodings": (http(TASK, "Content-Encoding: " + ", ".join(["gzip"] * 1000)), KlingError),
    "large": (http(b" " * (10 * 1024 * 1024) + TASK), UnexpectedAnswerError),
}


@pytest.mark.parametrize("name", BROKEN_ANSWERS)
def test_a_broken_answer_is_one_of_our_errors(fake: FakeTime, name: str) -> None:
    answer, family = BROKEN_ANSWERS[name]
    with answering(answer) as url, client_of(url, fake, retry_for=0) as client:
        with pytest.raises(family) as error:
            client.get(ID)
        with pytest.raises(KlingError) as created:
            client.create([URL, URL])
    assert is_shown_in_one_line(error.value)
    assert is_shown_in_one_line(created.value)
    if family is TransportError:
        assert type(created.value) is UnknownFateError


@pytest.mark.parametrize("kind", ["charset", "length", "lengths", "large-chunk-name", "early"])
def test_an_odd_answer_that_can_be_read_is_read(fake: FakeTime, kind: str) -> None:
    answer = {
        "charset": http(TASK, "Content-Type: application/json; charset=klingon"),
        "length": http(TASK, "Content-Length: many"),
        "lengths": http(TASK, f"Content-Length: {len(TASK)}", f"Content-Length: {len(TASK)}"),
        "large-chunk-name": http(
            b"%x;%b\r\n%b\r\n0\r\n\r\n" % (len(TASK), b"n" * 1000, TASK), "Transfer-Encoding: chunked"
        ),
        "early": b"HTTP/1.1 100 Continue\r\n\r\n" + http(TASK),
    }[kind]
    with answering(answer) as url, client_of(url, fake, retry_for=0) as client:
        assert client.get(ID).task_id == ID


# No endless answer


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "body": (HEAD + b"\r\n", b" " * 65536),
    "chunks": (CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"),
    "headers": (HEAD, b"X: y\r\n" * 1000),
    "header": (HEAD + b"X: ", b"y" * 65536),
    "status-line": (b"", b"H" * 65536),
    "chunk-name": (CHUNKED + b"5;", b"n" * 65536),
    "trailer": (CHUNKED + b"0\r\n", b"X: y\r\n" * 1000),
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "redirect": (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", b" " * 65536),
}
MOST = 256 * 1024 * 1024
"""Bytes after which an endless answer of a test ends all the same."""


@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("what", ["answer", "picture"])
def test_an_endless_answer_ends(fake: FakeTime, tmp_path: Path, kind: str, what: str) -> None:
    start, more = ENDLESS[kind]
    sent = 0

    def flood(connection: socket.socket) -> None:
        nonlocal sent
        sent = 0
        connection.sendall(start)
        while sent < MOST:
            connection.sendall(more)
            sent += len(more)

    with answering(flood) as url, client_of(url, fake, retry_for=0) as client:
        task = Task(ID, "succeed", (url,))
        ask = (
            partial(client.get, ID) if what == "answer" else partial(client.save, task, tmp_path, max_bytes=1024 * 1024)
        )
        with pytest.raises(KlingError) as error:
            ask()
    assert sent < MOST / 4
    assert is_shown_in_one_line(error.value)


def test_a_download_has_a_limit(client: KlingClient, service: responses.RequestsMock, tmp_path: Path) -> None:
    picture = png()
    task = Task(ID, "succeed", ("https://c/0.png",))
    service.get("https://c/0.png", body=picture)
    assert client.save(task, tmp_path, max_bytes=len(picture))
    with pytest.raises(UnexpectedAnswerError, match="longer than"):
        client.save(task, tmp_path / "none", max_bytes=len(picture) - 1)
    assert list((tmp_path / "none").iterdir()) == []


DRIPS = {
    "body": HEAD + b"Content-Length: 100000\r\n\r\n",
    "chunked": CHUNKED + b"fffff\r\n",
    "chunk-name": CHUNKED + b"5;",
    "head": HEAD + b"X: ",
    "status-line": b"HTTP/1.1 200 ",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", DRIPS)
def test_a_drip_takes_no_longer_than_the_wait(fake: FakeTime, kind: str) -> None:
    """A byte a second, for a day at most: time goes on with each."""
    ended: list[float] = []

    def drip(connection: socket.socket) -> None:
        try:
            connection.sendall(DRIPS[kind])
            for _ in range(24 * 60 * 60):
                fake.now += 1
                connection.sendall(b" ")
        finally:
            ended.append(fake.now)

    with answering(drip) as url, client_of(url, fake) as client, pytest.raises(WaitTimeoutError) as error:
        client.wait(ID, timeout=30)
    assert error.value.task is None
    assert ended


def test_a_drip_ends_a_query_and_a_create(fake: FakeTime) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(DRIPS["body"])
        while True:  # until the client has gone, which ends it with an error
            fake.now += 1
            connection.sendall(b" ")

    with answering(drip) as url, client_of(url, fake) as client:
        with pytest.raises(TransportError, match="no answer in time"):
            client.get(ID)
        with pytest.raises(UnknownFateError, match="no answer in time"):
            client.create([URL, URL])


def test_a_service_that_reads_slowly_ends_a_create(fake: FakeTime) -> None:
    """A second for each piece that it takes."""
    large = png()
    large += bytes(10 * 1024 * 1024 - len(large))
    taken = 0

    def read_slowly(connection: socket.socket) -> None:
        nonlocal taken
        while piece := connection.recv(4096):
            fake.now += 1
            taken += len(piece)

    with answering(read_slowly) as url, client_of(url, fake) as client, pytest.raises(UnknownFateError):
        client.create([large, large, large, large])
    assert taken < 2 * len(large)


def test_where_the_clock_of_a_client_stands_still_the_machines_counts() -> None:
    stop = threading.Event()

    def say_nothing(connection: socket.socket) -> None:
        connection.sendall(DRIPS["body"])
        while not stop.wait(0.05):
            connection.sendall(b" ")

    with answering(say_nothing) as url, KlingClient(KEY, url, monotonic=lambda: 0.0, retry_for=0) as client:
        with pytest.raises(TransportError):
            client.get(ID)
        stop.set()


# Whatever is drawn


SECRET_FORMS = [
    KEY,
    KEY.upper(),
    KEY.replace("-", "\\-"),
    "".join(f"%{ord(sign):02x}" for sign in KEY),
    "".join(f"%25{ord(sign):02X}" for sign in KEY),
    "".join(f"\\u{ord(sign):04x}" for sign in KEY),
    "".join(f"\\\\x{ord(sign):02x}" for sign in KEY),
    "".join(f"&#{ord(sign)};" for sign in KEY),
    "".join(f"&#x{ord(sign):x};" for sign in KEY),
    "\u200b".join(KEY),
    "\r\n ".join([KEY[:5], KEY[5:]]),
    KEY.encode().hex(),
    base64.b64encode(KEY.encode()).decode(),
    base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    base64.urlsafe_b64encode(f"{{'Authorization': 'Bearer {KEY}'}}".encode()).decode(),
    quote(KEY),
]
texts = st.text(max_size=20) | st.sampled_from(
    [*SECRET_FORMS, "\x1b[2J", "\ud800", "[/foo]", "a\nb", "../x", "1e999", ID]
)
leaves = (
    texts
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([10**300, 10**4000, -1, 0, 1201, 5000])
)
OTHERS = [
    "code",
    "data",
    "error",
    "message",
    "request_id",
    "type",
    "images",
    "url",
    "index",
    "external_task_id",
    "watermark_url",
    "quota",
    "path",
    "status",
]
names = st.sampled_from([*task_data(task_status_msg="", task_result={}), "final_unit_deduction", *OTHERS])
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)
pictures = st.fixed_dictionaries({"url": leaves}, optional={"watermark_url": leaves})
tasks = st.fixed_dictionaries(
    {"task_id": st.just(ID) | leaves, "task_status": st.sampled_from(["submitted", "succeed", "failed"]) | leaves},
    optional={
        "task_status_msg": values,
        "created_at": values,
        "updated_at": values,
        "task_info": values | st.fixed_dictionaries({"external_task_id": st.just("order-1") | leaves}),
        "task_result": values | st.fixed_dictionaries({"images": st.lists(pictures, max_size=3)}),
        "final_unit_deduction": leaves,
        "final_balance_deduction": leaves | st.fixed_dictionaries({"quota": leaves, "list_price": leaves}),
    },
)
answers = (
    values
    | st.fixed_dictionaries(
        {
            "code": st.just(0) | leaves,
            "message": values,
            "data": tasks | st.lists(tasks, max_size=2),
            "request_id": leaves,
        }
    )
    | st.fixed_dictionaries({"timestamp": leaves, "status": leaves, "error": leaves, "message": leaves, "path": leaves})
    | st.fixed_dictionaries({"error": st.fixed_dictionaries({"message": leaves, "code": leaves})})
)
bodies = answers.map(lambda answer: json.dumps(answer).encode()) | st.binary(max_size=50)
latin = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30) | st.sampled_from(
    [form for form in SECRET_FORMS if form.isascii() and form.isprintable()]
)
headers = st.dictionaries(
    st.sampled_from(["Content-Type", "Retry-After", "x-cometapi-request-id", "Location", "Content-Encoding"]),
    latin | st.sampled_from(["gzip", "deflate", "application/json; charset=x", "Thu, 01 Jan 0001 00:00:20 -0000"]),
)


def shown(result: Task | KlingError | None) -> str:
    """Everything that is shown of what a call gave."""
    if isinstance(result, KlingError):
        assert is_shown_in_one_line(result)
        result.args[0].encode()
        more = [str(getattr(result, name, "")) for name in ("message", "code", "request_id")]
        return "\n".join([str(result), repr(result), *more, repr(getattr(result, "task", ""))])
    if result is not None:
        texts = [result.task_id, result.status, result.message, *result.image_urls, *result.watermark_urls]
        assert "".join([*texts, result.final_unit_deduction]).isprintable()
        result.external_task_id.encode()
    return repr(result)


def call(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except KlingError as error:
        return error


def without_a_key(text: str) -> bool:
    plain = text.lower().replace("\\", "")
    return not any(form.lower().replace("\\", "") in plain for form in SECRET_FORMS) and KEY not in text


statuses = st.sampled_from([200, 201, 204, 302, 400, 401, 404, 408, 429, 499, 500, 502, 503])


@settings(max_examples=50)
@given(statuses, headers, bodies)
@example(404, {}, json.dumps({"path": SECRET_FORMS[5]}).encode())
@example(401, {}, json.dumps({"code": 1004, "message": f"{KEY} has expired"}).encode())
def test_whatever_the_vendors_own_service_answers(status: int, headers: dict[str, str], body: bytes) -> None:
    fake = FakeTime()
    client = KlingClient(access_key="AK", secret_key=KEY, retry_for=5, sleep=fake.sleep, monotonic=fake.monotonic)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as service, client:
        for method, url in (("POST", KLING), ("GET", KLING), ("GET", f"{KLING}/{ID}"), ("GET", f"{KLING}/order-1")):
            service.add(method, url, body, status=status, headers=headers)
        results = [
            call(lambda: client.get(ID)),
            call(lambda: client.get(external_task_id="order-1")),
            call(lambda: client.create([URL], external_task_id="order-1")),
        ]
        tasks = call(client.list)
    assert without_a_key("\n".join(map(shown, [*results, *(tasks if isinstance(tasks, list) else [tasks])])))


@given(statuses, headers, bodies)
@example(200, {}, json.dumps(success() | {"code": KEY}).encode())
@example(200, {"Content-Type": KEY}, b"<html>")
@example(200, {}, json.dumps(success("failed", task_status_msg=SECRET_FORMS[3])).encode())
def test_whatever_a_service_answers(status: int, headers: dict[str, str], body: bytes) -> None:
    fake = FakeTime()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as service, client_of(BASE, fake) as client:
        for method in ("GET", "POST"):
            service.add(method, QUERY if method == "GET" else CREATE, body, status=status, headers=headers)
        results = [
            call(lambda: client.get(ID)),
            call(lambda: client.create([URL, URL])),
            call(lambda: client.create([URL, URL], external_task_id="order-1")),
            call(lambda: client.wait(ID, timeout=20)),
        ]
    assert without_a_key("\n".join(map(shown, results)))


@given(tasks | values, st.none() | st.just(VECTOR["secret"]), st.booleans())
def test_whatever_is_called_back(task: Any, secret: str | None, right: bool) -> None:
    body = json.dumps(task).encode()
    headers = (
        signed(body) if right else {"Webhook-Id": "1", "Webhook-Timestamp": str(task), "Webhook-Signature": str(task)}
    )
    shown(call(lambda: parse_callback(body, headers, secret)))


@given(st.binary(max_size=60), st.text(string.printable, max_size=30))
def test_whatever_bytes_are_called_back(body: bytes, header: str) -> None:
    headers = {"Webhook-Id": header, "Webhook-Timestamp": header, "Webhook-Signature": f"v1,{header}"}
    for secret in (None, VECTOR["secret"]):
        shown(call(partial(parse_callback, body, headers, secret)))


# The key


@pytest.mark.parametrize("form", SECRET_FORMS, ids=ascii)
def test_the_key_is_hidden_however_it_is_written(
    client: KlingClient, service: responses.RequestsMock, form: str
) -> None:
    failed = success("failed", task_status_msg=f"no {form} no", task_info={"external_task_id": form})
    service.get(QUERY, json={"code": form, "message": form, "request_id": form}, status=400)
    service.get(QUERY, json=failed)
    service.get(QUERY, body="<html>", headers={} if "\n" in form or not form.isascii() else {"Content-Type": form})
    service.get(QUERY, json=success("succeed", task_result={"images": [{"url": f"https://c/{form}"}]}))
    refused = call(lambda: client.get(ID))
    reason = call(lambda: client.wait(ID))
    page = call(lambda: client.get(ID))
    task = client.get(ID)

    assert isinstance(refused, ApiError)
    assert isinstance(reason, TaskFailedError)
    assert isinstance(page, UnexpectedAnswerError)
    assert "***" in str(reason)
    assert without_a_key("\n".join([shown(refused), shown(reason), shown(page), shown(task)]))
    assert without_a_key(repr([refused.__dict__, reason.__dict__]))


def test_a_key_with_strokes_is_hidden(fake: FakeTime, service: responses.RequestsMock) -> None:
    service.get(QUERY, json={"code": 1000, "message": r"no sk\/very\/secret, sk%2Fvery%2fsecret"}, status=401)
    with KlingClient("sk/very/secret", BASE) as client, pytest.raises(AuthenticationError) as error:
        client.get(ID)
    assert error.value.message == "***"


def test_what_is_said_beside_the_key_is_shown(client: KlingClient, service: responses.RequestsMock) -> None:
    service.get(QUERY, json={"code": 1000, "message": f"bad token {KEY}, 100%25 \\u00e4"}, status=401)
    with pytest.raises(AuthenticationError) as error:
        client.get(ID)
    assert error.value.message == "bad token ***, 100%25 \\u00e4"


def test_a_key_as_a_task_id_is_none(client: KlingClient, service: responses.RequestsMock) -> None:
    answer = success()
    answer["data"]["task_id"] = KEY
    service.post(CREATE, json=answer)
    with pytest.raises(UnexpectedAnswerError) as error:
        client.create([URL, URL])
    assert KEY not in str(error.value)


def test_the_key_in_an_address_is_not_shown(fake: FakeTime) -> None:
    with pytest.raises(InputError, match="user and password") as error:
        KlingClient(KEY, f"https://user:{KEY}@127.0.0.1")
    client = client_of(f"http://127.0.0.1:1/{KEY}", fake, retry_for=0)
    with pytest.raises(ConnectError) as refused:
        client.get(ID)
    for text in (str(error.value), repr(client), str(refused.value)):
        assert KEY not in text


def test_what_others_raise_brings_no_frame_with_the_key(client: KlingClient, service: responses.RequestsMock) -> None:
    """As a plugin that forbids sockets does: it goes through, without the variables of the libraries."""

    class ForbiddenError(RuntimeError):
        pass

    service.get(QUERY, body=ForbiddenError("no sockets here"))
    with pytest.raises(ForbiddenError) as error:
        client.get(ID)
    frames = [entry.frame.code.path for entry in error.traceback]
    assert not [path for path in frames if "site-packages" in str(path)]


def test_a_head_that_stumbles_others_stumbles_nobody(fake: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 logs lines that are no headers as they came, with its traceback; http.cookiejar warns of a bug in itself."""
    odd = [
        "Set-Cookie: a=b; Max-Age=99999999999999999999",
        'Set-Cookie2: port="8"; Max-Age=x',
        "Set-Cookie: Thu, 01 Jan 1970 00:00:00 GMT,Sun, 99-Foo-99999 99:99:99",
        f"no header at all \x1b[2J {KEY}",
    ]
    with answering(http(TASK, *odd)) as url, client_of(url, fake, retry_for=0) as client:
        assert client.get(ID).task_id == ID
    assert caplog.text == ""


def test_a_cookie_is_not_kept(client: KlingClient, service: responses.RequestsMock) -> None:
    service.get(QUERY, json=success(), headers={"Set-Cookie": "a=b"})
    service.get(QUERY, json=success(), headers={"Set-Cookie": "a=b"})
    client.get(ID)
    client.get(ID)
    assert [call for call in service.calls if "Cookie" in call.request.headers] == []


def test_a_session_of_ones_own_is_used(fake: FakeTime, service: responses.RequestsMock) -> None:
    service.get(QUERY, json=success())
    session = requests.Session()
    session.headers["X-Mine"] = "yes"
    assert client_of(BASE, fake, session=session).get(ID).task_id == ID
    assert service.calls[0].request.headers["X-Mine"] == "yes"


@pytest.mark.parametrize("before", [" ", "x", "&#32;"])
def test_no_part_of_the_key_stands_where_a_text_is_cut(before: str) -> None:
    key = "sk-Secret0123456789abcdef"
    for cut in (LONGEST_ID, 10 * LONGEST, 10 * 200):
        for left in range(1, len(key)):
            text = (before * cut)[: cut - len(key) + left] + key + before * 50
            clean = Cleaner(lambda: (key,))
            shown = [clean(text), clean(text, 200), clean.beginning(text, LONGEST_ID)]
            assert not any(key[:5] in line for line in shown)
