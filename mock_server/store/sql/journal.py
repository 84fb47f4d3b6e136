"""The journal in the database: numbers in the order of the commits, whichever process keeps an entry."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, fields
from time import monotonic
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, bindparam, delete, func, insert, literal_column, select, update

from ...journal import Entry
from ..store import StoreUnavailableError
from .driver import Hot
from .tables import journal, journal_state, tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Row

    from .database import Database

LOOK_S = 0.05
"""How often whoever waits looks for what other processes have kept."""
AT_ONCE = 200
"""So many too old entries go together, which costs little more than one; they are not shown any more."""
APART = ("body", "answer", "number")
REST = tuple(each.name for each in fields(Entry) if each.init and each.name not in APART)
"""Fields of an entry that stand in one column."""

_j, _s = journal.c, journal_state.c
_SUMS = ("added", "kept", "bytes")
_values = {
    name: bindparam(name, type_=_j[name].type)
    for name in ("account", "poll_of", "at", "size", "body", "answer", "rest")
}
_size = _values["size"]
_1 = literal_column("1", BigInteger)

# On PostgreSQL both in one statement, which is a transaction by itself and one way to the server; SQLite has no such thing.
_counted = (
    update(journal_state)
    .values(last=_s.last + _1, added=_s.added + _1, kept=_s.kept + _1, bytes=_s.bytes + _size)
    .returning(_s.generation, _s.last, *(_s[name] for name in _SUMS))
    .cte("counted")
)
_c = _counted.c
_kept = (
    insert(journal)
    .from_select(["number", *_SUMS, *_values], select(_c.last, *(_c[name] for name in _SUMS), *_values.values()))
    .cte("kept_entry")
)
_add_counted = Hot(select(_c.generation, _c.last, _c.kept, _c.bytes).add_cte(_kept))

# On SQLite the newest entry says what there is, so that one statement does, and writes no other page.
_newest = journal.alias("newest")
_is_newest = (_newest.c.number == select(func.max(_j.number)).scalar_subquery()) & (_newest.c.number > _s.last)
_now = {name: func.coalesce(_newest.c[name], _s[name]).label(name) for name in _SUMS}
_last = func.coalesce(_newest.c.number, _s.last)
_there = journal_state.outerjoin(_newest, _is_newest)
_next = select(_last + _1, _now["added"] + _1, _now["kept"] + _1, _now["bytes"] + _size, *_values.values())
_add_next = Hot(
    insert(journal)
    .from_select(["number", *_SUMS, *_values], _next.select_from(_there))
    .returning(select(_s.generation).scalar_subquery(), _j.number, _j.kept, _j.bytes)
)
_state = select(_s.generation, _last.label("last"), *_now.values()).select_from(_there)
_drop_oldest = (
    delete(journal)
    .where(_j.number.in_(select(_j.number).order_by(_j.number).limit(bindparam("most"))))
    .returning(_j.size)
)
_forget = delete(journal).where(_j.account == bindparam("whose")).returning(_j.size)
_less = update(journal_state).values(
    kept=_s.kept - bindparam("fewer"), bytes=_s.bytes - bindparam("smaller"), added=_s.added - bindparam("uncounted")
)
_put = update(journal_state).values(last=bindparam("number"), **{name: bindparam(f"new_{name}") for name in _SUMS})
_begin_anew = update(journal_state).values(generation=_s.generation + 1, last=0, added=0, kept=0, bytes=0)
_the_task = bindparam("the_task", type_=_j.poll_of.type)
_its_account = select(tasks.c.account).where(tasks.c.task_id == _the_task).scalar_subquery()
_polls = select(_j.at, _j.number).where(_j.account == _its_account, _j.poll_of == _the_task).order_by(_j.number)
_shown_from = select(_j.number).order_by(_j.number).limit(1).offset(bindparam("hidden"))
_after = select(journal).where(_j.number > bindparam("after")).order_by(_j.number)
_encode = json.JSONEncoder(separators=(",", ":")).encode


class SqlJournal:
    """The last entries, as many as `limit` and `max_bytes` let there be."""

    def __init__(self, database: Database, limit: int, max_bytes: int) -> None:
        self._database = database
        self._limit = limit
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._waiters: list[_Waiter] = []
        self._closed = False

    @property
    def count(self) -> int:
        """How many there have been."""
        return int(self._read_state().added)

    @property
    def dropped(self) -> int:
        """How many older entries are not kept any more."""
        state = self._read_state()
        return int(state.added - min(state.kept, self._limit))

    def add(self, entry: Entry) -> int:
        """Keep an entry and give it the next number, which it returns; whoever waits sees it.

        What was asked for has been done: where the entry cannot be kept, it is lost, and its number is 0.
        """
        row = {
            "account": entry.account,
            "poll_of": entry.task_id if entry.is_poll else None,
            "at": entry.at,
            "size": entry.size,
            "body": entry.body,
            "answer": entry.answer,
            "rest": _encode([getattr(entry, name) for name in REST]),
        }
        add = _add_next if self._database.is_sqlite else _add_counted
        try:
            generation, entry.number, many, size = self._database.note_at_once(add.rows, row)[0]
            if _is_full(many, size, self._limit, self._max_bytes):
                self._database.note(_drop, self._limit, self._max_bytes)
        except StoreUnavailableError:  # the log says so
            return 0
        if self._waiters:
            self._show(entry, generation)
        return entry.number

    def _show(self, entry: Entry, generation: int) -> None:
        with self._changed:
            for waiter in self._waiters:
                is_after = (generation, entry.number) > (waiter.generation, waiter.after)
                if waiter.entry is None and is_after and waiter.matches(entry):
                    waiter.entry = entry
            self._changed.notify_all()

    def entries(
        self, account: str | None = None, *, after: int = 0, limit: int | None = None, newest_first: bool = False
    ) -> list[Entry]:
        """Return the first `limit` entries of an account or of all that come after a number, from the oldest or the newest on."""
        return self._database.read(_entries, self._limit, account, after, limit, newest_first=newest_first)

    def entry(self, number: int) -> Entry | None:
        """Return the entry of a number; None if it is not kept, or not any more."""
        found = self._database.read(_entries, self._limit, None, number - 1, 1, newest_first=False)
        return next((entry for entry in found if entry.number == number), None)

    def polls_of(self, task_id: str) -> list[tuple[int, int]]:
        """Return time in ms and number of each query of a task, oldest first."""
        return self._database.read(_polls_of, self._limit, task_id)

    def wait_for(self, matches: Callable[[Entry], bool], timeout: float, after: int = 0) -> Entry | None:
        """Return the first entry with a number above `after` that matches, waiting for at most `timeout` s of the machine's time.

        One that comes to this process is returned even if it is forgotten at once. A reset begins the numbers anew, and then every
        one counts.
        """
        end = monotonic() + timeout
        waiter = _Waiter(matches, after, self._read_state().generation)
        with self._changed:
            self._waiters.append(waiter)
        try:
            while waiter.entry is None:
                self._look(waiter)
                with self._changed:
                    left = end - monotonic()
                    if waiter.entry is not None or self._closed or left <= 0:
                        break
                    self._changed.wait(min(left, LOOK_S))
        finally:
            with self._changed:
                self._waiters.remove(waiter)
        return waiter.entry

    def _look(self, waiter: _Waiter) -> None:
        """Show a waiter what has come to any process."""
        state = self._read_state()
        with self._changed:
            if state.generation != waiter.generation:
                waiter.generation, waiter.after = state.generation, 0
            after = waiter.after
        if state.last > after:
            for entry in self.entries(after=after):
                with self._changed:
                    waiter.after = max(waiter.after, entry.number)
                    if waiter.entry is None and waiter.matches(entry):
                        waiter.entry = entry

    def forget(self, account: str) -> None:
        """Drop the entries of an account."""
        self._database.note(forget, account)

    def clear(self) -> None:
        """Begin anew, also for those who wait."""
        self._database.note(clear)

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _read_state(self) -> Row[Any]:
        return self._database.read(_read_state)


@dataclass(slots=True, eq=False)
class _Waiter:
    matches: Callable[[Entry], bool]
    after: int
    generation: int
    """How often the numbers had begun anew when `after` was one of them."""
    entry: Entry | None = None


def _is_full(kept: int, size: int, limit: int, max_bytes: int) -> bool:
    return kept > limit + AT_ONCE or (size > max_bytes and kept > 0)


def _drop(connection: Connection, limit: int, max_bytes: int) -> None:
    """Drop the oldest entries while there are too many."""
    state = _take_state(connection)
    kept, size = state.kept, state.bytes
    while _is_full(kept, size, limit, max_bytes):
        dropped = connection.execute(_drop_oldest, {"most": max(kept - limit, AT_ONCE)}).scalars().all()
        if not dropped:
            break
        connection.execute(_less, {"fewer": len(dropped), "smaller": sum(dropped), "uncounted": 0})
        kept, size = kept - len(dropped), size - sum(dropped)


def forget(connection: Connection, account: str) -> None:
    """Drop the entries of an account."""
    _take_state(connection)
    sizes = connection.execute(_forget, {"whose": account}).scalars().all()
    connection.execute(_less, {"fewer": len(sizes), "smaller": sum(sizes), "uncounted": len(sizes)})


def _take_state(connection: Connection) -> Row[Any]:
    """Return the state, which its row says from now on; nobody adds an entry before the end of the transaction."""
    connection.execute(_less, {"fewer": 0, "smaller": 0, "uncounted": 0})
    state = _read_state(connection)
    connection.execute(_put, {"number": state.last, **{f"new_{name}": getattr(state, name) for name in _SUMS}})
    return state


def clear(connection: Connection) -> None:
    """Drop all, and begin the numbers anew."""
    connection.execute(_begin_anew)
    connection.execute(delete(journal))


def _read_state(connection: Connection) -> Row[Any]:
    return connection.execute(_state).one()


def _entries(
    connection: Connection, shown: int, account: str | None, after: int, limit: int | None, *, newest_first: bool
) -> list[Entry]:
    first = _first_shown(connection, shown) - 1
    found = _after if limit is None else _after.limit(limit)
    if newest_first:
        found = found.order_by(None).order_by(_j.number.desc())
        found = found.where(_j.number < after) if after else found
    if account is not None:
        found = found.where(_j.account == account)
    return [_read(row) for row in connection.execute(found, {"after": first if newest_first else max(after, first)})]


def _first_shown(connection: Connection, shown: int) -> int:
    """Return the number of the oldest entry that has not become too old, but stays until it goes with others."""
    hidden = _read_state(connection).kept - shown
    return (connection.execute(_shown_from, {"hidden": hidden}).scalar() or 0) if hidden > 0 else 0


def _polls_of(connection: Connection, shown: int, task_id: str) -> list[tuple[int, int]]:
    first = _first_shown(connection, shown)
    return [(at, number) for at, number in connection.execute(_polls, {"the_task": task_id}) if number >= first]


def _read(row: Row[Any]) -> Entry:
    rest = dict(zip(REST, json.loads(row.rest), strict=True))
    for pairs in ("headers", "advice"):
        rest[pairs] = [tuple(pair) for pair in rest[pairs]]
    rest["questions"] = tuple(rest["questions"])
    return Entry(body=row.body, answer=row.answer, number=row.number, **rest)
