"""The oldest tasks are dropped, so that there is room for new ones, or all of an account: with everything that is theirs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from . import accounts, agenda, deliveries, idle_accounts, inputs, totals
from .agenda import status_name
from .tables import tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column, Connection, Row

SOME = 100
"""Tasks that go at a time."""

_columns: tuple[Column[Any], ...] = (
    tasks.c.number,
    tasks.c.task_id,
    tasks.c.account,
    tasks.c.status,
    tasks.c.slots,
    tasks.c.refund,
    tasks.c.holds,
    tasks.c.size,
)
_oldest = select(*_columns).order_by(tasks.c.number).limit(SOME).with_for_update(skip_locked=True)


def is_needed(sums: dict[str, int], most_tasks: int, most_bytes: int) -> bool:
    """Tell whether the sums say that there are too many tasks; one may be as large as it is."""
    number = sums.get("tasks", 0)
    return number > most_tasks or (sums.get("bytes", 0) > most_bytes and number > 1)


def drop_oldest(connection: Connection, most_tasks: int, most_bytes: int, most_idle: int) -> bool:
    """Drop some of the oldest tasks if there are too many; tell whether there may be more to drop."""
    sums = totals.everything(connection)
    going: list[Row[Any]] = []
    for row in connection.execute(_oldest).all():
        if not is_needed(sums, most_tasks, most_bytes):
            break
        going.append(row)
        sums["tasks"] -= 1
        sums["bytes"] -= row.size
    if going:
        drop(connection, going, most_idle)
    return bool(going) and is_needed(sums, most_tasks, most_bytes)


def drop_of_account(connection: Connection, account: str, most_idle: int) -> bool:
    """Drop some tasks of an account; tell whether there may be more."""
    mine = select(*_columns).where(tasks.c.account == account).order_by(tasks.c.number).limit(SOME).with_for_update()
    going = connection.execute(mine).all()
    if going:
        drop(connection, going, most_idle)
    return len(going) == SOME


def drop(connection: Connection, rows: Sequence[Row[Any]], most_idle: int) -> None:
    """Forget tasks with everything that is theirs: what they still hold comes back."""
    numbers, ids = [row.number for row in rows], [row.task_id for row in rows]
    changes: Counter[str] = Counter()
    by_account: dict[str, Counter[str]] = {}
    for row in rows:
        changes.update({"tasks": -1, "bytes": -row.size, status_name(row.status): -1})
        given_back = by_account.setdefault(row.account, Counter())
        given_back["tasks"] -= 1
        if row.holds:
            given_back.update({"slots": -row.slots, "refunded": row.refund})
            changes.update({"slots": -row.slots, "refunded": row.refund})
    for account in sorted(by_account):  # in one order, so that no two wait for each other
        accounts.add(connection, account, **by_account[account])
    connection.execute(delete(tasks).where(tasks.c.number.in_(numbers)))
    agenda.remove(connection, numbers)
    deliveries.remove(connection, ids)
    changes[inputs.BYTES] -= inputs.remove(connection, ids)
    idle_accounts.note_idle(connection, sorted(by_account), numbers[-1], most_idle)
    totals.add(connection, changes)
