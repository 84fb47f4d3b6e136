"""What is asked of PostgreSQL goes there together, so that a request waits for it few times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError

from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from klingkit.mock_server.store.sql import driver
from klingkit.mock_server.store.sql.address import read_url
from klingkit.mock_server.store.sql.database import Database
from klingkit.mock_server.store.sql.driver import Hot
from klingkit.mock_server.store.sql.pipeline import Pipeline
from tests.conftest import Api, data_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openapi_core import OpenAPI
    from sqlalchemy import Connection

    from tests.states import States

_sum = Hot(text("SELECT count(*) FROM klingkit_totals"))
_add = Hot(text("INSERT INTO klingkit_totals (shard, name, value) VALUES (:shard, :name, :value) RETURNING value"))
ROW = {"shard": 1, "name": "x", "value": 5}


@pytest.fixture
def database(states: States) -> Iterator[Database]:
    url = states.new("postgresql")
    assert url
    made = Database(read_url(url))
    yield made
    made.close()
    states.take_back()


def test_a_create_waits_four_times_and_a_query_three_times(
    states: States, referee: OpenAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A create: has anything changed, the account and the task, the rest and the end of the transaction, the journal."""
    simulator = Simulator(Settings(state=states.new("postgresql")), clock=ClockState(START))
    api = Api(simulator, referee)
    task_id = data_of(api.create())["task_id"]
    sent: list[Pipeline] = []
    flush = Pipeline._flush

    def noted(pipeline: Pipeline) -> None:
        sent.append(pipeline)
        flush(pipeline)

    monkeypatch.setattr(Pipeline, "_flush", noted)
    try:
        api.create()
        creates = len(sent)
        api.query(task_id)
    finally:
        simulator.close()
        states.take_back()

    assert (creates, len(sent) - creates) == (4, 3)


def test_what_is_asked_together_is_answered_each_for_itself(database: Database) -> None:
    def work(connection: Connection) -> list[list[tuple[int, ...]]]:
        answers = [_add.later(connection, {**ROW, "value": value, "shard": value}) for value in (7, 8)]
        return [answer.rows() for answer in [_sum.later(connection, {}), *answers]]

    assert database.write(work) == [[(2,)], [(7,)], [(8,)]]


def test_an_error_undoes_what_was_asked_with_it_and_the_next_finds_a_connection(database: Database) -> None:
    def work(connection: Connection) -> None:
        _add.later(connection, ROW)
        _add.later(connection, ROW)

    with pytest.raises(IntegrityError):
        database.write(work)

    assert database.read(_sum.rows, {}) == [(0,)]


def test_what_was_not_sent_is_forgotten_with_its_transaction(database: Database) -> None:
    def work(connection: Connection) -> None:
        _add.later(connection, ROW)
        raise KeyError

    with pytest.raises(KeyError):
        database.write(work)

    assert database.read(_sum.rows, {}) == [(0,)]


def test_what_the_pipeline_holds_goes_before_a_statement_of_sqlalchemy(database: Database) -> None:
    def work(connection: Connection) -> int:
        _add.later(connection, ROW)
        return int(connection.execute(text("SELECT sum(value) FROM klingkit_totals")).scalar_one())

    assert database.write(work) == 5


def test_text_is_not_cut_where_it_has_a_nul(database: Database) -> None:
    with pytest.raises(DataError):
        database.write(_add.rows, {**ROW, "name": "x\0y"})


def test_a_server_that_says_nothing_is_not_waited_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(connection: Connection) -> None:
        pipeline = driver._driver(connection).pipeline_of_ours
        monkeypatch.setattr(pipeline, "_answer_s", 0.01)
        Hot(text("SELECT pg_sleep(3)")).rows(connection, {})

    with pytest.raises(Exception, match=r"did not answer within 0\.01 s"):
        database.read(work)
