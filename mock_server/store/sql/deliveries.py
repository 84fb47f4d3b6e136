"""Callbacks that are due or settled, and who attempts them: as `delivery_queue.py`, for many processes.

Callbacks of one task are made one after the other: only the first that is pending, the head, can be claimed. Each account has a row
that says when its next attempt is due, so that a long line of one account is never looked through for the sake of another.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, not_, select, update
from sqlalchemy.dialects.postgresql import insert

from ...deliveries import Attempt, Delivery
from ..delivery_queue import MAX_ATTEMPTS_KEPT, growth
from ..store import UnknownCursorError
from . import leases
from .clocks import state_of
from .tables import Name, callers, deliveries
from .tables import leases as lease_table

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Row

    from ...clock import ClockState
    from ...deliveries import Outcome
    from ...tasks import Task

ATTEMPT = tuple(each.name for each in fields(Attempt))
OUTCOMES = ("pending", "delivered", "given_up", "refused")

_d, _c = deliveries.c, callers.c
_whose, _task = bindparam("whose", type_=Name), bindparam("of_task", type_=Name)
_add = insert(deliveries).values(attempts="[]", outcome="", claimed=False, resend=False)
_meet = insert(callers).values(attempts=0, delivered=0, given_up=0, refused=0)  # SQLite says it in the same words
_meet = _meet.on_conflict_do_update(index_elements=["account"], set_={"pending": _c.pending + _meet.excluded.pending})
_lock = select(_c.account).where(_c.account == _whose).with_for_update()
_refresh = (
    update(callers)
    .where(_c.account == _whose)
    .values(
        due_at=select(func.min(_d.due_at)).where(_d.account == _whose, _d.head, not_(_d.claimed)).scalar_subquery(),
        attempts=select(func.count())
        .where(lease_table.c.account == _whose, lease_table.c.kind == leases.ATTEMPT)
        .scalar_subquery(),
    )
    .returning(_c.clock, _c.due_at)
)
_wake = update(callers).where(_c.account == _whose).values(wake_at=bindparam("at"))
_follow = update(callers).where(_c.account == _whose).values(clock=bindparam("whom"), wake_at=None)
_count = update(callers).where(_c.account == _whose)
_reach = (
    update(deliveries)
    .where(_d.task_id == _task, _d.trigger == bindparam("reached"), _d.outcome == "", _d.attempts == "[]")
    .values(due_at=bindparam("at"))
)
_account_of = select(_d.account).where(_d.task_id == _task).limit(1)
_remove = delete(deliveries).where(_d.task_id == _task).returning(_d.outcome)
_drop_idle = delete(callers).where(_c.account == _whose, _c.pending + _c.delivered + _c.given_up + _c.refused == 0)
_settle = update(deliveries).where(_d.id == bindparam("the_id"))
_next_head = (
    update(deliveries)
    .where(
        _d.number
        == select(func.min(_d.number)).where(_d.task_id == _task, _d.outcome == "").correlate(None).scalar_subquery()
    )
    .values(head=True)
)
_one = select(deliveries).where(_d.id == bindparam("the_id"))
_resend = update(deliveries).where(_d.id == bindparam("the_id"), _d.outcome != "").values(resend=True)
_sums = select(*(func.sum(_c[name]) for name in OUTCOMES))
_pending = select(_d.task_id).where(_d.head).limit(bindparam("most"))


def add(connection: Connection, new: list[Delivery], clock: str) -> None:
    """Keep the callbacks of one new task of an account that follows the clock of `clock`."""
    if not new:
        return
    account = new[0].account
    connection.execute(_meet, {"account": account, "clock": clock, "pending": len(new)})
    rows = [
        {
            "id": each.id,
            "task_id": each.task_id,
            "account": account,
            "step": each.step,
            "trigger": each.trigger,
            "due_at": each.due_at,
            "status": each.status,
            "head": not place,
        }
        for place, each in enumerate(new)
    ]
    connection.execute(_add, rows)
    refresh(connection, account)


def reach(connection: Connection, task: Task, step: int, now: int) -> None:
    """Make due what waits for a step that a task has just reached by a query or by hand."""
    late = task.scenario.callback_late_ms if task.scenario else 0
    lock(connection, task.account)
    if connection.execute(_reach, {"of_task": task.task_id, "reached": step, "at": now + late}).rowcount:
        refresh(connection, task.account)


def remove(connection: Connection, task_ids: list[str]) -> None:
    """Forget the callbacks of tasks."""
    for task_id in task_ids:
        account = connection.execute(_account_of, {"of_task": task_id}).scalar()
        if account is None:
            continue
        lock(connection, account)
        outcomes = connection.execute(_remove, {"of_task": task_id}).scalars().all()
        _add_up(connection, account, [(outcome, -1) for outcome in outcomes])
        refresh(connection, account)
        connection.execute(_drop_idle, {"whose": account})


def forget(connection: Connection, account: str) -> None:
    """Forget the callbacks of an account; attempts that are under way are known until they are over."""
    connection.execute(delete(deliveries).where(_d.account == account))
    connection.execute(delete(callers).where(_c.account == account))


def clear(connection: Connection) -> None:
    """Forget all."""
    connection.execute(delete(deliveries))
    connection.execute(delete(callers))


def follow(connection: Connection, account: str, own: ClockState | None) -> None:
    """Let the callbacks of an account go by a clock of its own, which has been made or moved, or (None) by the server's."""
    lock(connection, account)
    connection.execute(_follow, {"whose": account, "whom": "" if own is None else account})
    refresh(connection, account, own)


