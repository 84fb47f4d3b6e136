"""A storm: everything at once, from many threads, and much of it hostile. The server stays right, whatever comes.

Rounds a thread: KLINGKIT_STORM_ROUNDS; CI makes a storm of a minute of it.
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from tests.conftest import PATH, Running, b64, body, png, serving, subjects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = int(os.environ.get("KLINGKIT_STORM_ROUNDS", "12"))
THREADS = 32
STEADY = [f"steady-{number}" for number in range(8)]
"""Accounts that nobody resets: their books can be checked in the end."""
RESET = [f"reset-{number}" for number in range(4)]
MEMORY = "64MB"
BASE_MB = 150
"""What the server takes besides its state: Python, libraries, and what is being answered."""
OWN_ERRORS = (500, 502, 503, 504)


class Storm:
    """One server under fire."""

    def __init__(self, server: Running, receiver: str) -> None:
        self.server = server
        self.receiver = receiver
        self.wrong: list[str] = []
        self.task_ids: list[tuple[str, str]] = []

    def run(self, seed: int) -> None:
        """Do so many things, drawn from a seed."""
        draw = random.Random(seed)
        with requests.Session() as session:
            for _ in range(ROUNDS):
                action = draw.choice((self.create, self.create, self.query, self.hostile, self.fault, self.break_off))
                with suppress(requests.RequestException, OSError):
                    action(session, draw)
                with suppress(
                    requests.RequestException, OSError, ControlError
                ):  # a journey that a reset has ended says so
                    draw.choice((self.query, self.steer, self.picture))(session, draw)

    def post(self, session: requests.Session, key: str, data: bytes, **headers: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **headers}
        answer = session.post(self.server.url + PATH, data=data, headers=headers, timeout=60)
        if answer.status_code in OWN_ERRORS and "Klingkit-Scenario" not in answer.headers:
            self.wrong.append(f"{answer.status_code} to {data[:300]!r}")
        return answer

    def create(self, session: requests.Session, draw: random.Random) -> None:
        key = draw.choice([*STEADY, *RESET])
        fields: dict[str, Any] = {"n": draw.randint(1, 9), "external_task_id": f"id-{draw.randint(0, 400)}"}
        if key in STEADY and draw.random() < 0.3:
            fields["callback_url"] = self.receiver
        if draw.random() < 0.2:
            fields["subject_image_list"] = subjects(b64(png(400, 400)), b64(png(300, 299)))
        answer = self.post(session, key, json.dumps(body(**fields)).encode())
        if answer.status_code == 200:
            self.task_ids.append((key, answer.json()["data"]["task_id"]))

    def hostile(self, session: requests.Session, draw: random.Random) -> None:
        key = draw.choice(STEADY)
        prompt = draw.choice(
            (
                "[[path:submitted\n>failed]]",
                "[[slov]]" * 2000,
                "[[slow:" + "0" * 100_000 + "1]]",
                "\x1b[2J\r\nforged\u202e",
                "[[fail:\r\nSet-Cookie: x]]",
                "[[" * 50_000,
            )
        )
        data = draw.choice(
            (
                json.dumps(body(prompt=prompt)).encode(),
                json.dumps(body(external_task_id="x" * draw.choice((10, 500_000)))).encode(),
                json.dumps(body(callback_url=f"http://127.0.0.1:{self.server.port}/_mock/reset")).encode(),
                json.dumps(body(callback_url="http://a/\x1b\nforged")).encode(),
                json.dumps(body(**{f"field{number}\n": [{}] for number in range(2000)})).encode(),
                b'{"n": ' + b"1" * 5000 + b"}",
                b'{"n": 1e999, "x": ' + b"[]," * 1000 + b"}",
                b"[" * 100_000 + b"]" * 100_000,
                b'{"subject_image_list": [' + b"[]," * 50_000 + b"[]]}",
                b"\xff\xfe\x00",
            )
        )
        self.post(session, key, data, Prefer=draw.choice(('scenario="no-such"', "progression=polls", "x=\x7f;;;=")))

    def fault(self, session: requests.Session, draw: random.Random) -> None:
        scenario = draw.choice(("reset", "reset-within", "cut", "drip:50ms", "delay:50ms", "html-502", "error-5000"))
        self.post(session, draw.choice(RESET), json.dumps(body()).encode(), Prefer=f'scenario="{scenario}"')

    def break_off(self, _: requests.Session, draw: random.Random) -> None:
        """Leave in the middle of a head, of a body or of an answer."""
        data = json.dumps(body(prompt="x" * 2000)).encode()
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer steady-0\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data) + 1}\r\n\r\n"
        ).encode()
        with socket.create_connection((self.server.host, self.server.port), timeout=10) as connection:
            connection.sendall((head + data)[: draw.randint(1, len(head) + len(data))])

    def query(self, session: requests.Session, draw: random.Random) -> None:
        key, task_id = draw.choice(self.task_ids) if self.task_ids and draw.random() < 0.8 else ("steady-0", "1" * 18)
        headers = {"Authorization": f"Bearer {key}"}
        answer = session.get(f"{self.server.url}{PATH}/{task_id}", headers=headers, timeout=60)
        if answer.status_code not in {200, 400}:
            self.wrong.append(f"{answer.status_code} to a query")

    def picture(self, session: requests.Session, draw: random.Random) -> None:
        if self.task_ids:
            path = f"/_mock/pictures/{draw.choice(self.task_ids)[1]}/0.png"
            answer = session.get(self.server.url + path, timeout=60)
            if answer.status_code not in {200, 403, 404}:
                self.wrong.append(f"{answer.status_code} to a picture")

    def steer(self, _: requests.Session, draw: random.Random) -> None:
        """Move the clock, reset, look: with the control API."""
        control = Control.over_http(self.server.url, key=draw.choice(RESET))
        action: Callable[[], object] = draw.choice(
            (
                lambda: control.advance("5s"),
                control.resume,
                control.reset,
                control.journal,
                control.tasks,
                lambda: control.scenario("error-1303", times=2),
            )
        )
        action()


@contextmanager
def dripping() -> Iterator[str]:
    """A receiver of callbacks that takes each, and never ends its answer."""
    server = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def run() -> None:
        with suppress(OSError):
            while True:
                connection = server.accept()[0]
                held.append(connection)
                connection.sendall(b"HTTP/1.1 200 OK\r\n")

    thread = threading.Thread(target=run)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()
    for connection in held:
        connection.close()


def resident_mb(pid: int) -> int:
    match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert match
    return int(match[1]) // 1024


def test_a_storm_leaves_the_server_right() -> None:
    with dripping() as receiver, serving("--seed", "1", "--speed", "20", "--max-memory", MEMORY) as running:
        storm = Storm(running, receiver)
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(storm.run, range(THREADS)))
        memory = resident_mb(running.process.pid)
        Control.over_http(running.url).freeze()
        for key in STEADY:
            control = Control.over_http(running.url, key=key)
            cost = sum((Decimal(task["cost"]) for task in control.tasks() if task["status"] != "failed"), Decimal(0))
            assert Decimal(control.account()["spent"]) == cost, key
        log = running.stop()

    assert storm.wrong == []
    assert len(storm.task_ids) > THREADS
    assert memory < BASE_MB + int(MEMORY.removesuffix("MB"))
    assert "Traceback" not in log
    assert "a bug in klingkit" not in log
    assert not re.search(r"^(?!\d\d:\d\d:\d\d |\(\d+ lines)", log.rstrip("\n"), re.MULTILINE)  # no forged line
