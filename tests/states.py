"""Places where a simulator can keep its state, for tests that hold wherever it does."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine, delete, update

from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.store.sql import clocks, journal
from klingkit.mock_server.store.sql.opening import prepare
from klingkit.mock_server.store.sql.resetting import FORGOTTEN
from klingkit.mock_server.store.sql.tables import leases, state

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

VARIABLE = "KLINGKIT_TEST_POSTGRES_URL"


class States:
    """Gives out empty states. They are made once in a run: to make all tables takes longer than most tests."""

    def __init__(self, folder: Path, worker: str) -> None:
        self._folder = folder
        self._prefix = f"klingkit_test_{worker}_{os.getpid()}"
        self._template = folder / "template.db"
        self._schemas: list[str] = []
        self._given = 0
        """Of the schemas, in the test that runs."""

    def new(self, kind: str, seed: int = 0, start: ClockState | None = None) -> str | None:
        """Return the URL of a state that nobody has used before, as far as that can be seen; None for memory."""
        start = start or ClockState(START)
        if kind == "memory":
            return None
        url = self._new_file() if kind == "sqlite" else self._new_schema()
        engine = create_engine(url)
        with engine.begin() as connection:
            _begin_anew(connection, seed, start)
        engine.dispose()
        return url

    def take_back(self) -> None:
        """Let the next test have what this one had."""
        self._given = 0

    def close(self) -> None:
        """Drop the schemas."""
        for number in range(len(self._schemas)):
            _execute(f"DROP SCHEMA {self._prefix}_{number} CASCADE")

    def _new_file(self) -> str:
        if not self._template.exists():
            prepare(Settings(state=f"sqlite:///{self._template}"), ClockState(START), anew=False)
        path = self._folder / f"{len(list(self._folder.iterdir()))}.db"
        shutil.copy(self._template, path)
        return f"sqlite:///{path}"

    def _new_schema(self) -> str:
        if self._given == len(self._schemas):
            schema = f"{self._prefix}_{self._given}"
            _execute(f"CREATE SCHEMA {schema}")
            # nobody pulls the plug of a test, and to wait for the disk is most of its time
            url = f"{postgres_url()}?options=-csearch_path%3D{schema}%20-csynchronous_commit%3Doff"
            prepare(Settings(state=url), ClockState(START), anew=False)
            self._schemas.append(url)
        self._given += 1
        return self._schemas[self._given - 1]


def postgres_url() -> str:
    """Return the URL of a database in which tests may make schemas; skip the test if there is none."""
    url = os.environ.get(VARIABLE)
    if not url:
        pytest.skip(f"{VARIABLE} names no PostgreSQL, such as postgresql+psycopg://postgres@127.0.0.1:5432/test")
    return url


def _execute(statement: str) -> None:
    url = postgres_url().replace("+psycopg", "")
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(statement)


def _begin_anew(connection: Connection, seed: int, start: ClockState) -> None:
    for table in (*FORGOTTEN, leases):  # faster than TRUNCATE where there are few rows
        connection.execute(delete(table))
    journal.clear(connection)
    clocks.put(connection, "", start)
    connection.execute(update(state).values(seed=seed, first_seed=seed, settings=None, queued=0, most_ever=0))