def finish(
    connection: Connection, delivery: Delivery, attempt: Attempt, *, retry_at: int | None, outcome: Outcome
) -> int:
    """Note an attempt of a claimed delivery; return how many bytes more are kept than before. A claim that has run out is void."""
    account = delivery.account
    lock(connection, account)
    if not leases.give_back(connection, delivery.fence):
        return 0
    kept = connection.execute(_one, {"the_id": delivery.id}).first()
    if kept is not None:  # else its task was dropped meanwhile
        _note(connection, delivery, attempt, retry_at, outcome)
    refresh(connection, account)
    return 0 if kept is None else growth(delivery, attempt)


def _note(connection: Connection, delivery: Delivery, attempt: Attempt, retry_at: int | None, outcome: Outcome) -> None:
    before = delivery.outcome
    after = before if before and outcome != "delivered" else outcome
    attempts = [*delivery.attempts, attempt][-MAX_ATTEMPTS_KEPT:]
    values: dict[str, Any] = {"claimed": False, "attempts": _as_json(attempts), "due_at": retry_at, "outcome": after}
    if after:
        values["head"] = False
    connection.execute(_settle.values(**values), {"the_id": delivery.id})
    if after and not before:
        connection.execute(_next_head, {"of_task": delivery.task_id})
    if after != before:
        _add_up(connection, delivery.account, [(before, -1), (after, 1)])


def resend(connection: Connection, delivery_id: str) -> bool:
    """Make a settled delivery due once more; False if there is none of that id, or it is pending."""
    return connection.execute(_resend, {"the_id": delivery_id}).rowcount > 0


def get(connection: Connection, delivery_id: str) -> Delivery | None:
    """Return one delivery."""
    row = connection.execute(_one, {"the_id": delivery_id}).first()
    return read(row) if row else None


def of_tasks(connection: Connection, task_ids: Collection[str]) -> dict[str, list[Delivery]]:
    """Return the callbacks of each of these tasks that has some, in the order in which they are made."""
    found: dict[str, list[Delivery]] = {}
    for row in connection.execute(select(deliveries).where(_d.task_id.in_(task_ids)).order_by(_d.number)):
        found.setdefault(row.task_id, []).append(read(row))
    return found


