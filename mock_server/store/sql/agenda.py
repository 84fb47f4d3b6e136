"""What lies ahead of tasks, in order of time, by whose clock it goes. Each function does its part of somebody's transaction."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, exists, func, insert, select, tuple_, update

from ...agenda import Due, ahead_of
from ...clock import ClockState
from . import totals
from .driver import Hot
from .tables import agenda, clocks, tasks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from ...agenda import Place
    from ...tasks import Task

SOME = 1000
"""Changes that are counted at a time."""
COUNTED = "status "
"""Before a status in the name of a sum."""

_add = Hot(insert(agenda), *(column.name for column in agenda.c))
_remove = delete(agenda).where(agenda.c.number == bindparam("whose"))


def add(connection: Connection, task: Task, number: int, clock: str) -> None:
    """Note what is ahead of a task."""
    if found := ahead_of(task, number):
        _add.several(connection, [_row(task, due, clock) for due in found])


def replace(connection: Connection, task: Task, number: int, clock: str) -> None:
    """Note what is ahead of a task that has moved, in place of what was ahead before."""
    connection.execute(_remove, {"whose": number})
    add(connection, task, number, clock)


def remove(connection: Connection, numbers: Iterable[int]) -> None:
    """Forget what is ahead of tasks."""
    connection.execute(delete(agenda).where(agenda.c.number.in_(list(numbers))))


def _row(task: Task, due: Due, clock: str) -> dict[str, Any]:
    by_polls = due.kind == "status" and task.progression == "polls"
    return {
        "number": due.order,
        "step": due.step,
        "clock": clock,
        "at": due.at,
        "kind": due.kind,
        "by_polls": by_polls,
        "status": task.plan.steps[due.step][0] if due.kind == "status" and not by_polls else None,
    }


_columns = (agenda.c.at, agenda.c.number, agenda.c.step, agenda.c.kind, tasks.c.task_id)
_ahead = select(*_columns).join(tasks, tasks.c.number == agenda.c.number).where(agenda.c.clock == bindparam("clock"))
_in_order = (agenda.c.at, agenda.c.number, agenda.c.step)


def after(connection: Connection, clock: str, place: Place, limit: int, *, changes_only: bool) -> list[Due]:
    """Return at most `limit` of what comes after a place, in order, with all steps that queries have not taken yet."""
    by_time = _ahead.where(~agenda.c.by_polls, tuple_(*_in_order) > tuple_(*place))
    if changes_only:
        by_time = by_time.where(agenda.c.kind == "status")
    found = [
        Due(*row)
        for query in (by_time, _ahead.where(agenda.c.by_polls))
        for row in connection.execute(query.order_by(*_in_order).limit(limit), {"clock": clock})
    ]
    return sorted(found)[:limit]


def change_clock(connection: Connection, account: str, clock: str) -> None:
    """Let what is ahead of an account go by another clock."""
    numbers = select(tasks.c.number).where(tasks.c.account == account)
    connection.execute(update(agenda).where(agenda.c.number.in_(numbers)).values(clock=clock))


# How many tasks have which status

_has_come = (agenda.c.clock == bindparam("clock"), ~agenda.c.by_polls, agenda.c.at <= bindparam("now"))
_uncounted = (
    select(agenda.c.number, agenda.c.step, agenda.c.status, tasks.c.status.label("before"))
    .join(tasks, tasks.c.number == agenda.c.number)
    .where(*_has_come, agenda.c.status.is_not(None))
    .order_by(*_in_order)
    .limit(SOME)
    .with_for_update(of=tasks)
)


_changing_clocks = select(clocks.c.owner, clocks.c.standing, clocks.c.offset).where(
    clocks.c.owner != "",
    exists().where(
        agenda.c.clock == clocks.c.owner,
        ~agenda.c.by_polls,
        agenda.c.status.is_not(None),
        agenda.c.at <= func.coalesce(clocks.c.standing, clocks.c.offset + bindparam("machine")),
    ),
)


def clocks_of_uncounted(connection: Connection, machine: int) -> list[tuple[str, int]]:
    """Return owner and time of each clock of an account's own by which tasks have come to a status that is not counted yet."""
    found = connection.execute(_changing_clocks, {"machine": machine}).all()
    return [(row.owner, ClockState(row.standing, row.offset).at(machine)) for row in found]


_forget_passed = delete(agenda).where(*_has_come, agenda.c.status.is_(None))
_any_uncounted = select(agenda.c.number).where(*_has_come, agenda.c.status.is_not(None)).limit(1)


def has_uncounted(connection: Connection, clock: str, now: int) -> bool:
    """Tell whether tasks have come to a status by a time under which they are not counted yet."""
    return connection.execute(_any_uncounted, {"clock": clock, "now": now}).first() is not None


def count_some(connection: Connection, clock: str, now: int) -> bool:
    """Count tasks under the status that they have at a time in ms, a part of them; tell whether there may be more."""
    due = connection.execute(_uncounted, {"clock": clock, "now": now}).all()
    latest: dict[int, tuple[int, str]] = {}
    before: dict[int, str] = {}
    for row in due:
        latest[row.number] = max(latest.get(row.number, (0, "")), (row.step, row.status))
        before[row.number] = row.before
    changes: Counter[str] = Counter()
    by_status: dict[str, list[int]] = {}
    for number, (_, status) in latest.items():
        by_status.setdefault(status, []).append(number)
        changes[status_name(before[number])] -= 1
        changes[status_name(status)] += 1
    for status, numbers in by_status.items():
        connection.execute(update(tasks).where(tasks.c.number.in_(numbers)).values(status=status))
    if due:
        places = [(row.number, row.step) for row in due]
        connection.execute(update(agenda).where(tuple_(agenda.c.number, agenda.c.step).in_(places)).values(status=None))
        connection.execute(_forget_passed, {"clock": clock, "now": now - 1})  # a journey may still be at this moment
        totals.add(connection, changes)
    return len(due) == SOME


def status_name(status: str) -> str:
    """Return the name of the sum of tasks that are counted under a status."""
    return COUNTED + status


def status_of(name: str) -> str:
    """Return the status of the tasks of which a sum of that name is; empty if it is another sum."""
    return name.removeprefix(COUNTED) if name.startswith(COUNTED) else ""
