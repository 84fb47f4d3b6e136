"""What each account has: settings, money, slots, and its window of requests. No lock of its own: the store holds one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..accounts import AccountSettings
    from ..tasks import Task

    HasEnded = Callable[[str, int], bool]
    """Tells whether a task of that id has ended at a time in ms."""


class RefusedError(Exception):
    """A new task is refused by the rule of that id."""

    def __init__(self, rule_id: str) -> None:
        super().__init__(rule_id)
        self.rule_id = rule_id


@dataclass(slots=True)
class Money:
    """What an account has paid. What was charged for a task that fails comes back at its end."""

    charged: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    refunds_due: dict[str, Decimal] = field(default_factory=dict)
    """By id of a task that will fail."""

    def refund(self, task_id: str) -> None:
        """Give back what a task cost, if it is owed."""
        self.refunded += self.refunds_due.pop(task_id, Decimal(0))


class AccountStates:
    """State by account. Ends of tasks are looked up when money or slots are asked for: nothing moves at the end itself."""

    def __init__(self, server: AccountSettings, has_ended: HasEnded) -> None:
        self._server = server
        self._has_ended = has_ended
        self._overrides: dict[str, dict[str, Any]] = {}
        self._effective: dict[str, AccountSettings] = {}
        self._money: dict[str, Money] = {}
        self._slots: dict[str, dict[str, int]] = {}
        self._windows: dict[str, tuple[int, int]] = {}

    def forget(self, account: str) -> None:
        """Forget an account."""
        self._overrides.pop(account, None)
        self._effective.pop(account, None)
        self._money.pop(account, None)
        self._slots.pop(account, None)
        self._windows.pop(account, None)

    def names(self) -> list[str]:
        """Return every account that has made a task or has settings of its own."""
        return sorted(self._money.keys() | self._overrides.keys())

    # Settings

    def known_settings(self, account: str) -> AccountSettings | None:
        """Return what holds for an account if it was worked out before: one look-up, which needs no lock."""
        return self._effective.get(account)

    def settings(self, account: str) -> AccountSettings:
        """Return what holds for an account: its own settings, else the server's."""
        found = self._effective.get(account)
        if found is None:
            found = self._effective[account] = replace(self._server, **self._overrides.get(account, {}))
        return found

    def has_own(self, account: str, name: str) -> bool:
        """Tell whether an account has a setting of its own."""
        return name in self._overrides.get(account, {})

    def configure(self, account: str | None, changes: dict[str, Any], now: int) -> None:
        """Set what holds for an account, or (None) for every account without a setting of its own."""
        if account is None:
            self._server = replace(self._server, **changes)
        else:
            spent = self.spent(account, now)
            # Kept as the sum paid in, of which everything spent is taken away.
            paid_in = {name: changes[name] + spent for name in ("balance", "quota") if changes.get(name) is not None}
            self._overrides.setdefault(account, {}).update({**changes, **paid_in})
        self._effective.clear()

    # Money and slots

    def spent(self, account: str | None, now: int) -> Decimal:
        """What an account, or (None) everybody, has paid, less what came back."""
        accounts = list(self._money) if account is None else [account]
        return sum((self._settle(name, now) for name in accounts), Decimal(0))

    def slots(self, account: str, now: int) -> int:
        """How many slots the tasks of an account hold."""
        held = self._slots.get(account, {})
        for task_id in [task_id for task_id in held if self._has_ended(task_id, now)]:
            del held[task_id]
        return sum(held.values())

    def charge(self, task: Task, now: int) -> None:
        """Let an account pay for a new task and hold its slots. Raises RefusedError, with nothing paid or held."""
        money = self._money.get(task.account) or self._money.setdefault(task.account, Money())
        self._check_limits(task, now)
        money.charged += task.cost
        if task.plan.fails:
            money.refunds_due[task.task_id] = task.cost
        self._slots.setdefault(task.account, {})[task.task_id] = task.n

    def release(self, task: Task) -> None:
        """Free the slots of a task that is forgotten, and give back what would have come back at its end."""
        self._slots.get(task.account, {}).pop(task.task_id, None)
        if money := self._money.get(task.account):
            money.refund(task.task_id)

    def _check_limits(self, task: Task, now: int) -> None:
        limits = self.settings(task.account)
        if limits.quota is not None or limits.balance is not None:
            total = self._settle(task.account, now) + task.cost
            if limits.quota is not None and total > limits.quota:
                raise RefusedError("account.quota")
            if limits.balance is not None and total > limits.balance:
                raise RefusedError("account.balance")
        if limits.concurrency is not None and self.slots(task.account, now) + task.n > limits.concurrency:
            raise RefusedError("account.concurrency")

    def _settle(self, account: str, now: int) -> Decimal:
        """Give back what is owed by now; return what is left of the charges."""
        money = self._money.get(account)
        if money is None:
            return Decimal(0)
        for task_id in [task_id for task_id in money.refunds_due if self._has_ended(task_id, now)]:
            money.refund(task_id)
        return money.charged - money.refunded

    # Windows of requests

    def count_request(self, account: str, now: int) -> bool:
        """Count a request in its window; False if there have been too many."""
        limits = self.settings(account)
        if limits.requests is None:
            return True
        start, count = self._windows.get(account, (now, 0))
        if now >= start + limits.window_ms:
            start, count = now, 0
        self._windows[account] = (start, count + 1)
        return count < limits.requests

    def windows(self) -> list[tuple[int, str]]:
        """Return the time in ms at which each begun window ends, with its account."""
        return [(start + self.settings(account).window_ms, account) for account, (start, _) in self._windows.items()]
