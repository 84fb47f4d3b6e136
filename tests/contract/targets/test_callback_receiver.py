"""The receiver of callbacks: what arrives, in whatever form HTTP has for it."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
import requests

from klingkit.contract.targets.callback_receiver import Received, receiving


def test_a_body_arrives_with_its_length_or_in_chunks() -> None:
    received: list[Received] = []
    with receiving(received) as url:
        for data in (b'{"a": 1}', (part for part in (b'{"a"', b": 1}"))):
            assert (
                requests.post(
                    f"{url}a?b=%20", data=data, headers={"Content-Type": "application/json"}, timeout=5
                ).status_code
                == 204
            )

    assert received == [Received("application/json", b'{"a": 1}', f"{url}a?b=%20")] * 2
    assert received[0].body == {"a": 1}


@pytest.mark.parametrize(
    "head",
    [
        f"Content-Length: {'9' * 5000}",
        "Content-Length: -1",
        "Content-Length: x",
        "Transfer-Encoding: chunked\r\n\r\nnonsense",
        "Transfer-Encoding: chunked\r\n\r\n-1\r\nabcde",
        "X: y",
    ],
    ids=["endless", "negative", "no-number", "no-chunks", "negative-chunk", "none"],
)
def test_what_is_no_body_hurts_nobody(head: str, capfd: pytest.CaptureFixture[str]) -> None:
    received: list[Received] = []
    with receiving(received) as url:
        with socket.create_connection((str(urlsplit(url).hostname), int(urlsplit(url).port or 0)), timeout=5) as client:
            client.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
            client.shutdown(socket.SHUT_WR)
            client.recv(1000)
        requests.post(url, json={"still": "here"}, timeout=5)

    assert received[-1].body == {"still": "here"}
    assert all(callback.content == b"" for callback in received[:-1])
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "begin",
    ["POST / HTTP/1.1\r\nX-Drip: ", "POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"],
    ids=["head", "body"],
)
def test_what_drips_is_given_up_when_its_time_is_over(begin: str) -> None:
    received: list[Received] = []
    with receiving(received, deadline_s=0.3) as url:
        port = int(urlsplit(url).port or 0)
        with socket.create_connection(("127.0.0.1", port), timeout=0.05) as client:
            client.sendall(begin.encode())
            closed = any(is_closed_after_a_byte(client) for _ in range(400))

    assert closed
    assert received == []


def is_closed_after_a_byte(client: socket.socket) -> bool:
    """Send a byte, and see for a moment whether the other side has had enough."""
    try:
        client.sendall(b"x")
        return client.recv(100) == b""
    except TimeoutError:
        return False
    except OSError:
        return True