def page(
    connection: Connection, account: str | None, after: str, limit: int, *, newest_first: bool, outcome: str | None
) -> list[Delivery]:
    """Return at most `limit` callbacks of an account or of all, after that of an id. Raises UnknownCursorError."""
    found = select(deliveries).order_by(_d.number.desc() if newest_first else _d.number).limit(limit)
    if after:
        last = connection.execute(select(_d.number, _d.account).where(_d.id == after)).first()
        if last is None or account not in {None, last.account}:
            raise UnknownCursorError(after)
        found = found.where(_d.number < last.number if newest_first else _d.number > last.number)
    if account is not None:
        found = found.where(_d.account == account)
    if outcome is not None:
        found = found.where(_d.outcome == ("" if outcome == "pending" else outcome))
    return [read(row) for row in connection.execute(found)]


def upcoming(connection: Connection, whose: str, limit: int) -> list[Delivery]:
    """Return at most `limit` that are next of an account, or (empty) by the server's clock, in order; of each task only the head."""
    first = select(_c.account).where(_c.clock == "", _c.due_at.is_not(None)).order_by(_c.due_at).limit(limit)
    accounts = [whose] if whose else list(connection.execute(first).scalars())
    heads = (
        select(deliveries)
        .where(_d.account == _whose, _d.head, not_(_d.claimed), _d.due_at.is_not(None))
        .order_by(_d.due_at, _d.number)
        .limit(limit)
    )
    found = [read(row) for account in accounts for row in connection.execute(heads, {"whose": account})]
    return sorted(found, key=lambda delivery: (delivery.due_at or 0, delivery.number))[:limit]


def counts(connection: Connection) -> dict[str, int]:
    """Return how many deliveries there are, by outcome."""
    sums = dict(zip(OUTCOMES, connection.execute(_sums).one(), strict=True))
    return {outcome: int(number or 0) for outcome, number in sums.items() if number or outcome == "pending"}


def pending(connection: Connection, limit: int) -> list[str]:
    """Return the ids of at most `limit` tasks with callbacks that are pending."""
    return list(connection.execute(_pending, {"most": limit}).scalars())


def lock(connection: Connection, account: str) -> None:
    """Let nobody else change callbacks of an account before the end of the transaction."""
    if connection.dialect.name != "sqlite":  # where one writes at a time
        connection.execute(_lock, {"whose": account})


def refresh(connection: Connection, account: str, own: ClockState | None = None) -> None:
    """Note anew when the next attempt of an account is due, and how many are under way. It was locked before."""
    found = connection.execute(_refresh, {"whose": account}).first()
    if found and found.clock:
        state = own or state_of(connection, found.clock)
        at = None if found.due_at is None else state.when(found.due_at)
        connection.execute(_wake, {"whose": account, "at": at})


def _add_up(connection: Connection, account: str, changes: list[tuple[str, int]]) -> None:
    sums: dict[str, int] = {}
    for outcome, number in changes:
        sums[outcome or "pending"] = sums.get(outcome or "pending", 0) + number
    connection.execute(_count.values({name: _c[name] + number for name, number in sums.items()}), {"whose": account})


def read(row: Row[Any], fence: int = 0) -> Delivery:
    """Return the delivery that a row holds."""
    attempts = tuple(_attempt(*values) for values in json.loads(row.attempts))
    return Delivery(
        id=row.id,
        task_id=row.task_id,
        account=row.account,
        step=row.step,
        trigger=row.trigger,
        due_at=row.due_at,
        status=row.status,
        attempts=attempts,
        outcome=row.outcome,
        number=row.number,
        fence=fence,
    )


def _attempt(*values: Any) -> Attempt:
    found = dict(zip(ATTEMPT, values, strict=True))
    found["signed"] = tuple(found["signed"])
    found["answer_headers"] = tuple((name, value) for name, value in found["answer_headers"])
    return Attempt(**found)


def _as_json(attempts: list[Attempt]) -> str:
    return json.dumps([[getattr(made, name) for name in ATTEMPT] for made in attempts], separators=(",", ":"))
