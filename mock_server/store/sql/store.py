"""All state of the simulator in a database, which several processes may share. Bounded as in memory."""

from __future__ import annotations

import os
import threading
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...account_settings import AccountSettings, over
from ...cache import ByteCache
from ...clock import Machine
from ..memory import OTHER_BYTES
from ..store import PAGE, QueueEntry, StaleChanceError, StoreUnavailableError, UnknownCursorError
from . import (
    accounts,
    agenda,
    chances,
    changing_clocks,
    claims,
    clocks,
    copies,
    deliveries,
    dropping,
    inputs,
    queues,
    resetting,
    tasks,
    totals,
    windows,
)
from .address import is_local
from .agenda import status_name
from .codec import fields_from_json, json_part, may_have, task_from_json
from .copies import kept
from .journal import SqlJournal
from .leases import SqlLeases

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from decimal import Decimal

    from sqlalchemy import Connection, Row

    from ...account_settings import Changes
    from ...agenda import Due, Place
    from ...chance import ChanceState
    from ...clock import ClockState, Move
    from ...deliveries import Attempt, Delivery, Outcome
    from ...scenario import Scenario
    from ...settings import Settings
    from ...tasks import Task
    from ..task_records import Record
    from .database import Database

CATCH_UP_EVERY = 500
"""Tasks, after which those are counted anew that have changed meanwhile, so that nobody who asks has to wait for many."""
MAKING = 64
"""Locks, of which each account has one."""
LARGE_ATTEMPT = 2000
"""Bytes of an attempt from which on it is counted: a receiver that says little, as most do, costs no statement more."""
LONGEST_MANGLED = 25
"""Digits of an id that may have passed through a float."""


