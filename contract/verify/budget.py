"""Money is a type: what a create may cost is set aside before it is sent, and given back when it turns out to cost nothing."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from ..cases.case import FAILS, MAY, PICTURES, UNCLEAR, Case
from ..judge.charge import may_cost
from ..judge.reading import task_id_of
from ..targets.target import HttpTarget, NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..spec import Contract
    from ..targets.target import Reply, Request


class BudgetError(Exception):
    """What is to be sent could cost more than is left."""


class Budget:
    """What creates may cost together, for many threads at once; without a limit, what they cost is only counted."""

    def __init__(self, contract: Contract, limit: Decimal | None) -> None:
        self.limit = limit
        self.spent = Decimal(0)
        self.unclear = 0
        """Creates that may have made a task of which nobody was told."""
        self._contract = contract
        self._held = Decimal(0)
        self._closed = False
        self._changed = threading.Condition()

    @property
    def most(self) -> Decimal:
        """What is spent, and may yet be."""
        return self.spent + self._held

    def pay(self, pictures: int, request: Request, send: Callable[[], Reply]) -> Reply:
        """Return the reply to a create for so many pictures; what is known to be refused costs nothing.

        Raises BudgetError, with nothing sent, if it could cost more than is left; and what `send` raises.
        """
        __tracebackhide__ = True
        amount = self._contract.price_per_picture * pictures
        held = self.hold(amount)
        cost, told = amount, False  # doubt costs: whatever ends the sending, the request may have arrived
        try:
            reply = send()
            cost = amount if may_cost(self._contract, request, reply) else Decimal(0)
            told = bool(task_id_of(reply))
        except NoAnswerError as error:
            cost = amount if error.arrived else Decimal(0)
            raise
        finally:
            self.settle(held, cost, unclear=bool(cost) and not told)
        return reply

    def hold(self, amount: Decimal) -> Decimal:
        """Set an amount aside and return it; wait for what others hold, if that can make room.

        Raises BudgetError if nothing can. Without a limit nothing needs to be set aside.
        """
        __tracebackhide__ = True
        with self._changed:
            if self.limit is None:
                return Decimal(0)
            while self._closed or self.most + amount > self.limit:
                if self._closed or not self._held:
                    raise BudgetError(
                        f"{amount} more than the {self.spent} spent would cross the budget of {self.limit}: nothing was sent"
                    )
                self._changed.wait()
            self._held += amount
            return amount

    def close(self) -> None:
        """Let nothing more be set aside, also for those who wait for it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def settle(self, held: Decimal, cost: Decimal, *, unclear: bool = False) -> None:
        """Spend what something cost of what was set aside for it, and give the rest back."""
        with self._changed:
            self._held -= held
            self.spent += cost
            self.unclear += unclear
            self._changed.notify_all()

    def refund(self, amount: Decimal) -> None:
        """Take back what was counted as spent and was not charged."""
        self.settle(Decimal(0), -amount)


class BudgetedTarget(HttpTarget):
    """A service at a URL, all of whose creates together cost no more than a budget, at the listed price."""

    def __init__(self, url: str, key: str, contract: Contract, limit: Decimal) -> None:
        super().__init__(url, key)
        self._budget = Budget(contract, limit)

    def send(self, request: Request, key: str | None = None) -> Reply:
        """Send a request to the service. Raises BudgetError, with nothing sent, if it could cost more than is left."""
        __tracebackhide__ = True
        if request.method == "GET":
            return super().send(request, key)
        # A raw body is the test's own, which nobody has read: it may ask for many.
        pictures = Case("", request, "create_task", MAY).pictures if request.raw is None else UNCLEAR
        send = super().send
        return self._budget.pay(pictures, request, lambda: send(request, key))


@dataclass(frozen=True, slots=True)
class RunPlan:
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


def make_plan(contract: Contract, cases: Iterable[Case]) -> RunPlan:
    """Return what sending some cases costs."""
    cases = list(cases)
    price = contract.price_per_picture
    accepted = [case for case in cases if case.accepted and case.creates]
    early = [case for case in cases if not case.after]

    def cost(cases: Iterable[Case], kind: str) -> Decimal:
        return sum((price * case.pictures for case in cases if case.cost == kind), Decimal(0))

    aside = max((price * case.pictures for case in cases), default=Decimal(0))
    return RunPlan(
        cases=len(cases),
        requests=len(cases) + 2 * len(accepted),
        creates=sum(case.creates for case in cases),
        best=cost(cases, PICTURES),
        worst=sum((price * case.pictures for case in cases), Decimal(0)),
        enough=aside + max(cost(early, PICTURES) + cost(early, FAILS), cost(cases, PICTURES)),
    )
