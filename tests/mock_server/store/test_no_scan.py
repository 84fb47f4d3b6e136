"""No statement looks through a whole table of what grows, whatever is asked of a simulator on a database."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from klingkit.mock_server.app import create_app
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from klingkit.mock_server.store.sql.opening import prepare
from tests.conftest import PATH, body

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GROWING = re.compile(r"SCAN klingkit_(tasks|agenda|deliveries|accounts|attempts|journal)\b(?!.* USING )")
"""Clocks of their own are walked when somebody asks about all accounts: few have one."""
Statements = dict[str, Any]


class _Noting(sqlite3.Cursor):
    """Keeps each statement as the driver gets it, with values of one time."""

    found: ClassVar[Statements] = {}

    def execute(self, statement: str, values: Any = ()) -> Self:
        self.found[statement] = values
        return super().execute(statement, values)

    def executemany(self, statement: str, rows: Any) -> Self:
        self.found[statement] = rows[0]
        return super().executemany(statement, rows)


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Any = _Noting) -> Any:
        return super().cursor(factory)


@pytest.fixture
def statements() -> Iterator[Statements]:
    """What SQLite is asked meanwhile."""

    def connect(_dialect: Any, _record: Any, _arguments: Any, named: dict[str, Any]) -> None:
        named["factory"] = _Connection

    _Noting.found.clear()
    event.listen(Engine, "do_connect", connect)
    yield _Noting.found
    event.remove(Engine, "do_connect", connect)


def test_nothing_is_looked_through(tmp_path: Path, statements: Statements) -> None:
    file = tmp_path / "kling.db"
    settings = Settings(state=f"sqlite:///{file}")
    prepare(settings, ClockState(START), anew=True)
    simulator = Simulator(settings, clock=ClockState(START), send=lambda *_, timeout_ms: 200)
    client = create_app(simulator).test_client()
    headers = {"Authorization": "Bearer key"}
    try:
        for number in range(3):
            request = body(callback_url="http://127.0.0.1/", external_task_id=f"order-{number}")
            task_id = client.post(PATH, json=request, headers=headers).json["data"]["task_id"]  # type: ignore[index]
            client.get(f"{PATH}/{task_id}", headers=headers)
        client.get(f"{PATH}/1", headers=headers)
        for control in (Control.of(simulator), Control.of(simulator, key="key")):
            control.advance("1m")
            page = control.tasks(limit=2)
            assert len(control.tasks(after=page[-1]["task_id"])) == 1
            control.deliveries(after=control.deliveries(limit=1)[0]["id"])
            for outcome in ("pending", "delivered", "given_up", "refused"):
                control.deliveries(order="newest", outcome=outcome, limit=3)
            control.journal(order="newest", limit=3)
            control.clock()
            control.accounts(limit=1)
            control.move(task_id)
            control.resend(control.deliveries(task_id=task_id)[0]["id"])
            for ask in (control.health, control.account, control.journal, control.advice, control.clock):
                ask()
        Control.of(simulator, key="key").reset()
    finally:
        simulator.close()
    with sqlite3.connect(file) as connection:
        plans = {
            statement: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            for statement, parameters in statements.items()
            if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH"))
        }
    connection.close()
    assert len(plans) > 30
    assert {
        text: plan for text, plan in plans.items() if any(map(GROWING.search, plan)) and not is_page(text, plan)
    } == {}


def is_page(statement: str, plan: list[str]) -> bool:
    """Tell whether it shows the first of a table in its own order: it ends with these."""
    return "WHERE" not in statement and "LIMIT" in statement and len(plan) == 1
