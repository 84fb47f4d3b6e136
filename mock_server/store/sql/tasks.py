"""Tasks and what happened to them. Each function does its part of somebody's transaction."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite says ON CONFLICT in the same words

from ...tasks import snapshot
from ..store import RefusedError, TakenIdError
from ..task_records import Record
from . import agenda, deliveries, totals
from .accounts import millionths
from .agenda import status_name
from .codec import task_from_json, to_json
from .driver import Hot
from .tables import tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Column, Connection, Row

    from ...tasks import Task

LONGEST_ID = 60
"""Characters; what is longer is no id of a task."""
ROW_BYTES = 1500
"""What a task takes beside its text: its row in the indices, and what is ahead of it."""

_record: tuple[Column[Any], ...] = (
    tasks.c.number,
    tasks.c.task_id,
    tasks.c.data,
    tasks.c.clock,
    tasks.c.status,
    tasks.c.holds,
    tasks.c.polls,
    tasks.c.end_seen,
    tasks.c.fetched,
)
_get = select(*_record).where(tasks.c.task_id == bindparam("task_id"))
_data = Hot(select(tasks.c.data).where(tasks.c.task_id == bindparam("task_id")))
_user = select(tasks.c.number, tasks.c.data).where(
    tasks.c.account == bindparam("account"),
    tasks.c.path == bindparam("path"),
    tasks.c.external == bindparam("external"),
)
_let_go = update(tasks).where(tasks.c.number == bindparam("whose")).values(external=None)
_add = Hot(
    insert(tasks).on_conflict_do_nothing(index_elements=["task_id"]).returning(tasks.c.number),
    *(column.name for column in tasks.c if column is not tasks.c.number),
)


def external_key(external_task_id: str) -> str | None:
    """Return what stands for an external id in an index, which takes no long texts; None for none."""
    if not external_task_id:
        return None
    return hashlib.sha256(external_task_id.encode("utf-8", "surrogatepass")).hexdigest()


def check_external_id(connection: Connection, task: Task, now: int, freed_by: str) -> None:
    """Raise RefusedError if a task of the account has the external id of a new one; one of the status `freed_by` lets it go."""
    key = {"account": task.account, "path": task.path, "external": external_key(task.external_task_id)}
    user = connection.execute(_user, key).first()
    if user is None:
        return
    if snapshot(task_from_json(user.data), now).status != freed_by:
        raise RefusedError("external_task_id.unique")
    connection.execute(_let_go, {"whose": user.number})


def new_row(task: Task, clock: str) -> dict[str, Any]:
    """Return the row of a new task: made before its transaction, which others may wait for."""
    data = to_json(task)
    by_time = task.progression == "time" and task.plan.ends
    return {
        "task_id": task.task_id,
        "account": task.account,
        "path": task.path,
        "external": external_key(task.external_task_id),
        "data": data,
        "clock": clock,
        "status": snapshot(task, task.created_at).status,
        "slots": task.n,
        "refund": millionths(task.cost) if task.plan.fails else 0,
        "holds": True,
        "ends_at": task.plan.steps[-1][1] if by_time else None,
        "polls": 0,
        "end_seen": False,
        "fetched": False,
        "size": len(data) + ROW_BYTES,
    }


def add(connection: Connection, row: dict[str, Any]) -> Callable[[], int]:
    """Keep a new task; return what tells its number, or raises TakenIdError."""
    answer = _add.later(connection, row)

    def number() -> int:
        for found in answer.rows():
            return int(found[0])
        raise TakenIdError

    return number


def grow(connection: Connection, task_id: str, size: int) -> dict[str, int]:
    """Count more bytes to a task; return the sums."""
    grown = update(tasks).where(tasks.c.task_id == task_id).values(size=tasks.c.size + size)
    if not connection.execute(grown).rowcount:  # the task went meanwhile, and its bytes with it
        return {}
    totals.add(connection, {"bytes": size})
    return totals.everything(connection)


# Looking


def row_of(connection: Connection, task_id: str) -> Row[Any] | None:
    """Return the row of a task of any account."""
    if not _may_be_id(task_id):
        return None
    return connection.execute(_get, {"task_id": task_id}).first()


def get(connection: Connection, task_id: str) -> Task | None:
    """Return a task of any account."""
    rows = _data.rows(connection, {"task_id": task_id}) if _may_be_id(task_id) else []
    return task_from_json(rows[0][0]) if rows else None


def _may_be_id(text: str) -> bool:
    """Whether it may be the id of a task: there are texts that a database does not even take."""
    return len(text) <= LONGEST_ID and text.isascii() and "\0" not in text


def record_of(row: Row[Any]) -> Record:
    """Return a task with what happened to it, as the store in memory has it, but for its callbacks."""
    return Record(task_from_json(row.data), row.number, polls=row.polls, end_seen=row.end_seen, fetched=row.fetched)


def find(connection: Connection, account: str, path: str, external_task_id: str) -> str:
    """Return the id of the task that an account has made at a path with an external id; empty if there is none."""
    key = {"account": account, "path": path, "external": external_key(external_task_id)}
    user = connection.execute(_user, key).first()
    return task_from_json(user.data).task_id if user else ""


def near(connection: Connection, account: str, task_id: str) -> str:
    """Return the id of the first task of the account that becomes the same float as another id; empty if there is none."""
    same = float(task_id)
    low, high = int(math.nextafter(same, 0)), int(math.nextafter(same, math.inf))
    for length in range(
        len(str(low)), len(str(high)) + 1
    ):  # ids are texts: only those of one length are in the order of numbers
        first, last = max(low, 10 ** (length - 1)), min(high, 10**length - 1)
        found = connection.execute(_between, {"first": str(first), "last": str(last)}).all()
        for _, other, whose in sorted(found):
            if whose == account and len(other) == length and float(other) == same:
                return str(other)
    return ""


_between = (  # by the account too SQLite would rather look through all tasks of it
    select(tasks.c.number, tasks.c.task_id, tasks.c.account)
    .where(tasks.c.task_id >= bindparam("first"), tasks.c.task_id <= bindparam("last"))
    .limit(1000)
)
_oldest_first = select(*_record).order_by(tasks.c.number).limit(bindparam("limit"))
_newest_first = select(*_record).order_by(tasks.c.number.desc()).limit(bindparam("limit"))


def after(
    connection: Connection, account: str | None, number: int | None, limit: int, *, newest_first: bool
) -> Sequence[Row[Any]]:
    """Return the rows of at most `limit` tasks of an account or of all, in order, after one of that number."""
    found = _newest_first if newest_first else _oldest_first
    if number is not None:
        found = found.where(tasks.c.number < number if newest_first else tasks.c.number > number)
    if account is not None:
        found = found.where(tasks.c.account == account)
    return connection.execute(found, {"limit": limit}).all()


def page(connection: Connection, account: str, path: str, first: int, size: int, *, oldest_first: bool) -> list[Task]:
    """Return `size` tasks that an account has made at a path, but for the `first`, from the newest on or from the oldest."""
    order = tasks.c.number.asc() if oldest_first else tasks.c.number.desc()
    found = (
        select(*_record)
        .where(tasks.c.account == account, tasks.c.path == path)
        .order_by(order)
        .limit(size)
        .offset(first)
    )
    records = [record_of(row) for row in connection.execute(found).all()]
    return [record.task for record in records if not record.hidden_in_lists]


# What happens to them


def sees_every_query(task: Task) -> bool:
    """Whether it matters to a task how many queries there are."""
    return task.progression == "polls" or bool(task.scenario and task.scenario.hidden_polls)


def poll(connection: Connection, task_id: str, now: int) -> Task | None:
    """Count a query of a task and move the task if queries do that; return it, or None if it is not visible."""
    row = connection.execute(_get.with_for_update(), {"task_id": task_id}).first()
    if row is None:
        return None
    record = record_of(row)
    record.polls += 1
    changed = {"polls": record.polls}
    if not record.hidden and record.polls_ask_for_more(now):
        changed |= _moved(connection, row, record, now)
    connection.execute(update(tasks).where(tasks.c.number == row.number).values(changed))
    return None if record.hidden else record.task


def move(connection: Connection, task_id: str, now: int) -> Task | None:
    """Bring a task one step further along its plan, if there is one more; None if there is no such task."""
    row = connection.execute(_get.with_for_update(), {"task_id": task_id}).first()
    if row is None:
        return None
    record = record_of(row)
    if changed := _moved(connection, row, record, now):
        connection.execute(update(tasks).where(tasks.c.number == row.number).values(changed))
    return record.task


def _moved(connection: Connection, row: Row[Any], record: Record, now: int) -> dict[str, Any]:
    """Take the next step of a plan, and return what changes of the row; empty if there is no step."""
    step = record.move(now)
    if step is None:
        return {}
    task = record.task
    status = task.plan.steps[step][0]
    agenda.replace(connection, task, row.number, row.clock)
    deliveries.reach(connection, task, step, now)
    totals.add(connection, {status_name(row.status): -1, status_name(status): 1} if status != row.status else {})
    ends = {"ends_at": now} if step + 1 == len(task.plan.steps) and task.plan.ends else {}
    return {"data": to_json(task), "status": status, **ends}


_see_end = update(tasks).where(tasks.c.task_id == bindparam("whose"), ~tasks.c.end_seen).values(end_seen=True)
_mark_fetched = update(tasks).where(tasks.c.task_id == bindparam("whose"), ~tasks.c.fetched).values(fetched=True)


def see_end(connection: Connection, task_id: str) -> bool:
    """Note that a query shows the end; tell whether an earlier one did."""
    return not connection.execute(_see_end, {"whose": task_id}).rowcount and row_of(connection, task_id) is not None


def mark_fetched(connection: Connection, task_id: str) -> None:
    """Note that a result picture was fetched."""
    connection.execute(_mark_fetched, {"whose": task_id})


def change_clock(connection: Connection, account: str, clock: str) -> None:
    """Let the tasks of an account run on another clock."""
    connection.execute(update(tasks).where(tasks.c.account == account).values(clock=clock))
    agenda.change_clock(connection, account, clock)