class SqlStore:
    """The state by concern. Each method is one transaction; what a process keeps a copy of is read anew by `refresh`.

    Result pictures are this process's own: any other draws the same.
    """

    def __init__(self, database: Database, settings: Settings, start: ClockState) -> None:
        self._database = database
        self._settings = settings
        self._start = start
        self._share = settings.max_memory // 8
        self._most = self._share // OTHER_BYTES
        self._machine = Machine().now
        self.leases = SqlLeases(database, f"{os.getpid()}-{uuid.uuid4().hex}")
        self.journal = SqlJournal(database, settings.max_journal, self._share)
        self._copies = copies.copies_of(database.read(copies.read))
        self._making = [threading.Lock() for _ in range(MAKING)]
        self.results = ByteCache(self._share)

    def refresh(self) -> None:
        """Look whether another process has changed what this one keeps a copy of."""
        now = self._database.read(copies.read)
        before = self._copies.of
        if now.resets != before.resets:
            self.results = ByteCache(self._share)
        if now.generation != before.generation:
            self._copies = copies.copies_of(now)
        else:
            self._copies.of = now

    def close(self) -> None:
        """Let nobody wait any more, and close the connections."""
        self.journal.close()
        self.leases.close()
        self._database.close()

    @property
    def waits(self) -> bool:
        """Whether what is acknowledged waits for another process: SQLite is in this one."""
        return not self._database.is_sqlite

    @property
    def is_near(self) -> bool:
        """Whether the database is on this machine."""
        return is_local(self._database.url)

    @property
    def created(self) -> int:
        """How many tasks there have been."""
        return self._database.read(totals.one, "created")

    def reset(self) -> None:
        """Forget everything, clocks and seeds too."""
        self._database.write(resetting.everything, self._start)
        self.refresh()

    def reset_account(self, account: str) -> None:
        """Forget everything of one account, its clock and its seed too, but not how many tasks it has ever made."""
        while self._database.write(dropping.drop_of_account, account, self._most):
            pass
        self._database.write(resetting.account, account, self._most)
        self.refresh()

    # Tasks

    def add(
        self,
        task: Task,
        now: int,
        deliveries: list[Delivery],
        *,
        freed_by: str = "",
        inputs: Mapping[int, bytes] | None = None,
        expected: ChanceState | None = None,
    ) -> bool:
        """Keep a new task with its callbacks, and drop the oldest if there are too many; tell whether one was dropped."""
        clock = self.clock(task.account)[0]
        limits = self.settings(task.account)
        try:
            number, sums = self._database.write(
                self._add,
                task,
                now,
                deliveries,
                tasks.new_row(task, clock),
                freed_by=freed_by,
                pictures=inputs or {},
                limits=limits,
                expected=expected,
            )
        except StaleChanceError:
            self._forget_chance(task.account)
            raise
        if expected:
            self._keep_chance(task.account, expected._replace(made=expected.made + 1, ever=expected.ever + 1))
        try:
            if number % CATCH_UP_EVERY == 0:
                self._count_changes(clock, now)
                self._give_back(clock, now)
            return self._make_room(sums())
        except StoreUnavailableError:  # the task is there, and the next one does the rest
            return False

    def _add(
        self,
        connection: Connection,
        task: Task,
        now: int,
        new: list[Delivery],
        row: dict[str, Any],
        *,
        freed_by: str,
        pictures: Mapping[int, bytes],
        limits: AccountSettings,
        expected: ChanceState | None,
    ) -> tuple[int, Callable[[], dict[str, int]]]:
        clock = row["clock"]
        held = accounts.take_for(connection, task)
        if task.external_task_id or accounts.has_limits(limits):  # else there is nothing to wait for
            self._check_place(held(), clock, expected)
            tasks.check_external_id(connection, task, now, freed_by)
            accounts.check_limits(connection, task, held(), limits, now)
        added = tasks.add(connection, row)
        self._check_place(held(), clock, expected)
        number = added()
        agenda.add(connection, task, number, clock)
        deliveries.add(connection, new, clock)
        changes = {"tasks": 1, "bytes": row["size"], status_name(row["status"]): 1, "created": 1, "slots": task.n}
        changes["charged"] = accounts.millionths(task.cost)
        if pictures:
            changes[inputs.BYTES] = inputs.add(connection, task.task_id, pictures, 3 * self._share)
        return number, totals.add(connection, changes)

    def _check_place(self, row: accounts.Held, clock: str, expected: ChanceState | None) -> None:
        """Raise StaleChanceError if a task is not the one that its account makes next, or not by the clock that this follows."""
        if row.own_clock != bool(clock) or (
            expected and (expected.made, expected.ever) != (row.made - 1, row.ever - 1)
        ):
            raise StaleChanceError

    def _make_room(self, sums: dict[str, int]) -> bool:
        """Drop the oldest tasks, and pictures that were sent, while there is too much; tell whether a task was dropped."""
        if sums.get(inputs.BYTES, 0) > 3 * self._share:
            self._database.write(inputs.make_room, 3 * self._share)
        bounds = self._settings.max_tasks, 2 * self._share
        if not dropping.is_needed(sums, *bounds):
            return False
        while self._database.write(dropping.drop_oldest, *bounds, self._most):
            pass
        return True

    def alone(self, account: str) -> AbstractContextManager[Any]:
        """Let no other thread of this process make a task of an account meanwhile; others that share its lock wait too."""
        return self._making[hash(account) % len(self._making)]

    def get(self, task_id: str) -> Task | None:
        """Return a task of any account."""
        return self._database.read(tasks.get, task_id)

    def input(self, task_id: str, number: int) -> bytes | None:
        """Return the bytes of a picture that a task was made from; None if they are not known, or not kept any more."""
        return self._database.read(inputs.get, task_id, number)

    def kept_inputs(self, task_ids: Iterable[str]) -> set[tuple[str, int]]:
        """Return of which pictures of these tasks there are bytes, by task id and number."""
        return self._database.read(inputs.kept, list(task_ids))

    def record(self, task_id: str) -> Record | None:
        """Return a task with what happened to it."""
        row = self._database.read(tasks.row_of, task_id)
        return self._records([row])[0] if row else None

    def tasks(
        self, account: str | None = None, *, after: str = "", limit: int = PAGE, newest_first: bool = False
    ) -> list[Task]:
        """Return at most `limit` tasks of an account or of all, in order, after that of an id. Raises UnknownCursorError."""
        return [task_from_json(row.data) for row in self._rows(account, after, limit, newest_first=newest_first)]

    def look_through(
        self, account: str | None, texts: Collection[str], *, after: str, limit: int, newest_first: bool
    ) -> list[tuple[str, Task | None]]:
        """Return the same with their ids; None in place of one that has not all of some texts, since to read it takes its time."""
        parts = [json_part(text) for text in texts]
        return [
            (row.task_id, task_from_json(row.data) if may_have(row.data, parts) else None)
            for row in self._rows(account, after, limit, newest_first=newest_first)
        ]

    def records(self, account: str | None = None, *, after: str = "", limit: int = PAGE) -> list[Record]:
        """Return the same with what happened to them. Raises UnknownCursorError."""
        return self._records(self._rows(account, after, limit))

    def _rows(self, account: str | None, after: str, limit: int, *, newest_first: bool = False) -> Sequence[Row[Any]]:
        last = self._database.read(tasks.row_of, after) if after else None
        if after and (last is None or account not in {None, task_from_json(last.data).account}):
            raise UnknownCursorError(after)
        number = last.number if last else None
        return self._database.read(tasks.after, account, number, limit, newest_first=newest_first)

    def _records(self, rows: Sequence[Row[Any]]) -> list[Record]:
        told = self.deliveries_of(row.task_id for row in rows)
        return [
            replace(tasks.record_of(row), deliveries=[delivery.id for delivery in told.get(row.task_id, ())])
            for row in rows
        ]

    def find(self, account: str, path: str, external_task_id: str) -> str:
        """Return the id of the task that an account has made at a path with an external id; empty if there is none."""
        return self._database.read(tasks.find, account, path, external_task_id) if external_task_id else ""

    def page(self, account: str, path: str, first: int, size: int, *, oldest_first: bool = False) -> list[Task]:
        """Return `size` tasks that an account has made at a path, but for the `first`, from the newest on or from the oldest."""
        return self._database.read(tasks.page, account, path, first, size, oldest_first=oldest_first)

    def near_id(self, account: str, task_id: str) -> str:
        """Return the id of a task of the account that becomes the given one when it passes through a float; else empty."""
        if not (task_id.isascii() and task_id.isdigit() and len(task_id) < LONGEST_MANGLED):
            return ""
        near = self._database.read(tasks.near, account, task_id)
        return "" if near == task_id else near

    def count_statuses(self, machine: int) -> dict[str, int]:
        """Return how many tasks have which status, each by the clock of its account."""
        for clock, now in [("", self._now("", machine)), *self._database.read(agenda.clocks_of_uncounted, machine)]:
            self._count_changes(clock, now)
        sums = self._database.read(totals.everything)
        statuses = {status: sums[name] for name in sums if (status := agenda.status_of(name))}
        return {status: number for status, number in statuses.items() if number}

    def _count_changes(self, clock: str, now: int) -> None:
        if self._database.read(agenda.has_uncounted, clock, now):
            while self._database.write(agenda.count_some, clock, now):
                pass

    def count_tasks(self, account: str | None = None) -> int:
        """Return how many tasks of an account or of all are kept."""
        if account is None:
            return self._database.read(totals.one, "tasks")
        return self._database.read(accounts.kept_tasks, account)

    def poll(self, task_id: str, account: str, path: str, now: int) -> Task | None:
        """Count a query of a task that an account has made at a path, and move it if queries do that; None if it is not visible."""
        task = self.get(task_id)
        if task is None or (task.account, task.path) != (account, path):
            return None
        return self._database.write(tasks.poll, task_id, now) if tasks.sees_every_query(task) else task

    def move(self, task_id: str, now: int) -> Task | None:
        """Bring a task one step further along its plan, if there is one more; None if there is no such task."""
        return self._database.write(tasks.move, task_id, now)

    def see_end(self, task_id: str) -> bool:
        """Note that a query shows the end; tell whether an earlier one did."""
        seen = self._copies.ends_seen
        earlier = task_id in seen or self._database.note(tasks.see_end, task_id)
        return kept(seen, task_id, lambda: True) and earlier

    def mark_fetched(self, task_id: str) -> None:
        """Note that a result picture was fetched."""
        self._database.note(tasks.mark_fetched, task_id)

    # Time and chance

    def clock(self, account: str) -> tuple[str, ClockState]:
        """Return the clock owner that an account follows, and how that clock goes."""
        if account == "":  # is there always, also where the database is not
            return self._copies.clocks[""]
        return kept(self._copies.clocks, account, lambda: self._database.read(clocks.followed, account))

    def _now(self, account: str, machine: int) -> int:
        return self.clock(account)[1].at(machine)

    def change_clock(self, owner: str, machine: int, change: Callable[[ClockState], ClockState]) -> ClockState:
        """Change a clock as `change` says of how it goes, at once, and return how it goes then. Raises TooManyError, and what `change` does."""
        if owner:
            self._count_changes("", self._now("", machine))
        state = self._database.write(changing_clocks.change, owner, change, self._most)
        self.refresh()
        return state

    def note_move(self, owner: str, move: Move) -> None:
        """Note what was done to a clock."""
        self._database.note(clocks.note_move, owner, move)

    def moves(self, owner: str) -> list[Move]:
        """Return what was done to a clock, oldest first."""
        return self._database.read(clocks.moves_of, owner)

    def own_clocks(self) -> int:
        """Return how many accounts have a clock of their own."""
        return self._database.read(clocks.own)

    def ahead(self, owner: str, after: Place, limit: int, *, changes_only: bool = False) -> list[Due]:
        """Return at most `limit` of what lies ahead of the accounts that follow a clock, in order, from a place on."""
        found = self._database.read(agenda.after, owner, after, limit, changes_only=changes_only)
        if changes_only:
            return found
        return sorted([*found, *self._database.read(windows.after, owner, after, limit)])[:limit]

    def chance(self, account: str) -> ChanceState:
        """Return from what the next task of an account is drawn."""
        copies_now = self._copies
        if account in copies_now.chances:
            return copies_now.chances[account]
        own = kept(copies_now.seeds, account, lambda: self._database.read(chances.seed_of, account))
        return self._database.read(chances.state_of, account, own, copies_now.of.seed)

    def _keep_chance(self, account: str, chance: ChanceState) -> None:
        """Note from what the next task of an account will be drawn, unless another process makes some of its tasks."""
        copies_now = self._copies
        if account not in copies_now.shared:
            copies_now.chances.pop(account, None)
            kept(copies_now.chances, account, lambda: chance)

    def _forget_chance(self, account: str) -> None:
        """Note that somebody else has made a task of an account, or changed what a task depends on."""
        if self._copies.chances.pop(account, None):
            kept(self._copies.shared, account, lambda: True)
        self.refresh()

    def put_seed(self, account: str, seed: int) -> None:
        """Begin all chance of an account, or (empty) of all without a seed of their own, anew. Raises TooManyError."""
        self._database.write(chances.put_seed, account, seed, self._most)
        self.refresh()

    def next_draw(self, account: str) -> int:
        """Count what an account leaves to chance that belongs to no task; return how often it had since its chance began."""
        return self._database.write(chances.next_draw, account, self._most)

    # Accounts

    def settings(self, account: str) -> AccountSettings:
        """Return what holds for an account: its own settings, else the server's."""
        return self._own_settings(account)[1]

    def own_settings(self, account: str) -> Mapping[str, Any]:
        """Return what an account has set for itself."""
        return self._own_settings(account)[0]

    def _own_settings(self, account: str) -> tuple[dict[str, Any], AccountSettings]:
        copies_now = self._copies

        def read() -> tuple[dict[str, Any], AccountSettings]:
            server = fields_from_json(AccountSettings, copies_now.of.settings)
            own = self._database.read(accounts.settings, account) if account else {}
            return own, over(replace(self._settings.account, **server), own)

        return kept(copies_now.settings, account, read)

    def configure(self, account: str | None, changes: Changes, now: int) -> None:
        """Set what holds for an account, or (None) for every account without a setting of its own. Raises TooManyError."""
        if account is None:
            self._database.write(accounts.configure_server, changes)
        else:
            self._database.write(accounts.configure, account, changes, now, self._most)
        self.refresh()

    def spent(self, account: str | None, machine: int) -> Decimal:
        """What an account, or (None) everybody, has paid, less what came back."""
        if account is None:
            sums = self._settled_sums(machine)
            return accounts.amount(sums.get("charged", 0) - sums.get("refunded", 0))
        row = self._settled(account, machine)
        return accounts.amount(row.charged - row.refunded if row else 0)

    def slots(self, account: str | None, machine: int) -> int:
        """How many slots the tasks of an account, or (None) of everybody, hold."""
        if account is None:
            return self._settled_sums(machine).get("slots", 0)
        row = self._settled(account, machine)
        return row.slots if row else 0

    def _settled(self, account: str, machine: int) -> accounts.Held | None:
        clock, state = self.clock(account)
        now = state.at(machine)
        if self._database.read(accounts.has_ended, account, clock, now):
            self._database.write(accounts.settle, account, now)
        return self._database.read(accounts.held, account)

    def _settled_sums(self, machine: int) -> dict[str, int]:
        for clock, now in [("", self._now("", machine)), *self._database.read(accounts.clocks_of_ended, machine)]:
            self._give_back(clock, now)
        return self._database.read(totals.everything)

    def _give_back(self, clock: str, now: int) -> None:
        if self._database.read(accounts.have_ended, clock, now):
            while self._database.write(accounts.settle_some, clock, now):
                pass

    def count_request(self, account: str, now: int) -> bool:
        """Count a request in its window; False if there have been too many."""
        limits = self.settings(account)
        return limits.requests is None or self._database.note(windows.count_request, account, limits, now, self._most)

    def followers(self) -> int:
        """Return how many of `accounts` go by the server's clock, counted up to PAGE."""
        return self._database.read(accounts.followers, PAGE)

    def requests_used(self, account: str, now: int) -> int:
        """Return how many requests the window of an account has counted; 0 where none is limited."""
        limited = self.settings(account).requests is not None
        return self._database.read(windows.requests_used, account, now) if limited else 0

    def accounts(self, *, after: str = "", limit: int = PAGE) -> list[str]:
        """Return at most `limit` accounts that have made a task or have settings of their own, after one. Raises UnknownCursorError."""
        if after and not self._database.read(accounts.is_listed, after):
            raise UnknownCursorError(after)
        return self._database.read(accounts.names, after, limit)

    # Queued scenarios

    def queue_scenario(self, account: str, operation_id: str, scenario: Scenario, times: int) -> None:
        """Let a scenario apply to the next requests for an operation, of one account or (empty) of all. Raises TooManyError."""
        self._database.write(queues.add, account, operation_id, scenario, times, most=self._most)
        self.refresh()

    def take_scenario(self, account: str, operation_id: str) -> tuple[Scenario, str] | None:
        """Use up one turn of the first scenario in the queue of the account, else of all; with the queue's account."""
        if not self._copies.of.queued:
            return None
        return self._database.write(queues.take, account, operation_id)

    def give_back_scenario(self, owner: str, operation_id: str, scenario: Scenario) -> None:
        """Put a turn back that did not come to pass."""
        self._database.write(queues.give_back, owner, operation_id, scenario)

    def unqueue(self, account: str, operation_id: str, scenario: str) -> int:
        """Take what an account (empty: all) has queued out of its queues, and return how many entries that were."""
        removed = self._database.write(queues.remove, account, operation_id, scenario)
        self.refresh()
        return removed

    def queued(self, account: str | None) -> list[tuple[str, str, QueueEntry]]:
        """Return owner, operation and entry of what is queued for an account, for all (empty), or for whomever (None)."""
        return self._database.read(queues.waiting, account)

    # Deliveries

    def claim(
        self, machine: int, *, only: str | None = None, without: Collection[str] = ()
    ) -> tuple[Delivery, Task] | None:
        """Take the delivery that has been due the longest by the clock of its account, with its task; `finish` gives it back."""
        holder, lasts_ms = self.leases.holder, self.leases.lease_ms
        delivery = self._database.write(
            claims.claim, machine, holder=holder, lasts_ms=lasts_ms, only=only, without=without
        )
        if delivery is None:
            return None
        self.leases.hold_attempt(delivery.fence)
        task = self.get(delivery.task_id)
        if task is None:  # it was dropped a moment ago
            self.leases.give_back(delivery.fence)
            return None
        return delivery, task

    def next_due(self, only: str) -> int | None:
        """Return the time of the next attempt by the clock of an account, or (empty) of those that follow the server's; None if there is none."""
        return self._database.read(claims.next_due, only, self._machine())

    def next_wake(self, without: Collection[str] = ()) -> int | None:
        """Return the machine's time of the next attempt of all; it may lie in the past. None if no clock comes to one by itself."""
        return self._database.read(claims.next_wake, self._machine(), without)

    def finish(self, delivery: Delivery, attempt: Attempt, *, retry_at: int | None, outcome: Outcome) -> None:
        """Note an attempt of a claimed delivery: another one follows at `retry_at`, or it is settled as `outcome`."""
        grown = self._database.write(deliveries.finish, delivery, attempt, retry_at=retry_at, outcome=outcome)
        if abs(grown) > LARGE_ATTEMPT:
            self._make_room(self._database.write(tasks.grow, delivery.task_id, grown))
        self.leases.let_go(delivery.fence)

    def resend(self, delivery_id: str) -> bool:
        """Make a settled delivery due once more; False if there is none of that id, or it is pending."""
        return self._database.write(deliveries.resend, delivery_id)

    def deliveries(
        self,
        account: str | None = None,
        *,
        after: str = "",
        limit: int = PAGE,
        newest_first: bool = False,
        outcome: str | None = None,
    ) -> list[Delivery]:
        """Return at most `limit` callbacks of an account or of all, after that of an id. Raises UnknownCursorError."""
        return self._database.read(deliveries.page, account, after, limit, newest_first=newest_first, outcome=outcome)

    def upcoming_deliveries(self, whose: str, limit: int) -> list[Delivery]:
        """Return at most `limit` callbacks that are next of an account, or (empty) by the server's clock, in order."""
        return self._database.read(deliveries.upcoming, whose, limit)

    def deliveries_of(self, task_ids: Iterable[str]) -> dict[str, list[Delivery]]:
        """Return the callbacks of each of these tasks that has some, in the order in which they are made."""
        return self._database.read(deliveries.of_tasks, list(task_ids))

    def pending(self, limit: int) -> list[str]:
        """Return the ids of at most `limit` tasks of which a callback is pending."""
        return self._database.read(deliveries.pending, limit)

    def delivery(self, delivery_id: str) -> Delivery | None:
        """Return one delivery."""
        return self._database.read(deliveries.get, delivery_id)

    def delivery_counts(self) -> dict[str, int]:
        """Return how many deliveries there are, by outcome."""
        return self._database.read(deliveries.counts)
