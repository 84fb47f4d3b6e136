"""A state is found as it was left, made where there is none, or refused in one line; nothing is changed silently."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from klingkit.mock_server.app import create_app
from klingkit.mock_server.auth import account_name
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.outbound import OutboundError
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from klingkit.mock_server.store import UnusableStateError
from klingkit.mock_server.store.sql.address import is_local, read_url
from klingkit.mock_server.store.sql.opening import prepare
from klingkit.mock_server.store.sql.tables import VERSION
from tests.conftest import PATH, b64, body, data_of, png, subjects

if TYPE_CHECKING:
    from pathlib import Path

HOOK = "http://127.0.0.1:9/hook"


def refusal(url: str) -> str:
    with pytest.raises(UnusableStateError) as raised:
        prepare(Settings(state=url), ClockState(START), anew=False)
    (line,) = str(raised.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "that is no URL of a database: give sqlite:///kling.db or postgresql+psycopg://user@host/db"),
        ("kling.db", "that is no URL of a database"),
        ("sqlite://", "that names no file"),
        ("sqlite:///:memory:", "that names no file"),
        (
            "sqlite:///{folder}/nowhere/kling.db",
            "cannot be made: No such file or directory; give a path that can be written",
        ),
        ("sqlite:///{folder}", "is a folder: give the path of a file"),
        ("mysql://someone:hunter2@host/db", "'mysql' keeps no state"),
        ("postgresql://someone:hunter2@host/db", "let it begin with postgresql+psycopg://"),
        ("postgres://someone:hunter2@host/db", "let it begin with postgresql+psycopg://"),
        ("postgresql+psycopg://someone:hunter2@host", "names no database"),
        (
            "postgresql+psycopg://someone:hunter2@127.0.0.1:1/db?password=hunter2",
            "Connection refused; PostgreSQL must run there and have that database: createdb makes one",
        ),
        ("postgresql+psycopg://someone@127.0.0.1:1/db?row_factory=hunter2", "PostgreSQL has no option 'row_factory'"),
    ],
)
def test_what_cannot_keep_a_state_is_refused_in_one_line_without_a_password(
    url: str, says: str, tmp_path: Path
) -> None:
    line = refusal(url.format(folder=tmp_path))

    assert says in line
    assert "hunter2" not in line
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "kling.db"
    path.write_bytes(b"a letter to a friend " * 100)

    assert "file is not a database" in refusal(f"sqlite:///{path}")
    assert path.read_bytes() == b"a letter to a friend " * 100


def test_a_database_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "kling.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE tasks (id)")

    assert "is a database of something else" in refusal(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("tasks",)]


def test_state_of_another_version_is_refused_until_it_is_to_be_forgotten(state_url: str) -> None:
    engine = create_engine(state_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE klingkit_state SET version = 7"))
        connection.execute(text("CREATE TABLE klingkit_of_then (id INTEGER)"))

    assert (
        f"holds state of version 7, and this klingkit has version {VERSION}: give another place, or --state-reset"
        in refusal(state_url)
    )
    assert prepare(Settings(state=state_url, seed=5), ClockState(START), anew=True) == 5
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM klingkit_tasks")).scalar() == 0
    engine.dispose()


def test_only_its_owner_can_read_a_file(tmp_path: Path) -> None:
    path = tmp_path / "kling.db"
    prepare(Settings(state=f"sqlite:///{path}"), ClockState(START), anew=False)

    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}


def test_after_a_restart_everything_is_as_it_was(state_url: str) -> None:
    """Tasks, what was set, queues, clocks, chance, callbacks, journal and pictures."""
    settings = Settings(state=state_url)
    before = Simulator(settings, clock=ClockState(START), send=no_answer)
    api = create_app(before).test_client()
    picture = b64(png())
    sent = body(callback_url=HOOK, external_task_id="e", subject_image_list=subjects(picture, picture))
    task_id = data_of(api.post(PATH, json=sent, headers=KEY))["task_id"]
    control = Control.of(before, key="key")
    control.configure(balance="3.5", scenario="fail", callback_retries="fast")
    control.scenario("slow", times=2)
    Control.of(before, key="other").advance("1h")
    Control.of(before).configure(concurrency=7)
    Control.of(before).seed(9)
    control.advance("1m")
    drawn, told = before.picture(task_id, 0), everything(before)
    before.close()

    after = Simulator(settings, clock=ClockState(START), send=no_answer)

    assert drawn
    assert after.picture(task_id, 0) == drawn
    assert everything(after) == told
    after.close()


KEY = {"Authorization": "Bearer key"}


def no_answer(url: str, *_: object, **__: object) -> int:
    raise OutboundError(f"nobody listens at {url}")


def everything(simulator: Simulator) -> list[object]:
    """What the control API tells."""
    server, one, other = (Control.of(simulator, key=key) for key in (None, "key", "other"))
    told: list[object] = [server.tasks(), server.deliveries(), server.journal(), one.scenarios()]
    told += [each.account() for each in (server, one, other)]
    told += [each.clock() for each in (one, other)]
    return [*told, *(simulator.store.chance(account_name(key)) for key in ("key", "other"))]


@pytest.mark.parametrize("state", [None, "sqlite:///{folder}/kling.db"])
def test_only_who_keeps_a_state_waits_for_sqlalchemy(state: str | None, tmp_path: Path) -> None:
    state = state and state.format(folder=tmp_path)
    code = f"""
import sys
from klingkit.mock_server.serving import serve
from klingkit.mock_server.app import create_app
from klingkit.mock_server.outbound import OutboundError
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
create_app(Simulator(Settings(state={state!r})))
print("sqlalchemy" in sys.modules, "psycopg" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.split() == [str(state is not None), "False"]


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("sqlite:///kling.db", True),
        ("postgresql+psycopg:///kling", True),
        ("postgresql+psycopg://me@localhost/kling", True),
        ("postgresql+psycopg://me@127.0.0.1:5432/kling", True),
        ("postgresql+psycopg://me@[::1]/kling", True),
        ("postgresql+psycopg:///kling?host=/var/run/postgresql", True),
        ("postgresql+psycopg:///kling?host=db.example.com", False),
        ("postgresql+psycopg://me@localhost/kling?hostaddr=10.0.0.1", False),
        ("postgresql+psycopg://me@db/kling", False),
        ("postgresql+psycopg://me@10.0.0.1/kling", False),
    ],
)
def test_a_database_is_near_if_its_address_is_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, url: str, local: bool
) -> None:
    monkeypatch.delenv("PGHOST", raising=False)

    assert is_local(read_url(url)) is local


def test_an_address_without_host_has_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db")

    assert not is_local(read_url("postgresql+psycopg:///kling"))
