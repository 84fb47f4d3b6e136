"""What a request brought is let go with its answer, and a connection with its end: nothing waits for garbage to be collected."""

from __future__ import annotations

import gc
import http.client
import json
import tracemalloc
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from klingkit.mock_server.app import create_app
from klingkit.mock_server.serving.connection import Connection
from klingkit.mock_server.serving.thread_server import ThreadServer
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, body

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = "x" * 1_000_000
ROUNDS = 4


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadServer]:
    simulator = Simulator(Settings())
    running = ThreadServer(create_app(simulator).wsgi_app, simulator, lambda _: None)
    yield running
    running.stop()


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage is collected meanwhile."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def ask(server: ThreadServer, method: str, path: str, sent: bytes) -> tuple[http.client.HTTPConnection, int]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
    connection.request(method, path, sent, {"Authorization": "Bearer key", "Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return connection, answer.status


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("POST", PATH, json.dumps(body(more=LARGE)), 200),
        ("POST", PATH, json.dumps(body(prompt=LARGE)), 400),
        ("POST", PATH, '{"prompt": "' + LARGE, 400),
        ("PATCH", "/_mock/account", json.dumps({"scenario": f"fail:{LARGE}"}), 400),
        ("PATCH", "/_mock/account", '{"scenario": "' + LARGE, 400),
    ],
)
def test_a_body_goes_with_its_answer(server: ThreadServer, method: str, path: str, sent: str, status: int) -> None:
    """Also while its connection is kept alive: an idle one holds no body."""
    data: Any = sent.encode()
    connections = [ask(server, method, path, data)[0]]  # what is made once is made
    tracemalloc.start()
    try:
        for _ in range(ROUNDS):
            connection, answered = ask(server, method, path, data)
            connections.append(connection)
            assert answered == status
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < len(data)
    for connection in connections:
        connection.close()


@pytest.mark.usefixtures("uncollected")
def test_a_connection_goes_when_it_ends(server: ThreadServer) -> None:
    """The next one is taken after those before have been seen to end."""
    for sent in (b'{"prompt": "' + LARGE.encode(), json.dumps(body()).encode()):
        for _ in range(ROUNDS):
            ask(server, "POST", PATH, sent)[0].close()
    connection, _ = ask(server, "POST", PATH, json.dumps(body()).encode())
    assert sum(isinstance(each, Connection) for each in gc.get_objects()) <= 2
    connection.close()
