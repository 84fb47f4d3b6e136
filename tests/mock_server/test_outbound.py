"""Requests that the simulator sends: each has an end, and none goes where it must not."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from klingkit.contract.addresses import is_private
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.deliveries import ANSWER_KEPT
from klingkit.mock_server.outbound import NotAllowedError, Outbound, OutboundError
from tests.conftest import PATH, Running, b64, body, png, serving, subjects
from tests.mock_server.test_pictures import colours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GREY = (120, 120, 128)
"""Of a placeholder."""
OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def answering(first: bytes, rest: bytes, pause: float = 0.02) -> Iterator[int]:
    """A port where each connection gets `first`, then `rest` again and again after pauses, for 20 s at most."""
    stop = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                connection.sendall(first)
                for _ in range(int(20 / max(pause, 0.0005))):
                    connection.sendall(rest)
                    if stop.wait(pause):
                        return
                connection.sendall(b"\r\n\r\n")
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=answer, args=(connection,)))
            threads[-1].start()

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        yield listener.getsockname()[1]
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join()
    for thread in threads:
        thread.join()


def outbound(*allowed: str, resolve: Callable[[str, int], list[str]] | None = None, own: int = 0) -> Outbound:
    return Outbound(frozenset(allowed), "--allow", resolve, own_ports={own})


@pytest.mark.parametrize(
    ("first", "rest"),
    [
        (b"", b"H"),
        (OK + b"X: ", b"x"),
        (OK, b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["status line", "header", "headers", "informational answers"],
)
def test_a_receiver_that_drips_its_answer_is_a_failed_attempt(first: bytes, rest: bytes) -> None:
    """A timeout for each byte would wait as long as bytes come."""
    with answering(first, rest) as port, pytest.raises(OutboundError):
        outbound().post(f"http://127.0.0.1:{port}/", b"{}", {}, timeout_ms=300)


def test_a_receiver_that_drips_its_handshake_is_a_failed_attempt() -> None:
    with answering(b"\x16\x03\x03\x40\x00", b"x") as port, pytest.raises(OutboundError, match="Timeout"):
        outbound().post(f"https://127.0.0.1:{port}/", b"{}", {}, timeout_ms=300)


def test_of_a_receivers_answer_only_the_head_is_read() -> None:
    with answering(OK + b"Content-Length: 1000000\r\n\r\n", b"x") as port:
        assert outbound().post(f"http://127.0.0.1:{port}/", b"{}", {}, timeout_ms=5000).status == 200


@pytest.mark.parametrize(
    ("head", "rest", "body", "more"),
    [
        (b"Content-Length: 5\r\n\r\nhello", b"", b"hello", False),
        (b"Content-Length: 0\r\n\r\n", b"", b"", False),
        (b"Content-Length: 900000\r\n\r\n" + b"y" * 9000, b"y" * 9000, b"y" * ANSWER_KEPT, True),
        (b"Content-Length: 9\r\n\r\nslow", b"", b"slow", True),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"", b"abc", False),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"", b"abc", True),
        (b"Transfer-Encoding: chunked\r\n\r\nnonsense", b"", b"", True),
        (b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x00", b"", b"\x1f\x8b\x00", False),
    ],
    ids=["short", "empty", "megabytes", "slow", "chunks", "slow chunks", "no chunks", "compressed"],
)
def test_of_a_receivers_body_the_beginning_is_kept(head: bytes, rest: bytes, body: bytes, more: bool) -> None:
    """As it came, of what comes at once; nothing is waited for."""
    with answering(OK + b"X-Mine: 1\r\n" + head, rest, pause=1) as port:
        reply = outbound().post(f"http://127.0.0.1:{port}/", b"{}", {}, timeout_ms=5000)
    assert (reply.status, reply.body, reply.more) == (200, body, more)
    assert ("X-Mine", "1") in reply.headers


def test_an_endless_head_is_a_failed_attempt() -> None:
    """It comes as fast as it is read, so that no timeout ends it."""
    with (
        answering(OK, b"X: " + b"y" * 30_000 + b"\r\n", pause=0) as port,
        pytest.raises(OutboundError, match="Protocol"),
    ):
        outbound().post(f"http://127.0.0.1:{port}/", b"{}", {}, timeout_ms=20_000)


def test_a_picture_that_drips_cannot_be_fetched() -> None:
    with (
        answering(OK + b"Content-Length: 1000000\r\n\r\n", b"x") as port,
        pytest.raises(OutboundError, match="Timeout"),
    ):
        outbound().get(f"http://127.0.0.1:{port}/", max_bytes=10**6, timeout_ms=300)


def test_redirects_share_one_deadline() -> None:
    """Each of them is in time, and all of them together are not."""
    redirect = b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n"
    with answering(redirect, b"\r\n", pause=0) as port, pytest.raises(OutboundError, match="too many redirects"):
        outbound().get(f"http://127.0.0.1:{port}/", max_bytes=100, timeout_ms=20_000)
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(12))
    with answering(redirect, lines, pause=0.15) as port, pytest.raises(OutboundError, match="Timeout"):
        outbound().get(f"http://127.0.0.1:{port}/", max_bytes=100, timeout_ms=300)


def test_a_host_that_speaks_no_http_or_leads_nowhere_is_a_failed_fetch() -> None:
    redirect = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://[\r\n"
    chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
    for head, rest in ((redirect, b"\r\n"), (chunk, b"\r\n-5\r\nabc\r\n0\r\n\r\n")):
        with answering(head, rest, pause=0) as port, pytest.raises(OutboundError):
            outbound().get(f"http://127.0.0.1:{port}/", max_bytes=100, timeout_ms=5000)


def test_a_name_that_is_looked_up_for_ever_is_a_failed_attempt() -> None:
    stop = threading.Event()

    def resolve(*_: object) -> list[str]:
        assert stop.wait(20)
        return ["127.0.0.1"]

    with pytest.raises(OutboundError, match="Timeout"):
        outbound(resolve=resolve).post("http://slow.example:9/", b"{}", {}, timeout_ms=100)
    stop.set()


def test_a_dripped_picture_does_not_hold_its_create() -> None:
    """The task fails, since its picture cannot be fetched."""
    with (
        answering(OK + b"Content-Length: 1000000\r\n\r\n", b"x") as port,
        serving("--instant", "--fetch-inputs") as running,
    ):
        slow = f"http://127.0.0.1:{port}/slow.png"
        headers = {"Authorization": "Bearer key"}
        made = requests.post(
            running.url + PATH, json=body(subject_image_list=subjects(slow, slow)), headers=headers, timeout=15
        )
        shown = requests.get(f"{running.url}{PATH}/{made.json()['data']['task_id']}", headers=headers, timeout=5)

    assert shown.json()["data"]["task_status"] == "failed"


# Where it must not go

LOCAL = ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "017700000001", "127.9.9.9", "localhost", "LocalHost", "[::1]"]
LOCAL += ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]"]


@pytest.mark.parametrize("host", LOCAL)
def test_it_sends_nothing_to_itself_however_that_is_spelt(host: str) -> None:
    with pytest.raises(NotAllowedError, match="it is this simulator"):
        outbound(own=8123).post(f"http://{host}:8123/_mock/reset", b"{}", {}, timeout_ms=2000)


@pytest.mark.parametrize("host", ["0.0.0.0", "0", "[::]"])
def test_nor_when_the_host_was_allowed_by_name(host: str) -> None:
    with pytest.raises(NotAllowedError, match="it is this simulator"):
        outbound(host.strip("[]"), own=8123).post(f"http://{host}:8123/", b"{}", {}, timeout_ms=2000)


@pytest.mark.parametrize("own_url", ["https://mock.example", "https://mock.example:443/x", "http://mock.example:81"])
def test_nor_to_its_public_url(own_url: str) -> None:
    sender = Outbound(frozenset({"mock.example"}), "--allow", lambda *_: ["203.0.113.9"], own_url=own_url)
    with pytest.raises(NotAllowedError, match="it is this simulator"):
        sender.post(own_url.replace("mock", "MOCK") + "/_mock/reset", b"{}", {}, timeout_ms=2000)


def test_nor_after_a_redirect() -> None:
    redirect = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://127.1:8123/_mock/journal\r\n"
    with answering(redirect, b"\r\n") as port, pytest.raises(NotAllowedError, match="it is this simulator"):
        outbound(own=8123).get(f"http://127.0.0.1:{port}/", max_bytes=100, timeout_ms=5000)


FORBIDDEN = ["169.254.169.254", "169.254.170.2", "100.100.100.200", "[fd00:ec2::254]", "[fd20:ce::254]", "[fe80::1]"]
FORBIDDEN += [
    "[fd00:42::42]",
    "[fd00:ec2::23]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
]
FORBIDDEN += [
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]",
    "[2001:0:7f00:1::]",
    "[::127.0.0.1]",
    "[::]",
]
FORBIDDEN += ["[fe80::a9fe:a9fe%25eth0]", "2852039166", "0xa9.0xfe.0xa9.0xfe", "metadata.google.internal", "metadata"]


@pytest.mark.parametrize("host", FORBIDDEN)
def test_what_holds_credentials_or_leads_elsewhere_is_not_private(host: str) -> None:
    with pytest.raises(NotAllowedError, match="neither loopback nor private"):
        outbound().post(f"http://{host}/latest/meta-data", b"{}", {}, timeout_ms=2000)


@pytest.mark.parametrize("address", ["::ffff:10.0.0.1", "fd12:3456::1", "fd00:ec3::254", "192.168.1.1%x", "::1"])
def test_private_networks_stay_private(address: str) -> None:
    assert is_private(address)


@given(st.ip_addresses(v=4), st.sampled_from(["64:ff9b::", "2002:", "::"]))
def test_no_address_within_another_is_private(address: object, before: str) -> None:
    high, low = divmod(int(address), 65536)  # type: ignore[call-overload]
    tail = f"{high:x}:{low:x}" + ("::" if before == "2002:" else "")
    assert not is_private(before + tail) or (before, high, low) == ("::", 0, 1)


def test_no_create_can_reset_the_simulator_that_takes_it(server: Running) -> None:
    """A page that may create a task may not steer the simulator through its callback."""
    headers = {"Authorization": "Bearer steered"}
    hooks = [f"http://{host}:{server.port}/_mock/reset" for host in LOCAL]
    for hook in hooks:
        requests.post(server.url + PATH, json=body(callback_url=hook), headers=headers, timeout=5)
    control = Control.over_http(server.url, key="steered")
    while any(delivery["outcome"] == "pending" for delivery in control.deliveries()):
        pass

    assert len(control.tasks()) == len(hooks)
    assert {delivery["outcome"] for delivery in control.deliveries()} == {"refused"}


def test_no_create_can_reset_another_simulator() -> None:
    """A control API takes no callback, of whichever simulator."""
    headers = {"Authorization": "Bearer key"}
    with serving("--instant") as one, serving("--instant") as two:
        for running in (one, two):
            requests.post(running.url + PATH, json=body(), headers=headers, timeout=5)
        hook = f"{two.url}/_mock/reset"
        requests.post(one.url + PATH, json=body(callback_url=hook), headers=headers, timeout=5)
        control = Control.over_http(one.url)
        while not control.deliveries()[0]["attempts"]:
            pass
        assert control.deliveries()[0]["attempts"][0]["problem"] == "answered 403"
        assert len(Control.over_http(two.url).tasks()) == 1


def test_a_result_can_be_the_input_of_the_next_task() -> None:
    """The one thing that it may get from itself."""
    headers = {"Authorization": "Bearer key"}
    with serving("--instant", "--fetch-inputs") as running:
        subject = b64(png(400, 400))
        first = requests.post(
            running.url + PATH, json=body(subject_image_list=subjects(subject, subject)), headers=headers, timeout=5
        )
        result = f"{running.url}/_mock/pictures/{first.json()['data']['task_id']}/0.png"
        again = requests.post(
            running.url + PATH, json=body(subject_image_list=subjects(result, subject)), headers=headers, timeout=15
        )
        task_id = again.json()["data"]["task_id"]
        shown = requests.get(f"{running.url}{PATH}/{task_id}", headers=headers, timeout=5).json()["data"]
        assert shown["task_status"] == "succeed"
        picture = requests.get(shown["task_result"]["images"][0]["url"], timeout=15).content

    assert GREY not in colours(Image.open(BytesIO(picture)))
