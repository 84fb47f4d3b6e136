"""Scenarios that wait for requests. Each function does its part of somebody's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from ...scenario import Scenario
from ..store import QueueEntry, TooManyError
from .codec import from_json, to_json
from .tables import queues, state

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

_of_queue = (queues.c.account == bindparam("whose"), queues.c.operation == bindparam("what"))
_first = select(queues).where(*_of_queue).order_by(queues.c.place).limit(1)


def add(connection: Connection, account: str, operation_id: str, scenario: Scenario, turns: int, *, most: int) -> None:
    """Put an entry at the end of a queue. Raises TooManyError."""
    if _count(connection, 1) > most:
        raise TooManyError(f"{most} scenarios are queued already; a reset makes room")
    last = select(func.max(queues.c.place)).where(*_of_queue)
    place = connection.execute(last, {"whose": account, "what": operation_id}).scalar() or 0
    _insert(connection, account, operation_id, place + 1, QueueEntry(scenario, turns))


def take(connection: Connection, account: str, operation_id: str) -> tuple[Scenario, str] | None:
    """Use up one turn of the first scenario in the queue of the account, else of all; with the queue's account."""
    _count(connection, 0)
    for owner in (account, ""):
        row = connection.execute(_first, {"whose": owner, "what": operation_id}).first()
        if row:
            _set_turns(connection, row, row.turns - 1)
            return from_json(Scenario, row.scenario), owner
    return None


def give_back(connection: Connection, owner: str, operation_id: str, scenario: Scenario) -> None:
    """Put a turn back that did not come to pass."""
    _count(connection, 0)
    row = connection.execute(_first, {"whose": owner, "what": operation_id}).first()
    if row and row.scenario == to_json(scenario):
        _set_turns(connection, row, row.turns + 1)
    else:
        _count(connection, 1)
        _insert(connection, owner, operation_id, row.place - 1 if row else 0, QueueEntry(scenario, 1))


def remove(connection: Connection, account: str, operation_id: str, scenario: str) -> int:
    """Take out what an account (empty: all) has queued, of an operation and a scenario unless these are empty; return how many."""
    _count(connection, 0)
    mine = select(queues).where(queues.c.account == account)
    rows = connection.execute(mine.where(queues.c.operation == operation_id) if operation_id else mine).all()
    found = [row for row in rows if scenario in {"", from_json(Scenario, row.scenario).text}]
    for row in found:
        _set_turns(connection, row, 0)
    return len(found)


def waiting(connection: Connection, account: str | None) -> list[tuple[str, str, QueueEntry]]:
    """Return owner, operation and entry of what is queued for an account, for all (empty), or for whomever (None)."""
    found = select(queues).order_by(queues.c.account, queues.c.operation, queues.c.place)
    rows = connection.execute(found if account is None else found.where(queues.c.account == account)).all()
    return [(row.account, row.operation, QueueEntry(from_json(Scenario, row.scenario), row.turns)) for row in rows]


def forget(connection: Connection, account: str) -> None:
    """Forget the queues of an account."""
    _count(connection, -connection.execute(delete(queues).where(queues.c.account == account)).rowcount)


def _count(connection: Connection, change: int) -> int:
    """Note how many scenarios wait, and return it. The row of the state is taken first, so that one at a time changes queues."""
    found = update(state).values(queued=state.c.queued + change).returning(state.c.queued)
    return int(connection.execute(found).scalar_one())


def _insert(connection: Connection, account: str, operation_id: str, place: int, entry: QueueEntry) -> None:
    values = {"account": account, "operation": operation_id, "place": place}
    connection.execute(insert(queues).values(**values, scenario=to_json(entry.scenario), turns=entry.turns))


def _set_turns(connection: Connection, row: Row[Any], turns: int) -> None:
    this = (queues.c.account == row.account, queues.c.operation == row.operation, queues.c.place == row.place)
    if turns:
        connection.execute(update(queues).where(*this).values(turns=turns))
    else:
        connection.execute(delete(queues).where(*this))
        _count(connection, -1)
