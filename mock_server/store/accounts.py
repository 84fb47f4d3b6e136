"""What each account has: settings, money, slots, and its window of requests. No lock of its own: the store holds one."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from .store import RefusedError, TooManyError

if TYPE_CHECKING:
    from ..account_settings import AccountSettings
    from ..tasks import Task


class _Held(NamedTuple):
    """What a task gives back at its end."""

    slots: int
    money: Decimal
    """0 for a task that succeeds."""


@dataclass(slots=True)
class _Account:
    """What an account has paid, and what its tasks hold until their end."""

    charged: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    slots: int = 0
    held: dict[str, _Held] = field(default_factory=dict)
    """By id of each task that has not ended, as far as anybody has looked."""
    ends: list[tuple[int, str]] = field(default_factory=list)
    """Heap of time in ms and id of what ends by itself. What was given back since is passed over when it comes up."""
    tasks: int = 0
    """How many are kept."""

    def expect_end(self, at: int, task_id: str) -> None:
        """Note when a task ends."""
        if len(self.ends) > 2 * len(self.held) + 64:
            self.ends = [end for end in self.ends if end[1] in self.held]
            heapq.heapify(self.ends)
        heapq.heappush(self.ends, (at, task_id))

    def settle(self, now: int) -> None:
        """Give back what the tasks held that have ended by now."""
        while self.ends and self.ends[0][0] <= now:
            self.give_back(heapq.heappop(self.ends)[1])

    def give_back(self, task_id: str) -> None:
        """Give back what a task holds."""
        if held := self.held.pop(task_id, None):
            self.slots -= held.slots
            self.refunded += held.money


class AccountStates:
    """State by account. Ends of tasks are looked up when money or slots are asked for: nothing moves at the end itself.

    At most `most` accounts have settings of their own, `most` are remembered of which no task is kept, and of `most` the requests
    are counted.
    """

    def __init__(self, server: AccountSettings, most: int) -> None:
        self._server = server
        self._most = most
        self._overrides: dict[str, dict[str, Any]] = {}
        self._effective: dict[str, AccountSettings] = {}
        """Of accounts with settings of their own."""
        self._accounts: dict[str, _Account] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()
        """Accounts without tasks or settings of their own, in the order in which they became so."""
        self._spent_by_forgotten = Decimal(0)
        self._windows: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def forget(self, account: str) -> None:
        """Forget an account."""
        self._overrides.pop(account, None)
        self._effective.pop(account, None)
        self._accounts.pop(account, None)
        self._idle.pop(account, None)
        self._windows.pop(account, None)

    def names(self) -> list[str]:
        """Return every account that has made a task or has settings of its own."""
        return sorted(self._accounts.keys() | self._overrides.keys())

    # Settings

    def settings(self, account: str) -> AccountSettings:
        """Return what holds for an account: its own settings, else the server's. It needs no lock."""
        return self._effective.get(account) or self._server

    def has_own(self, account: str, name: str) -> bool:
        """Tell whether an account has a setting of its own."""
        return name in self._overrides.get(account, {})

    def configure(self, account: str | None, changes: dict[str, Any], now: int) -> None:
        """Set what holds for an account, or (None) for every account without a setting of its own. Raises TooManyError."""
        if account is None:
            self._server = replace(self._server, **changes)
        else:
            if account not in self._overrides and len(self._overrides) >= self._most:
                raise TooManyError(f"{self._most} accounts have settings of their own; a reset makes room")
            self._idle.pop(account, None)
            spent = self.spent(account, now)
            # Kept as the sum paid in, of which everything spent is taken away.
            paid_in = {name: changes[name] + spent for name in ("balance", "quota") if changes.get(name) is not None}
            self._overrides.setdefault(account, {}).update({**changes, **paid_in})
        for name in self._overrides if account is None else (account,):
            self._effective[name] = replace(self._server, **self._overrides[name])

    # Money and slots

    def spent(self, account: str | None, now: int) -> Decimal:
        """What an account, or (None) everybody, has paid, less what came back."""
        found = self._accounts.values() if account is None else filter(None, [self._accounts.get(account)])
        total = Decimal(0) if account else self._spent_by_forgotten
        for state in found:
            state.settle(now)
            total += state.charged - state.refunded
        return total

    def slots(self, account: str, now: int) -> int:
        """How many slots the tasks of an account hold."""
        state = self._accounts.get(account)
        if state is None:
            return 0
        state.settle(now)
        return state.slots

    def charge(self, task: Task, now: int) -> None:
        """Let an account pay for a new task and hold its slots. Raises RefusedError, with nothing paid or held."""
        state = self._accounts.get(task.account) or _Account()
        state.settle(now)
        self._check_limits(state, task)
        self._accounts[task.account] = state
        self._idle.pop(task.account, None)
        state.charged += task.cost
        state.slots += task.n
        state.tasks += 1
        state.held[task.task_id] = _Held(task.n, task.cost if task.plan.fails else Decimal(0))
        if task.progression == "time" and task.plan.ends:
            state.expect_end(task.plan.steps[-1][1], task.task_id)

    def end(self, task: Task, now: int) -> None:
        """Note that a task was brought to its end by a query or by hand."""
        if state := self._accounts.get(task.account):
            state.expect_end(now, task.task_id)

    def release(self, task: Task) -> None:
        """Free the slots of a task that is forgotten, and give back what would have come back at its end."""
        if state := self._accounts.get(task.account):
            state.give_back(task.task_id)
            state.tasks -= 1
            if not state.tasks and task.account not in self._overrides:
                self._note_idle(task.account)

    def _note_idle(self, account: str) -> None:
        self._idle[account] = None
        if len(self._idle) > self._most:
            oldest, _ = self._idle.popitem(last=False)
            forgotten = self._accounts.pop(oldest)
            self._spent_by_forgotten += forgotten.charged - forgotten.refunded

    def _check_limits(self, state: _Account, task: Task) -> None:
        limits = self.settings(task.account)
        total = state.charged - state.refunded + task.cost
        if limits.quota is not None and total > limits.quota:
            raise RefusedError("account.quota")
        if limits.balance is not None and total > limits.balance:
            raise RefusedError("account.balance")
        if limits.concurrency is not None and state.slots + task.n > limits.concurrency:
            raise RefusedError("account.concurrency")

    # Windows of requests

    def count_request(self, account: str, now: int) -> bool:
        """Count a request in its window; False if there have been too many."""
        limits = self.settings(account)
        if limits.requests is None:
            return True
        start, count = self._windows.get(account, (now, 0))
        if now >= start + limits.window_ms:
            start, count = now, 0
        if account not in self._windows and len(self._windows) >= self._most:
            self._windows.popitem(last=False)
        self._windows[account] = (start, count + 1)
        return count < limits.requests

    def windows(self) -> list[tuple[int, str]]:
        """Return the time in ms at which each begun window ends, with its account."""
        return [(start + self.settings(account).window_ms, account) for account, (start, _) in self._windows.items()]
