"""The application inside an event loop: faults as a raw socket sees them, and what waits holds nothing."""

from __future__ import annotations

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import requests

from klingkit.client import KlingClient, TaskExistsError, TransportError, UnknownFateError
from klingkit.mock_server.app import create_app
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.serving.thread_server import ThreadServer
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, URL, Running, b64, body, png_header, serving, subjects

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST = json.dumps(body()).encode()


@pytest.fixture(scope="module")
def faulty() -> Iterator[Running]:
    with serving("--instant", "--seed", "1") as running:
        yield running


def head(scenario: str, key: str, length: int = len(REQUEST), more: str = "") -> bytes:
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n{more}"
        f'Prefer: scenario="{scenario}"\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n'
    ).encode()


def ask(server: Running, scenario: str, key: str = "faults") -> tuple[bytes, str]:
    """Send a create; return what came until the answer is whole, and how it ended."""
    got = b""
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall(head(scenario, key) + REQUEST)
        try:
            while data := connection.recv(65536):
                got += data
                top, _, rest = got.partition(b"\r\n\r\n")
                if rest and len(rest) == announced(top):
                    return got, "whole"
        except ConnectionResetError:
            return got, "reset"
    return got, "closed"


def announced(head: bytes) -> int:
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    return int(fields.get(b"content-length", b"-1"))


def test_a_reset_comes_before_the_first_byte(faulty: Running) -> None:
    """The request was carried out: its task is there."""
    control = Control.over_http(faulty.url, key="reset-key")
    assert ask(faulty, "reset", "reset-key") == (b"", "reset")
    assert len(control.tasks()) == 1
    assert control.journal()[0]["scenario"] == "reset; source=prefer"


@pytest.mark.parametrize(("scenario", "end"), [("reset-within", "reset"), ("cut", "closed")])
def test_an_answer_breaks_off_in_the_middle(faulty: Running, scenario: str, end: str) -> None:
    got, ended = ask(faulty, scenario)
    head, _, rest = got.partition(b"\r\n\r\n")

    assert ended == end
    assert head.startswith(b"HTTP/1.1 200 ")
    assert 0 < len(rest) < announced(head)
    assert rest.startswith(b'{"code":0,')


def test_a_drip_is_whole_in_the_end(faulty: Running) -> None:
    got, ended = ask(faulty, "drip:100ms")
    assert ended == "whole"
    assert json.loads(got.partition(b"\r\n\r\n")[2])["code"] == 0


def test_a_drip_comes_in_pieces(faulty: Running) -> None:
    with requests.post(
        faulty.url + PATH,
        json=body(),
        headers={"Authorization": "Bearer drip", "Prefer": 'scenario="drip:300ms"'},
        stream=True,
        timeout=30,
    ) as response:
        pieces = sum(1 for _ in response.raw.stream(1))
    assert pieces > 50


def test_a_delay_outlasts_a_short_timeout(faulty: Running) -> None:
    """And the task is made all the same: the client's question in real life."""
    headers = {"Authorization": "Bearer delay", "Prefer": 'scenario="delay:2s"'}
    with pytest.raises(requests.ReadTimeout):
        requests.post(faulty.url + PATH, json=body(), headers=headers, timeout=0.3)
    assert len(Control.over_http(faulty.url, key="delay").tasks()) == 1
    got, ended = ask(faulty, "delay:lognormal:10ms")
    assert (got[:12], ended) == (b"HTTP/1.1 200", "whole")


@pytest.mark.parametrize("scenario", ["reset", "reset-within", "cut", "drip:2s", "delay:2s"])
def test_200_at_once_stay_real_and_leave_the_others_alone(faulty: Running, scenario: str) -> None:
    """Others are answered meanwhile, and long before those that wait."""
    end = {"reset": "reset", "reset-within": "reset", "cut": "closed"}.get(scenario, "whole")
    headers = {"Authorization": "Bearer other"}

    with ThreadPoolExecutor(200) as pool, requests.Session() as session:
        asked = [pool.submit(ask, faulty, scenario) for _ in range(200)]
        for _ in range(20):
            assert session.post(faulty.url + PATH, json=body(), headers=headers, timeout=30).status_code == 200
        waiting = [answer for answer in asked if not answer.done()]
        ends = {answer.result()[1] for answer in asked}

    assert ends == {end}
    assert waiting or "s" not in scenario.partition(":")[2]


