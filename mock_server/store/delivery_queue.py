"""Callbacks that are due or settled. No lock of its own: the store holds one."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from sortedcontainers import SortedList

from ..clocks import SERVER
from .line import SLACK, Line
from .store import UnknownCursorError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ..deliveries import Attempt, Delivery, Outcome
    from ..tasks import Task
    from .clock_states import ClockStates

    Due = tuple[int, int, str]
    """Time in ms, order, and id of a delivery or name of an account."""

MAX_AT_ONCE = 8
"""Attempts of one account, so that its slow receiver does not hold up the others."""
MAX_ATTEMPTS_KEPT = 100
"""Of one delivery, which can be sent again and again by hand."""


LOOKED_THROUGH = 1000
"""Entries of a heap, of which some may be out of date, for a person who wants to see what is next."""


def growth(delivery: Delivery, attempt: Attempt) -> int:
    """Return how many bytes more are kept when a delivery has one more attempt: the oldest may go for it."""
    is_full = len(delivery.attempts) >= MAX_ATTEMPTS_KEPT
    return attempt.size - (delivery.attempts[0].size if is_full else 0)


def in_order(heap: list[Due]) -> Iterator[Due]:
    """Yield the entries of a heap in order, at the cost of those that are taken, and leave it as it is."""
    ahead = [(heap[0], 0)] if heap else []
    while ahead:
        entry, place = heapq.heappop(ahead)
        yield entry
        for child in (2 * place + 1, 2 * place + 2):
            if child < len(heap):
                heapq.heappush(ahead, (heap[child], child))


@dataclass(slots=True)
class _Account:
    """The callbacks of one account."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    """Pending deliveries of each task, in the order in which they are made."""
    due: list[Due] = field(default_factory=list)
    """Heap of the heads of the lines. An entry whose delivery was hastened, settled or dropped since is out of date: it is passed
    over when it comes up, which is cheaper than to look for it."""
    attempts: int = 0
    """How many are under way."""


class DeliveryQueue:
    """All deliveries, and which of them is next.

    Callbacks of one task are made one after the other: of each task only the first that is pending, the head of its line, stands
    in the heap of its account, of each account only the first of its heap in that of the clock that it follows, and of each clock
    only the first in the heap of all, by the machine's time. A claimed delivery, and an account with too many of them, stands in no
    heap until one is finished.
    """

    def __init__(self, clocks: ClockStates) -> None:
        self._clocks = clocks
        self._deliveries: dict[str, Delivery] = {}
        self._in_order: Line[str] = Line()
        """Ids, in the order in which they were planned."""
        self._of_account: dict[str, Line[str]] = {}
        self._by_outcome: dict[tuple[str | None, str], SortedList[tuple[int, str]]] = {}
        """Number and id, by account (None: of all) and outcome."""
        self._numbers = itertools.count(1)
        self._accounts: dict[str, _Account] = {}
        self._due: dict[str, list[Due]] = {}
        """By clock owner a heap of accounts, each at least once and not too late; what is too early is put right when it comes up."""
        self._wakes: list[tuple[int, str]] = []
        """Heap of clock owners in the same way, by the machine's time in ms at which the first of their accounts is due."""
        self._claimed: set[str] = set()
        self._resends: dict[str, None] = {}
        self._order = itertools.count()
        self.counts: Counter[str] = Counter(pending=0)
        """How many there are, by outcome."""

    def add(self, deliveries: list[Delivery]) -> None:
        """Keep the callbacks of one new task."""
        if deliveries:
            line = self._of_account.setdefault(deliveries[0].account, Line())
            for delivery in deliveries:
                number = next(self._numbers)
                self._deliveries[delivery.id] = replace(delivery, number=number)
                self._in_order.add(number, delivery.id)
                line.add(number, delivery.id)
                self._sort(delivery.account, (number, delivery.id), after="pending")
            self.counts["pending"] += len(deliveries)
            task_id, account = deliveries[0].task_id, deliveries[0].account
            self._account(account).lines[task_id] = [delivery.id for delivery in deliveries]
            self._push_head(account, task_id)

    def remove(self, account: str, task_id: str, delivery_ids: list[str]) -> None:
        """Forget the callbacks of a task."""
        for delivery_id in delivery_ids:
            if delivery := self._deliveries.pop(delivery_id, None):
                self.counts[delivery.outcome or "pending"] -= 1
                self._sort(account, (delivery.number, delivery.id), before=delivery.outcome or "pending")
                self._in_order.remove(delivery.number)
                self._of_account[account].remove(delivery.number)
                if not self._of_account[account].count:
                    del self._of_account[account]
            self._resends.pop(delivery_id, None)
        if state := self._accounts.get(account):
            state.lines.pop(task_id, None)
            self._tidy(account, state)

    def reach(self, task: Task, step: int, now: int) -> None:
        """Make due what waits for a step that a task has just reached by a query or by hand."""
        late = task.scenario.callback_late_ms if task.scenario else 0
        for delivery_id in self._line(task.account, task.task_id):
            delivery = self._deliveries[delivery_id]
            if delivery.trigger == step and not delivery.attempts:
                self._deliveries[delivery_id] = replace(delivery, due_at=now + late)
        self._push_head(task.account, task.task_id)

    def follow(self, owner: str) -> None:
        """Note that a clock goes otherwise than before, or that an account follows another."""
        if owner != SERVER and (state := self._accounts.get(owner)):
            self._push_account(owner, state)
        self._push_owner(owner)

    def claim(self, machine: int, *, only: str | None = None, without: Collection[str] = ()) -> Delivery | None:
        """Take the delivery that was asked for again, else the one that has been due the longest; `finish` gives it back."""
        found = self._next_resend(only, without) or self._next_due(machine, only, without)
        if found:
            self._claimed.add(found.id)
            state = self._account(found.account)
            state.attempts += 1
            self._push_account(found.account, state)
        return found

    def next_due(self, only: str) -> int | None:
        """Time in ms of the next attempt of an account, or (empty) of those that follow the server's clock; None if there is none."""
        if self._first_resend(only, ()):
            return 0
        first = self._first_of(only) if only else self._first_by(SERVER, ())
        return first[0] if first else None

    def next_wake(self, without: Collection[str]) -> int | None:
        """Time of the machine in ms of the next attempt of all; None if no clock comes to one by itself."""
        if self._first_resend(None, without):
            return 0
        found = self._first_wake(without)
        return found[0] if found else None

    def finish(self, delivery: Delivery, attempt: Attempt, *, retry_at: int | None, outcome: Outcome) -> int:
        """Note an attempt of a claimed delivery: another one follows at `retry_at` (ms), or it is settled as `outcome`.

        Return how many bytes more are kept than before.
        """
        state = self._account(delivery.account)
        if delivery.id in self._claimed:
            self._claimed.discard(delivery.id)
            state.attempts -= 1
        kept = self._deliveries.get(delivery.id)
        if kept is not None:  # else its task was dropped meanwhile
            self._note(kept, replace(delivery, attempts=(*delivery.attempts, attempt), due_at=retry_at), outcome)
        self._push_account(delivery.account, state)
        self._tidy(delivery.account, state)
        return 0 if kept is None else growth(delivery, attempt)

    def resend(self, delivery_id: str) -> bool:
        """Make a settled delivery due once more; False if there is none of that id, or it is pending."""
        delivery = self._deliveries.get(delivery_id)
        if delivery is None or not delivery.outcome:
            return False
        self._resends[delivery_id] = None
        return True

    def get(self, delivery_id: str) -> Delivery | None:
        """Return one delivery."""
        return self._deliveries.get(delivery_id)

    def among(self, delivery_ids: Iterable[str]) -> list[Delivery]:
        """Return those of these ids that there are."""
        return list(filter(None, map(self._deliveries.get, delivery_ids)))

    def after(
        self, account: str | None, delivery_id: str, limit: int, *, newest_first: bool, outcome: str | None
    ) -> list[Delivery]:
        """Return at most `limit` of an account or of all, in order, after the one of an id. Raises UnknownCursorError."""
        last = self._deliveries.get(delivery_id)
        if delivery_id and (last is None or account not in {None, last.account}):
            raise UnknownCursorError(delivery_id)
        number = last.number if last else None
        if outcome is not None:
            found = self._by_outcome.get((account, outcome), SortedList())
            first = None if number is None else (number, "~") if not newest_first else (number, "")
            ids = found.irange(None, first, reverse=True) if newest_first else found.irange(first)
            return self.among(delivery_id for _, delivery_id in islice(ids, limit))
        line = self._in_order if account is None else self._of_account.get(account)
        if line is None:
            return []
        return self.among(line.before(number, limit) if newest_first else line.after(number or 0, limit))

    def upcoming(self, whose: str, limit: int) -> list[Delivery]:
        """Return at most `limit` deliveries that are next of an account, or (empty) by the server's clock, in order.

        Of each task it is only the first that is pending.
        """
        states = [self._accounts[whose]] if whose in self._accounts else []
        if whose == SERVER:
            firsts = (entry for entry in in_order(self._due.get(whose, [])) if self._first_of(entry[2]) == entry)
            names = islice(dict.fromkeys(name for _, _, name in islice(firsts, LOOKED_THROUGH)), limit)
            states = [self._accounts[name] for name in names if self._clocks.owner(name) == whose]
        entries: set[Due] = set()
        for state in states:
            due = filter(self._is_due, islice(in_order(state.due), LOOKED_THROUGH))
            entries.update(islice(due, limit))
        ids = dict.fromkeys(delivery_id for _, _, delivery_id in sorted(entries))
        return self.among(islice(ids, limit))

    def pending(self, limit: int) -> list[str]:
        """Return the ids of at most `limit` tasks of which one is pending."""
        return list(islice((task_id for state in self._accounts.values() for task_id in state.lines), limit))

    def _note(self, before: Delivery, after: Delivery, outcome: Outcome) -> None:
        settled_before = bool(after.outcome)
        outcome = after.outcome if settled_before and outcome != "delivered" else outcome
        after = replace(after, attempts=after.attempts[-MAX_ATTEMPTS_KEPT:], outcome=outcome)
        self._deliveries[after.id] = after
        self.counts[before.outcome or "pending"] -= 1
        self.counts[outcome or "pending"] += 1
        self._sort(after.account, (after.number, after.id), before.outcome or "pending", outcome or "pending")
        if settled_before:
            return
        line = self._line(after.account, after.task_id)
        if after.due_at is None and line[:1] == [after.id]:
            del line[0]
        self._push_head(after.account, after.task_id)

    def _next_resend(self, only: str | None, without: Collection[str]) -> Delivery | None:
        """Return what somebody asked for: it waits for nothing, however busy its account is."""
        delivery = self._first_resend(only, without)
        if delivery:
            del self._resends[delivery.id]
        return delivery

    def _first_resend(self, only: str | None, without: Collection[str]) -> Delivery | None:
        for delivery_id in self._resends:
            delivery = self._deliveries[delivery_id]
            names = {delivery.account, self._clocks.owner(delivery.account)}
            if delivery_id not in self._claimed and only in {None, *names} and names.isdisjoint(without):
                return delivery
        return None

    def _next_due(self, machine: int, only: str | None, without: Collection[str]) -> Delivery | None:
        if only is None:
            wake = self._first_wake(without)
            first = self._first_by(wake[1], without) if wake and wake[0] <= machine else None
        else:
            first = self._first_of(only) if only else self._first_by(SERVER, without)
        if first is None or first[0] > self._clocks.of(first[2])[1].at(machine):
            return None
        return self._deliveries[heapq.heappop(self._accounts[first[2]].due)[2]]

    def _first_wake(self, without: Collection[str]) -> tuple[int, str] | None:
        """Return the clock owner whose clock, as it goes now, comes first to an attempt, with the machine's time of that."""
        put_aside: list[tuple[int, str]] = []
        found: tuple[int, str] | None = None
        while self._wakes and (found is None or self._wakes[0] < found):
            entry = heapq.heappop(self._wakes)
            if put_aside[-1:] == [entry]:
                continue
            if (wake := self._wake(entry[1], ())) != entry:
                if wake:
                    heapq.heappush(self._wakes, wake)
                continue
            put_aside.append(entry)
            if entry[1] not in without:
                wake = self._wake(entry[1], without) if without else entry
                found = min(filter(None, (found, wake)), default=None)
        for entry in put_aside:
            heapq.heappush(self._wakes, entry)
        return found

    def _wake(self, owner: str, without: Collection[str]) -> tuple[int, str] | None:
        first = self._first_by(owner, without)
        at = self._clocks.of(owner)[1].when(first[0]) if first else None
        return None if at is None else (at, owner)

    def _first_by(self, owner: str, without: Collection[str]) -> Due | None:
        """Return the entry of the account with the next attempt by a clock; None if there is none."""
        heap = self._due.get(owner, [])
        put_aside: list[Due] = []
        found: Due | None = None
        while heap and not found:
            entry = heap[0]
            first = self._first_of(entry[2]) if self._clocks.owner(entry[2]) == owner else None
            if first == entry and entry[2] not in without:
                found = first
            else:
                heapq.heappop(heap)
            if first == entry and not found:
                put_aside.append(entry)
            elif first and not found:
                heapq.heappush(heap, first)
        for entry in put_aside:
            heapq.heappush(heap, entry)
        if not heap:
            self._due.pop(owner, None)
        return found

    def _first_of(self, account: str) -> Due | None:
        """Return the entry of an account for the heap of all; None if nothing is due for it, or it is too busy."""
        state = self._accounts.get(account)
        if state is None or state.attempts >= MAX_AT_ONCE:
            return None
        while state.due and not self._is_due(state.due[0]):
            heapq.heappop(state.due)
        return (*state.due[0][:2], account) if state.due else None

    def _is_due(self, entry: Due) -> bool:
        delivery = self._deliveries.get(entry[2])
        return delivery is not None and delivery.id not in self._claimed and delivery.due_at == entry[0]

    def _account(self, account: str) -> _Account:
        return self._accounts.get(account) or self._accounts.setdefault(account, _Account())

    def _line(self, account: str, task_id: str) -> list[str]:
        state = self._accounts.get(account)
        return state.lines.get(task_id, []) if state else []

    def _push_head(self, account: str, task_id: str) -> None:
        state = self._account(account)
        line = self._line(account, task_id)
        if not line:
            state.lines.pop(task_id, None)
            return
        delivery = self._deliveries[line[0]]
        if delivery.due_at is None or delivery.id in self._claimed:
            return
        if len(state.due) > 2 * len(state.lines) + 64:
            state.due = list({entry[2]: entry for entry in state.due if self._is_due(entry)}.values())
            heapq.heapify(state.due)
        heapq.heappush(state.due, (delivery.due_at, next(self._order), delivery.id))
        self._push_account(account, state)

    def _push_account(self, account: str, state: _Account) -> None:
        if state.attempts >= MAX_AT_ONCE or not state.due:
            return
        owner = self._clocks.owner(account)
        heap = self._due.setdefault(owner, [])
        entry = (*state.due[0][:2], account)
        is_first = not heap or entry < heap[0]
        heapq.heappush(heap, entry)
        if len(heap) > 2 * len(self._accounts) + SLACK:
            names = {name for _, _, name in heap if self._clocks.owner(name) == owner}
            self._due[owner] = list(filter(None, map(self._first_of, names)))
            heapq.heapify(self._due[owner])
        if is_first:
            self._push_owner(owner)

    def _push_owner(self, owner: str) -> None:
        if len(self._wakes) > 2 * len(self._due) + SLACK:
            self._wakes = list(filter(None, (self._wake(name, ()) for name in list(self._due))))
            heapq.heapify(self._wakes)
        if wake := self._wake(owner, ()):
            heapq.heappush(self._wakes, wake)

    def _sort(self, account: str, entry: tuple[int, str], before: str = "", after: str = "") -> None:
        """Note that a delivery has another outcome, came or goes."""
        if before == after:
            return
        for whose in (account, None):
            if before:
                found = self._by_outcome[whose, before]
                found.remove(entry)
                if not found:
                    del self._by_outcome[whose, before]
            if after:
                self._by_outcome.setdefault((whose, after), SortedList()).add(entry)

    def _tidy(self, account: str, state: _Account) -> None:
        if not state.lines and not state.attempts:
            self._accounts.pop(account, None)
