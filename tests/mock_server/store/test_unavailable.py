"""While the state cannot be used, requests are answered 503 and nothing hangs; one line of the log says so, and service resumes."""

from __future__ import annotations

import json
import logging
import socket
import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import psycopg
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url

from klingkit.contract import load_contract
from klingkit.mock_server.app import create_app
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.foreign_text import BUG
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from klingkit.mock_server.store.sql import database, driver, engines
from tests.conftest import PATH, body

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from werkzeug.test import Client, TestResponse

    from tests.states import States

KEY = {"Authorization": "Bearer key"}


@contextmanager
def service(url: str, contract: str = "cometapi") -> Iterator[Client]:
    simulator = Simulator(Settings(state=url, contract=contract), clock=ClockState(START))
    try:
        yield create_app(simulator).test_client()
    finally:
        simulator.close()


def create(client: Client) -> TestResponse:
    return client.post(PATH, json=body(), headers=KEY)


def assert_refused(answer: TestResponse) -> None:
    assert answer.status_code == 503
    assert json.loads(answer.data)["error"]["code"] == "upstream_error"
    assert "Klingkit-Evidence" not in answer.headers  # nobody knows how the real service says that


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.message) for record in caplog.records if "the state at" in record.message]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has failed is tried again by the next request, and nothing takes long to fail."""
    monkeypatch.setattr(database, "SHORTEST_REST_S", 0)
    monkeypatch.setattr(database, "LONGEST_REST_S", 0)
    monkeypatch.setattr(driver, "LOCK_S", 0.05)


def test_a_full_disk(states: States, caplog: pytest.LogCaptureFixture) -> None:
    url = states.new("sqlite")
    full = True

    @event.listens_for(Engine, "connect")
    def limit(connection: Any, _: object) -> None:
        if full and isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA max_page_count = 1")  # SQLite takes what the file has already

    try:
        assert url
        with service(url) as client:
            answers: list[TestResponse] = []
            while len(answers) < 500 and (not answers or answers[-1].status_code == 200):
                answers.append(create(client))
            again = create(client)
            full = False
            after = create(client)
            kept = json.loads(client.get("/_mock/health", headers={"Host": "localhost"}).data)["tasks"]
    finally:
        event.remove(Engine, "connect", limit)

    assert_refused(answers[-1])
    assert_refused(again)
    assert after.status_code == 200
    assert sum(kept.values()) == len(answers), "what was answered is there, and nothing else"
    (gone, why), (back, _) = lines(caplog)
    assert (gone, back) == (logging.ERROR, logging.WARNING)
    assert why.endswith("database or disk is full; requests are answered 503 until it can")


def test_a_file_that_is_deleted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """SQLite would write on into a file without a name: what was acknowledged would be gone after a restart."""
    path, other = tmp_path / "kling.db", tmp_path / "other.db"
    with service(f"sqlite:///{path}") as client:
        assert create(client).status_code == 200
        path.rename(other)
        assert_refused(create(client))
        path.touch()
        assert_refused(create(client))
        other.replace(path)
        assert create(client).status_code == 200
    away, back = lines(caplog)
    assert "its file was deleted or replaced; bring it back, or start again" in away[1]
    assert "can be used again" in back[1]


def test_a_lock_that_nobody_gives_back(states: States, caplog: pytest.LogCaptureFixture) -> None:
    url = states.new("sqlite")
    assert url
    with service(url) as client, closing(sqlite3.connect(make_url(url).database or "", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = create(client)
        control = client.patch("/_mock/account", json={"balance": 1}, headers={"Host": "localhost"})
        read = client.get("/_mock/account", headers={"Host": "localhost"})
        other.execute("ROLLBACK")
        after = create(client)

    assert_refused(refused)
    assert control.status_code == 503
    assert read.status_code == 200, "who only reads waits for nobody"
    assert after.status_code == 200
    assert "database is locked" in lines(caplog)[0][1]
    assert len(lines(caplog)) == 2


def test_connections_that_the_server_ends_are_made_anew(states: States, caplog: pytest.LogCaptureFixture) -> None:
    url = states.new("postgresql")
    assert url
    mine: list[int] = []

    @event.listens_for(Engine, "connect")
    def note(connection: Any, _: object) -> None:
        mine.append(connection.info.backend_pid)

    try:
        with service(url) as client:
            before = create(client)
            cut(url, mine)
            after = create(client)
    finally:
        event.remove(Engine, "connect", note)

    assert mine
    assert [before.status_code, after.status_code] == [200, 200]
    assert lines(caplog) == []
    states.take_back()


def cut(url: str, backends: list[int]) -> None:
    """End connections by the process that serves each: others use the same database meanwhile."""
    plain = make_url(url)
    with closing(
        psycopg.connect(host=plain.host, port=plain.port, user=plain.username, dbname=plain.database, autocommit=True)
    ) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ANY(%s)",
            [backends],
        )


@pytest.mark.parametrize("contract", ["cometapi", "kling"])
def test_a_database_that_goes_and_comes(states: States, contract: str, caplog: pytest.LogCaptureFixture) -> None:
    url = states.new("postgresql")
    assert url
    plain = make_url(url)
    path = load_contract(contract).operations["create_task"].path
    with (
        Proxy(plain.host or "", plain.port or 5432) as proxy,
        service(plain.set(host="127.0.0.1", port=proxy.port).render_as_string(), contract) as client,
    ):
        before = client.post(path, json=body(), headers=KEY)
        proxy.close()
        gone = [client.post(path, json=body(), headers=KEY), client.get(f"{path}/1", headers=KEY)]
        health = client.get("/_mock/health", headers={"Host": "localhost"})
        metrics = client.get("/_mock/metrics", headers={"Host": "localhost"})
        proxy.open()
        after = [
            client.post(path, json=body(), headers=KEY),
            client.get("/_mock/health", headers={"Host": "localhost"}),
        ]

    assert before.status_code == 200
    for answer in gone:
        if contract == "cometapi":
            assert_refused(answer)
        else:
            assert (answer.status_code, json.loads(answer.data)["code"]) == (503, 5001)
    assert health.status_code == 503
    assert "cannot be used" in json.loads(health.data)["error"]
    assert "\nklingkit_store_errors_total 3.0\n" in metrics.text, "what this process has counted is there all the same"
    assert [answer.status_code for answer in after] == [200, 200]
    assert [level for level, _ in lines(caplog)] == [logging.ERROR, logging.WARNING]
    states.take_back()


def test_a_database_that_says_nothing(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "ANSWER_S", 0.2)
    url = states.new("postgresql")
    assert url
    plain = make_url(url)
    with (
        Proxy(plain.host or "", plain.port or 5432) as proxy,
        service(plain.set(host="127.0.0.1", port=proxy.port).render_as_string()) as client,
    ):
        before = create(client)
        proxy.silent = True
        refused = create(client)

    assert before.status_code == 200
    assert_refused(refused)
    states.take_back()


class Proxy:
    """Stands before a database, and can go and come, or keep to itself what it hears."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._sockets: list[socket.socket] = []
        self.silent = False
        self.port = 0

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._sockets = [listener]
        threading.Thread(target=self._accept, args=[listener], daemon=True).start()

    def close(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self._to)
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self.silent:
                    target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)


def test_a_bug_in_what_is_noted_is_an_answer_too(states: States, caplog: pytest.LogCaptureFixture) -> None:
    url = states.new("sqlite")
    assert url
    with service(url) as client, closing(sqlite3.connect(make_url(url).database or "", isolation_level=None)) as other:
        other.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON klingkit_journal BEGIN SELECT RAISE(ABORT, 'broken'); END"
        )
        unnoted = create(client)
        other.execute("DROP TRIGGER broken")
        other.execute("CREATE TRIGGER broken BEFORE INSERT ON klingkit_tasks BEGIN SELECT RAISE(ABORT, 'broken'); END")
        failed = create(client)

    assert unnoted.status_code == 200, "what was done is done"
    assert (failed.status_code, json.loads(failed.data)["code"]) == (500, 5000)
    assert [record.message for record in caplog.records if record.exc_info] == [BUG, BUG]
