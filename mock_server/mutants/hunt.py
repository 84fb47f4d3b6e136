"""The hunt: the contract kit is run against mutants, and must notice each and name what it does not keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from klingkit.contract import load_contract
from klingkit.contract.verify.results import DEVIATES, LEARNED
from klingkit.contract.verify.run import verify
from klingkit.contract.verify.selection import Options

from .making import KEY, OTHER_KEY, PAIR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from klingkit.contract import Contract

    from .making import Make

PICTURES = 400
"""A budget for so many is never used up."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A simulator made wrong in one way."""

    name: str
    guilty: str
    """Id of the rule or promise that it does not keep."""
    wrong: str
    """What is wrong, in a few words."""
    make: Make = field(repr=False)
    also: tuple[str, ...] = ()
    """Other rules that it does not keep either, each of which is a right name for what is wrong."""
    only: tuple[str, ...] = ()
    """The contracts that have what it breaks; empty if each has."""


@dataclass(frozen=True, slots=True)
class Catch:
    """What the kit found out about a mutant."""

    mutant: Mutant
    case: str
    """Id of the first case that deviates; empty if none does."""
    blamed: tuple[str, ...]
    """The rules and promises that this case names."""
    requests: int
    creates: int
    spent: Decimal
    """In the currency of the contract."""

    @property
    def killed(self) -> bool:
        """Whether the kit noticed anything; otherwise the mutant has survived."""
        return bool(self.case)

    @property
    def named(self) -> bool:
        """Whether the guilty rule or promise is named."""
        return not {self.mutant.guilty, *self.mutant.also}.isdisjoint(self.blamed)


def hunt(mutants: Iterable[Mutant], *, contract: Contract | None = None, seed: int = 0) -> Iterator[Catch]:
    """Run the kit against mutants of a contract; each run stops at its first deviation."""
    contract = contract or load_contract()
    budget = contract.price_per_picture * PICTURES
    options = Options(KEY, OTHER_KEY, budget, seed=seed, stop_early=True, pair=PAIR if contract.jwt else None)
    for mutant in mutants:
        report = verify(mutant.make(seed), contract, options)
        first = next((result for result in report.results if result.state in {DEVIATES, LEARNED}), None)
        blamed = tuple(dict.fromkeys(deviation.requirement for deviation in first.deviations)) if first else ()
        yield Catch(mutant, first.case.id if first else "", blamed, report.requests, report.creates, report.spent)
