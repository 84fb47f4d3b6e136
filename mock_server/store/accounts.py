"""What each account has: settings, money, slots, and its window of requests. No lock of its own: the store holds one."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from ..account_settings import changed, over
from ..chance import ChanceState
from .line import Line
from .store import RefusedError, TooManyError, UnknownCursorError

if TYPE_CHECKING:
    from ..account_settings import AccountSettings, Changes
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
    """By id of each task of which nobody has said that it has ended."""
    tasks: int = 0
    """How many are kept."""
    made: int = 0
    """How many there have been since the seed was set."""
    ever: int = 0
    """How many there have ever been."""


class AccountStates:
    """State by account. What a task holds is given back when somebody says that it has ended.

    At most `most` accounts have settings of their own, `most` are remembered of which no task is kept, and of `most` the requests
    are counted.
    """

    def __init__(self, server: AccountSettings, seed: int, most: int) -> None:
        self._server = server
        self._seed = seed
        self._most = most
        self._overrides: dict[str, dict[str, Any]] = {}
        self._effective: dict[str, tuple[AccountSettings, dict[str, Any], AccountSettings]] = {}
        """Of accounts with settings of their own, beside what they were made of: these hold while that is in force."""
        self._accounts: dict[str, _Account] = {}
        self._names: Line[str] = Line()
        self._numbers: dict[str, int] = {}
        """Of each name, in the order in which accounts appeared."""
        self._next_number = itertools.count(1)
        self._idle: OrderedDict[str, None] = OrderedDict()
        """Accounts without tasks or settings of their own, in the order in which they became so."""
        self._spent = Decimal(0)
        """By everybody, those that were forgotten for lack of room included."""
        self._slots = 0
        self._windows: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._seeds: dict[str, int] = {}
        """Of accounts with one of their own."""
        self._draws: OrderedDict[str, int] = OrderedDict()
        """How often an account has left to chance what belongs to no task."""
        self._ever: OrderedDict[str, int] = OrderedDict()
        """How many tasks the accounts had made that are forgotten."""
        self._most_ever = 0
        """The largest number of those that are forgotten altogether: what comes after it was no account's."""

    def forget(self, account: str) -> None:
        """Forget an account."""
        self._overrides.pop(account, None)
        self._effective.pop(account, None)
        if state := self._accounts.pop(account, None):
            self._spent -= state.charged - state.refunded
            self._slots -= state.slots
            self._note_ever(account, state.ever)
        self._idle.pop(account, None)
        self._windows.pop(account, None)
        self._seeds.pop(account, None)
        self._draws.pop(account, None)
        self._lose_name(account)

    def names(self, after: str, limit: int) -> list[str]:
        """Return at most `limit` accounts that have made a task or have settings of their own, after one, as they appeared.

        Raises UnknownCursorError.
        """
        if after and after not in self._numbers:
            raise UnknownCursorError(after)
        return self._names.after(self._numbers.get(after, 0), limit)

    def _learn_name(self, account: str) -> None:
        if account not in self._numbers:
            number = self._numbers[account] = next(self._next_number)
            self._names.add(number, account)

    def _lose_name(self, account: str) -> None:
        if number := self._numbers.pop(account, None):
            self._names.remove(number)

    # Settings

    def settings(self, account: str) -> AccountSettings:
        """Return what holds for an account: its own settings, else the server's. It needs no lock."""
        own = self._overrides.get(account)
        server = self._server
        if own is None:
            return server
        known = self._effective.get(account)
        if known is None or known[0] is not server or known[1] is not own:
            known = self._effective[account] = (server, own, over(server, own))
        return known[2]

    def own(self, account: str) -> dict[str, Any]:
        """Return the settings that an account has of its own. It needs no lock."""
        return self._overrides.get(account, {})

    def configure(self, account: str | None, changes: Changes) -> None:
        """Set what holds for an account, or (None) for every account without a setting of its own. Raises TooManyError."""
        if account is None:
            self._server = replace(self._server, **changed(changes, {"assume": self._server.assume}))
        else:
            if account not in self._overrides and len(self._overrides) >= self._most:
                raise TooManyError(f"{self._most} accounts have settings of their own; a reset makes room")
            changes = changed(changes, self.own(account))
            self._learn_name(account)
            self._idle.pop(account, None)
            spent = self.spent(account)
            # Kept as the sum paid in, of which everything spent is taken away.
            paid_in = {name: changes[name] + spent for name in ("balance", "quota") if changes.get(name) is not None}
            self._overrides[account] = {**self._overrides.get(account, {}), **changes, **paid_in}

    # Chance

    def chance(self, account: str) -> ChanceState:
        """Return from what the next task of an account is drawn."""
        state, seed = self._accounts.get(account), self._seeds.get(account)
        made, ever = (state.made, state.ever) if state else (0, self._ever.get(account, self._most_ever))
        return ChanceState(self._seed, account, made, ever) if seed is None else ChanceState(seed, "", made, ever)

    def put_seed(self, account: str, seed: int) -> None:
        """Begin all chance of an account, or (empty) of all without a seed of their own, anew. Raises TooManyError."""
        if account:
            if account not in self._seeds and len(self._seeds) >= self._most:
                raise TooManyError(f"{self._most} accounts have seeds of their own; a reset makes room")
            self._seeds[account] = seed
        else:
            self._seed = seed
        for name in [account] if account else self._accounts.keys() - self._seeds.keys():
            if state := self._accounts.get(name):
                state.made = 0
        for name in [account] if account else self._draws.keys() - self._seeds.keys():
            self._draws.pop(name, None)

    def next_draw(self, account: str) -> int:
        """Count what an account leaves to chance that belongs to no task; return how often it had before."""
        number = self._draws.pop(account, 0)
        self._draws[account] = number + 1
        if len(self._draws) > self._most:
            self._draws.popitem(last=False)
        return number

    def _note_ever(self, account: str, ever: int) -> None:
        self._ever[account] = ever
        if len(self._ever) > self._most:
            self._most_ever = max(self._most_ever, self._ever.popitem(last=False)[1])

    # Money and slots

    def spent(self, account: str | None) -> Decimal:
        """What an account, or (None) everybody, has paid, less what came back."""
        if account is None:
            return self._spent
        state = self._accounts.get(account)
        return state.charged - state.refunded if state else Decimal(0)

    def tasks(self, account: str) -> int:
        """How many tasks of an account are kept."""
        state = self._accounts.get(account)
        return state.tasks if state else 0

    def slots(self, account: str | None) -> int:
        """How many slots the tasks of an account, or (None) of everybody, hold."""
        if account is None:
            return self._slots
        state = self._accounts.get(account)
        return state.slots if state else 0

    def charge(self, task: Task) -> None:
        """Let an account pay for a new task and hold its slots. Raises RefusedError, with nothing paid or held."""
        state = self._accounts.get(task.account) or _Account(ever=self.chance(task.account).ever)
        self._check_limits(state, task)
        self._learn_name(task.account)
        self._accounts[task.account] = state
        self._idle.pop(task.account, None)
        self._ever.pop(task.account, None)
        state.charged += task.cost
        self._spent += task.cost
        state.slots += task.n
        self._slots += task.n
        state.tasks += 1
        state.made += 1
        state.ever += 1
        state.held[task.task_id] = _Held(task.n, task.cost if task.plan.fails else Decimal(0))

    def end(self, task: Task) -> None:
        """Give back what a task holds that has ended."""
        if state := self._accounts.get(task.account):
            self._give_back(state, task.task_id)

    def release(self, task: Task) -> None:
        """Free the slots of a task that is forgotten, and give back what would have come back at its end."""
        if state := self._accounts.get(task.account):
            self._give_back(state, task.task_id)
            state.tasks -= 1
            if not state.tasks and task.account not in self._overrides:
                self._note_idle(task.account)

    def _note_idle(self, account: str) -> None:
        self._idle[account] = None
        if len(self._idle) > self._most:
            oldest, _ = self._idle.popitem(last=False)
            self._note_ever(oldest, self._accounts.pop(oldest).ever)
            self._lose_name(oldest)

    def _give_back(self, state: _Account, task_id: str) -> None:
        """Give back what a task holds."""
        if held := state.held.pop(task_id, None):
            state.slots -= held.slots
            self._slots -= held.slots
            state.refunded += held.money
            self._spent -= held.money

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

    def requests_used(self, account: str, now: int) -> int:
        """Return how many requests the window of an account has counted."""
        start, count = self._windows.get(account, (now, 0))
        return count if now < start + self.settings(account).window_ms else 0

    def windows(self, account: str | None = None) -> list[tuple[int, str]]:
        """Return the time in ms at which each begun window ends, with its account: of one or of all."""
        found = self._windows if account is None else {account} & self._windows.keys()
        return [(self._windows[name][0] + self.settings(name).window_ms, name) for name in found]
