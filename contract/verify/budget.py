"""Money is a type: what a run may cost is set aside before it is sent, and given back when it turns out to cost nothing."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from ..cases.case import FAILS, MAY, PICTURES, UNCLEAR, Case
from ..judge.reply import may_cost
from ..targets.target import HttpTarget, NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..spec import Contract
    from ..targets.target import Reply, Request


class BudgetError(Exception):
    """What is to be sent could cost more than is left."""


class Purse:
    """A budget, for many threads at once."""

    def __init__(self, budget: Decimal) -> None:
        self.budget = budget
        self.spent = Decimal(0)
        self._held = Decimal(0)
        self._closed = False
        self._changed = threading.Condition()

    @property
    def most(self) -> Decimal:
        """What is spent, and may yet be."""
        return self.spent + self._held

    def hold(self, amount: Decimal) -> None:
        """Set an amount aside; wait for what others hold, if that can make room. Raises BudgetError if nothing can."""
        __tracebackhide__ = True
        with self._changed:
            while self._closed or self.spent + self._held + amount > self.budget:
                if self._closed or not self._held:
                    raise BudgetError(
                        f"{amount} more than the {self.spent} spent would cross the budget of {self.budget}: nothing was sent"
                    )
                self._changed.wait()
            self._held += amount

    def close(self) -> None:
        """Let nothing more be set aside, also for those who wait for it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def settle(self, held: Decimal, spent: Decimal) -> None:
        """Spend a part of what was set aside, and give the rest back."""
        with self._changed:
            self._held -= held
            self.spent += spent
            self._changed.notify_all()

    def refund(self, amount: Decimal) -> None:
        """Take back what was counted as spent and was not charged."""
        with self._changed:
            self.spent -= amount
            self._changed.notify_all()


class BudgetedTarget(HttpTarget):
    """A service at a URL, all of whose creates together cost no more than a budget, at the listed price.

    What a create may cost is set aside before it is sent, and given back if it is refused.
    """

    def __init__(self, url: str, key: str, contract: Contract, budget: Decimal) -> None:
        super().__init__(url, key)
        self._contract = contract
        self._purse = Purse(budget)

    def send(self, request: Request, key: str | None = None) -> Reply:
        """Send a request to the service. Raises BudgetError, with nothing sent, if it could cost more than is left."""
        __tracebackhide__ = True
        if request.method == "GET":
            return super().send(request, key)
        pictures = Case("", request, "create_task", MAY).pictures if request.raw is None else UNCLEAR
        amount = self._contract.price_per_picture * pictures
        self._purse.hold(amount)
        spent = amount
        try:
            reply = super().send(request, key)
            spent = amount if may_cost(self._contract, reply) else Decimal(0)
        except NoAnswerError as error:
            spent = amount if error.arrived else Decimal(0)
            raise
        finally:
            self._purse.settle(amount, spent)
        return reply


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will send, and what it costs at the listed price."""

    cases: int
    requests: int
    """At least: how often a task is queried depends on how long it takes."""
    creates: int
    best: Decimal
    """If the target is right."""
    worst: Decimal
    """If it accepts everything; a run never spends more than its budget."""
    enough: Decimal
    """A budget in which every case finds room at a target that is right."""


def make_plan(contract: Contract, cases: Iterable[Case]) -> Plan:
    """Return what sending some cases costs."""
    cases = list(cases)
    price = contract.price_per_picture
    accepted = [case for case in cases if case.accepted and case.creates]
    early = [case for case in cases if not case.after]

    def cost(cases: Iterable[Case], kind: str) -> Decimal:
        return sum((price * case.pictures for case in cases if case.cost == kind), Decimal(0))

    aside = max((price * case.pictures for case in cases), default=Decimal(0))
    return Plan(
        cases=len(cases),
        requests=len(cases) + 2 * len(accepted),
        creates=sum(case.creates for case in cases),
        best=cost(cases, PICTURES),
        worst=sum((price * case.pictures for case in cases), Decimal(0)),
        enough=aside + max(cost(early, PICTURES) + cost(early, FAILS), cost(cases, PICTURES)),
    )