def test_faults_side_by_side_do_not_disturb_each_other(faulty: Running) -> None:
    """A cut beside resets ends as a cut, and an answer on a connection that is closed after it is whole."""

    def closing(number: int) -> bool:
        headers = {"Authorization": "Bearer c", "Connection": "close", "Prefer": f'scenario="delay:{number * 10}ms"'}
        response = requests.post(faulty.url + PATH, json=body(), headers=headers, timeout=30)
        return bool(response.json()["code"] == 0)

    with ThreadPoolExecutor(60) as pool:
        others = [pool.submit(closing, number) for number in range(40)]
        ends = list(pool.map(lambda scenario: (scenario, ask(faulty, scenario)[1]), ["reset", "cut"] * 60))
    assert all(other.result() for other in others)
    assert set(ends) == {("reset", "reset"), ("cut", "closed")}


def test_slow_readers_beside_resets_are_left_alone(faulty: Running) -> None:
    """A connection that closes after its answer is whole, and ends with an end of stream, whatever is reset beside it."""

    def slow_reader(_: int) -> bytes:
        with socket.create_connection((faulty.host, faulty.port), timeout=30) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            connection.sendall(head("instant", "slow", len(REQUEST), "Connection: close\r\n") + REQUEST)
            got = b""
            while data := connection.recv(16):
                got += data
        return got

    with ThreadPoolExecutor(80) as pool:
        readers = [pool.submit(slow_reader, number) for number in range(40)]
        ends = {end for _, end in pool.map(lambda _: ask(faulty, "reset"), range(60))}
    assert ends == {"reset"}
    assert all(json.loads(reader.result().partition(b"\r\n\r\n")[2])["code"] == 0 for reader in readers)


def test_what_waits_holds_nothing(faulty: Running) -> None:
    """Delays of minutes and bodies that never come, more than any pool has threads: others are answered, the log goes on."""
    waiting = []
    for number in range(400):
        connection = socket.create_connection((faulty.host, faulty.port), timeout=30)
        waiting.append(connection)
        if number % 2:
            connection.sendall(head("delay:5m", "waits") + REQUEST)
        else:
            connection.sendall(head("instant", "waits"))
    with requests.Session() as session:
        for _ in range(20):
            answer = session.post(faulty.url + PATH, json=body(), headers={"Authorization": "Bearer other"}, timeout=30)
            assert answer.status_code == 200

    open_files = len(os.listdir(f"/proc/{faulty.process.pid}/fd"))
    for connection in waiting:
        connection.close()

    assert open_files > 400
    while len(os.listdir(f"/proc/{faulty.process.pid}/fd")) > 100:  # a client that has gone is not waited for
        assert faulty.process.poll() is None


def test_a_head_has_a_bound(faulty: Running) -> None:
    """In one long header, in many, and in one without an end."""
    for field in ("X-Long: " + "x" * 70_000, "\r\n".join(f"X-{number}: {'x' * 90}" for number in range(1000))):
        with socket.create_connection((faulty.host, faulty.port), timeout=30) as connection:
            connection.sendall(f"GET /_mock/health HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 431 ")
    with socket.create_connection((faulty.host, faulty.port), timeout=30) as connection:
        connection.sendall(b"GET /_mock/health HTTP/1.1\r\nHost: x\r\nX-Long: ")
        with suppress(ConnectionError):
            for _ in range(10_000):
                connection.sendall(b"x" * 10_000)
            pytest.fail("100 MB of a header were read")


@pytest.mark.parametrize("size", [1, 50, 100_000])
def test_a_wish_for_another_protocol_is_declined(faulty: Running, size: int) -> None:
    """Java's HttpClient asks for HTTP/2 with each request; its body is read all the same, in pieces of any size."""
    wish = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
    data = head("instant", "java", len(REQUEST), wish) + REQUEST
    with socket.create_connection((faulty.host, faulty.port), timeout=30) as connection:
        for _ in range(2):
            for start in range(0, len(data), size):
                connection.sendall(data[start : start + size])
            got = b""
            while not got.endswith(b"}"):
                got += connection.recv(65536)
            assert json.loads(got.partition(b"\r\n\r\n")[2])["code"] == 0


