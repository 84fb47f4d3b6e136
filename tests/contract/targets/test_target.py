"""What a target keeps of the answers of a service on loopback, and what it says when there is none."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from klingkit.contract.judge.reading import describe
from klingkit.contract.judge.result_pictures import judge_picture
from klingkit.contract.targets.callback_receiver import MOST_BYTES, MOST_CALLBACKS, Received, receiving
from klingkit.contract.targets.target import (
    MAX_HEADER,
    MAX_KEPT,
    ROOM,
    USUAL,
    HttpTarget,
    NoAnswerError,
    Reply,
    Request,
)
from tests.conftest import png

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from klingkit.contract import Contract

QUERY = Request("GET", "/")


@contextmanager
def service(head: bytes, body: Iterable[bytes] = ()) -> Iterator[str]:
    """A service that answers everything with the same bytes."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.close_connection = True
            if line := self.rfile.readline():
                self.raw_requestline = line
                self.parse_request()
                with suppress(OSError):
                    self.wfile.write(head)
                    for chunk in body:
                        self.wfile.write(chunk)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_of_large_answers_no_more_is_kept_than_is_judged() -> None:
    """However many there are: a hundred refusals of 8 MB held 800 MB."""
    with service(b"HTTP/1.1 400 No\r\n\r\n", [b"[" + b" " * 2**20] * 8) as url:
        target = HttpTarget(url)
        replies = [target.send(QUERY) for _ in range(100)]

    assert len(replies[0].content) == MAX_KEPT
    assert sum(len(reply.content) for reply in replies) <= ROOM + MAX_KEPT + 100 * USUAL
    assert {describe(reply).partition(" of ")[0] for reply in (replies[0], replies[-1])} == {
        f"400, more than {MAX_KEPT} bytes",
        f"400, more than {USUAL} bytes",
    }


def test_answers_of_a_usual_size_are_kept_whole_however_many() -> None:
    body = b'{"code": 0, "message": "' + b"x" * 5000 + b'"}'
    with service(b"HTTP/1.1 400 No\r\n\r\n", [body]) as url:
        target = HttpTarget(url)
        target._room = 0  # as after many large ones
        assert target.send(QUERY).body["code"] == 0


def test_a_picture_is_kept_and_judged_whole(contract: Contract) -> None:
    large = png(300, 300).ljust(3 * MAX_KEPT, b"\0")
    with service(b"HTTP/1.1 200 OK\r\n\r\n", [large]) as url:
        reply = HttpTarget(url).fetch(url)
    assert reply.content == large
    assert list(judge_picture(contract, {"aspect_ratio": "1:1"}, reply)) == []
    with service(b"HTTP/1.1 200 OK\r\n\r\n", [b"x" * 3 * MAX_KEPT]) as url:
        reply = HttpTarget(url).fetch(url)
    (finding,) = judge_picture(contract, {}, reply)
    assert finding[2] == f"200, {3 * MAX_KEPT} bytes"


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:-30], lambda data: data.replace(b"IDATx", b"IDATy")]
)
def test_a_picture_that_cannot_be_decoded_to_its_end_is_not_whole(
    contract: Contract, damage: Callable[[bytes], bytes]
) -> None:
    (finding,) = judge_picture(contract, {"aspect_ratio": "1:1"}, Reply(200, {}, damage(png(300, 300))))

    assert finding[:2] == ("task.picture", "a whole PNG")


def test_an_endless_picture_is_no_answer() -> None:
    with service(b"HTTP/1.1 200 OK\r\n\r\n", [b"x" * 2**20] * 100) as url, pytest.raises(NoAnswerError) as caught:
        HttpTarget(url).fetch(url)
    assert str(caught.value) == "a picture of more than 32 MB"


def test_headers_are_kept_short_and_printable() -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 60_000 + b"\r\nX-Odd: a\x1b[31m\x9b\x85b\r\n c\r\n\r\n"
    with service(head) as url:
        headers = HttpTarget(url).send(QUERY).headers
    assert len(headers["x-long"]) == MAX_HEADER
    assert headers["x-odd"].isprintable()


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzip", "a body that is not encoded as its Content-Encoding says"),
        (b"SSH-2.0-OpenSSH_9\r\n", "the connection broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "the connection broke off"),
        (b"HTTP/1.1 700 What\r\n\r\n", "the status 700, which HTTP does not have"),
        (b"HTTP/1.1 102 Wait\r\n\r\n", "the status 102, which HTTP does not have"),
    ],
)  # fmt: skip
def test_no_answer_is_said_in_words(head: bytes, words: str) -> None:
    with service(head) as url, pytest.raises(NoAnswerError) as caught:
        HttpTarget(url).send(QUERY)
    assert str(caught.value) == words
    assert caught.value.arrived


@pytest.mark.parametrize(
    "url", ["x/y.png", "file:///etc/passwd", "http://", f"http://{'a' * 70}.example/", "http://[::1", "http://a..b/"]
)
def test_a_url_of_a_picture_that_is_none_is_said_in_words(url: str) -> None:
    with pytest.raises(NoAnswerError) as caught:
        HttpTarget("http://127.0.0.1:9").fetch(url)
    assert str(caught.value) == "its URL is none that can be asked"


@pytest.mark.parametrize(
    "content",
    [b'{"code": NaN}', b'{"code": -Infinity}', b'{"code": 1e999}', b"[" * 100_000, b'{"code": %s1%s}' % (b"[" * 100, b"]" * 100)],
)  # fmt: skip
def test_what_hardly_a_reader_takes_is_no_json(content: bytes) -> None:
    reply = Reply(400, {}, content)
    assert reply.body is None
    assert describe(reply) == "400, no JSON object"


def test_callbacks_are_bounded_too() -> None:
    received: list[Received] = []
    with receiving(received) as url:
        target = HttpTarget(url.rstrip("/"))
        statuses = {
            target.send(Request("POST", "/", raw=b"x" * MAX_KEPT)).http for _ in range(MOST_BYTES // MAX_KEPT + 3)
        }
    assert statuses == {204, 413}
    assert sum(len(callback.content) for callback in received) <= MOST_BYTES
    assert MOST_CALLBACKS >= 1000
