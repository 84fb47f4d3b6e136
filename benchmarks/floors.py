"""What a database costs at least: one bare statement of SQLite and of PostgreSQL, and how many of them a request needs."""

from __future__ import annotations

import logging
import sqlite3
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benchmarks.measured import CREATE, PATH, in_turns
from benchmarks.states import new_database
from klingkit.mock_server.app import create_app
from klingkit.mock_server.clock import ClockState
from klingkit.mock_server.serving.in_process import call
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from klingkit.mock_server.store.sql.opening import prepare

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 300
ROUNDS = 9
FEW = 50
FRAME = 24 + 4096
"""Bytes of a page in the log of SQLite."""
HEADERS = {"Authorization": "Bearer any", "Content-Type": "application/json"}
Counted = tuple[float, float]
"""Of a create, and of a query."""


def of_databases(postgres: str | None) -> str:
    """Measure both, and return them as text; PostgreSQL if there is one."""
    lines = ["\n## What a database costs at least\n", "CPU us of this process:\n", "| | us |", "|---|---:|"]
    with tempfile.TemporaryDirectory() as folder:
        lines += _table(_sqlite(Path(folder) / "bare.db"))
        pages = _counted(f"sqlite:///{folder}/state.db", partial(_pages, Path(folder) / "state.db"))
    said = [
        f"A create writes {pages[0]:.1f} pages to the log of SQLite in two transactions, a query {pages[1]:.1f} in one."
    ]
    if postgres:
        with new_database(postgres) as state:
            lines += _table(_postgresql(state.replace("+psycopg", "")))
            ways = _counted(state, _ways)
        said.append(f"A create goes {ways[0]:.1f} times to PostgreSQL and back, a query {ways[1]:.1f} times.")
    return "\n".join([*lines, "", " ".join(said), ""])


def _table(measures: dict[str, Callable[[], Any]]) -> list[str]:
    timed = [partial(_cpu, measure) for measure in measures.values()]
    in_turns(timed, 1)
    return [f"| {name} | {us:.0f} |" for name, us in zip(measures, in_turns(timed, ROUNDS), strict=True)]


def _cpu(measure: Callable[[], Any]) -> float:
    began = time.process_time()
    for _ in range(COUNT):
        measure()
    return (time.process_time() - began) / COUNT * 1e6


def _sqlite(file: Path) -> dict[str, Callable[[], Any]]:
    bare = sqlite3.connect(file, isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = NORMAL")
    tables = range(10)
    for number in tables:
        bare.execute(f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, data TEXT)")

    def insert(number: int) -> None:
        bare.execute(f"INSERT INTO t{number} (data) VALUES (?)", ("x" * 400,))

    def insert_all() -> None:
        bare.execute("BEGIN IMMEDIATE")
        for number in tables:
            insert(number)
        bare.execute("COMMIT")

    return {
        "SQLite: `SELECT` by a key": lambda: bare.execute("SELECT data FROM t0 WHERE id = 1").fetchall(),
        "SQLite: one `INSERT` of 400 bytes as a transaction, one page": lambda: insert(0),
        "SQLite: ten of them, each on a page of its own, in one transaction": insert_all,
    }


def _postgresql(url: str) -> dict[str, Callable[[], Any]]:
    import psycopg  # noqa: PLC0415 - only who measures PostgreSQL needs it

    from klingkit.mock_server.store.sql.pipeline import Pipeline  # noqa: PLC0415

    by_psycopg, by_libpq = (psycopg.connect(url, autocommit=True) for _ in range(2))
    pipeline = Pipeline(by_libpq.pgconn, 8.0)

    def ask(times: int) -> None:
        for _ in range(times):
            asked = pipeline.ask("SELECT 1, $1::bigint", (5,))
        asked.rows()

    return {
        "PostgreSQL: one statement by psycopg": lambda: by_psycopg.execute("SELECT 1, %s::bigint", (5,)).fetchall(),
        "PostgreSQL: one statement by libpq, as the simulator does": partial(ask, 1),
        "PostgreSQL: five of them sent together": partial(ask, 5),
    }


def _counted(state: str, count_of: Callable[[Callable[[], Any]], float]) -> Counted:
    """Return what a create and a query of a simulator on a state count."""
    logging.getLogger("klingkit").setLevel(logging.ERROR)
    settings = Settings(state=state)
    prepare(settings, ClockState(), anew=True)
    with closing(Simulator(settings, clock=ClockState(1))) as simulator:  # a clock that stands: nothing happens beside
        app = create_app(simulator).wsgi_app
        url = f"http://localhost{PATH}"
        body = call(app, "POST", url, HEADERS, CREATE).body
        task = body.partition(b'"task_id":"')[2].partition(b'"')[0].decode()
        create = partial(call, app, "POST", url, HEADERS, CREATE)
        query = partial(call, app, "GET", f"{url}/{task}", HEADERS)
        return count_of(create), count_of(query)


def _pages(file: Path, ask: Callable[[], Any]) -> float:
    """Return how many pages go to the log of SQLite for each, which is emptied before it would begin anew by itself."""
    with closing(sqlite3.connect(file)) as beside:
        beside.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for _ in range(FEW):
            ask()
        return Path(f"{file}-wal").stat().st_size // FRAME / FEW


def _ways(ask: Callable[[], Any]) -> float:
    """Return how often each goes to PostgreSQL and back."""
    from klingkit.mock_server.store.sql.pipeline import Pipeline  # noqa: PLC0415

    flush = Pipeline._flush
    with patch.object(Pipeline, "_flush", autospec=True, side_effect=flush) as flushed:
        for _ in range(FEW):
            ask()
    return flushed.call_count / FEW