def test_large_bodies_wait_for_their_turn() -> None:
    """Ten uploads of the largest size at a time: each is answered."""
    picture = b64(png_header(400, 400, bytes(700_000)))
    request = json.dumps(body(subject_image_list=subjects(picture, picture))).encode()
    with serving("--instant", "--max-body", "2MB") as running, ThreadPoolExecutor(10) as pool:

        def upload(number: int) -> int:
            data = iter([request]) if number % 2 else request  # chunked, or with its length
            headers = {"Authorization": "Bearer k", "Content-Type": "application/json"}
            return requests.post(running.url + PATH, data=data, headers=headers, timeout=60).status_code

        assert set(pool.map(upload, range(30))) == {200}


def test_uploads_that_stand_still_make_room_for_others() -> None:
    """Without that, two of them would hold all the room for as long as a body may take."""
    picture = b64(png_header(400, 400, bytes(700_000)))
    request = json.dumps(body(subject_image_list=subjects(picture, picture))).encode()
    with serving("--instant", "--max-body", "2MB") as running:
        still = [socket.create_connection((running.host, running.port)) for _ in range(3)]
        for connection in still:
            connection.sendall(head("instant", "still", 1_900_000) + b"x" * 400_000)
        answer = requests.post(
            running.url + PATH,
            data=request,
            headers={"Authorization": "Bearer k", "Content-Type": "application/json"},
            timeout=60,
        )
        for connection in still:
            connection.close()

    assert answer.status_code == 200


def test_a_server_in_a_thread_stops_whatever_it_waits_for() -> None:
    simulator = Simulator(Settings())
    server = ThreadServer(create_app(simulator).wsgi_app, simulator, lambda _: None)
    host, _, port = server.url.removeprefix("http://").partition(":")
    with (
        socket.create_connection((host, int(port))) as idle,
        socket.create_connection((host, int(port))) as delayed,
        socket.create_connection((host, int(port))) as bodiless,
    ):
        delayed.sendall(head("delay:5m", "stop") + REQUEST)
        bodiless.sendall(head("instant", "stop"))
        while not simulator.store.created:
            pass
        server.stop()

        assert idle.recv(1) == b""
        for connection in (delayed, bodiless):  # no answer is made up for what was not answered
            with suppress(ConnectionError):
                assert connection.recv(1) == b""


def test_the_client_knows_what_a_reset_means(faulty: Running) -> None:
    """Its fate is unknown; with an external id the task is found to exist, and nothing is paid twice."""
    control = Control.over_http(faulty.url, key="fate")
    with KlingClient("fate", faulty.url) as client:
        control.scenario("reset")
        with pytest.raises(UnknownFateError, match="may exist and cost money"):
            client.create([URL, URL])
        control.scenario("reset")
        with pytest.raises(TaskExistsError, match="'once' exists"):
            client.create([URL, URL], external_task_id="once")
        task_id = control.tasks()[-1]["task_id"]
        control.scenario("reset-within", operation="get_task", times=2)
        assert client.get(task_id).succeeded
        control.scenario("cut", operation="get_task", times=1000)
        with KlingClient("fate", faulty.url, retry_for=0) as impatient, pytest.raises(TransportError):
            impatient.get(task_id)
    assert len(control.tasks()) == 2


def test_what_comes_after_the_last_answer_of_a_connection_is_not_done(faulty: Running) -> None:
    """HTTP/1.0 ends after one, though its client may ask to keep it: a task that nobody is told of would be lost."""
    create = head("instant", "old", more="Connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0") + REQUEST
    with socket.create_connection((faulty.host, faulty.port), timeout=30) as connection:
        connection.sendall(3 * create)
        got = b""
        while data := connection.recv(65536):
            got += data
    assert got.count(b"HTTP/1.1 200 ") == 1
    assert len(Control.over_http(faulty.url, key="old").tasks()) == 1


def test_a_header_with_an_underscore_is_not_the_one_with_a_hyphen(faulty: Running) -> None:
    with socket.create_connection((faulty.host, faulty.port), timeout=30) as connection:
        connection.sendall(
            head("instant", "underscore", more="Content_Type: text/plain\r\nContent_Length: 1\r\n") + REQUEST
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
