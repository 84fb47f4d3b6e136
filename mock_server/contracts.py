"""Which contract answers a request: the family of paths that it is sent to, then its account, then what the server serves."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from klingkit.contract import load_contract
from klingkit.contract.choice import CONTRACTS, WITH_PLAIN, Choice, UnknownChoiceError
from klingkit.contract.resolving import shortest, without_plain

from .scenario_arguments import check_known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from klingkit.contract import Contract

    from .account_settings import AccountSettings

    Assume = tuple[tuple[str, str], ...]

ALL = "all"
"""Serves the paths of every contract."""
SERVED = (*CONTRACTS, ALL)
"""What a server can serve."""
MAX_COMPILED = 32
"""Contracts that a simulator keeps compiled; another one takes some 20 ms."""


class Contracts:
    """The contracts of one simulator, compiled when they are asked for. Safe to call from many threads."""

    def __init__(
        self,
        name: str,
        own: Contract | None = None,
        prepare: Callable[[Contract], Contract] = lambda contract: contract,
        assume: Assume = (),
    ) -> None:
        """Serve the contract of a name, or of `all`, each as `prepare` changes it; with an `own` one, that in its place.

        Raises ValueError, which names the valid ones, for a name, an assumption or an alternative that there is not.
        """
        self._prepare = prepare
        self._own = prepare(own) if own else None
        self.by_text = lru_cache(MAX_COMPILED)(self._compiled)
        """From the text of a choice to its contract."""
        self._chosen = lru_cache(MAX_COMPILED)(self._by_settings)
        check_known("contract", name, SERVED)
        self.served: tuple[Contract, ...] = (self._own,) if self._own else tuple(self._families(name, assume))
        """One for each family of paths, as it answers an account that has chosen nothing; the first is the server's."""
        self._steps = [(contract, create_path(contract).split("/")) for contract in self.served]

    def at(self, path: str) -> Contract:
        """Return what is served at a path, be it known or not: the one whose own paths begin most alike."""
        if len(self.served) == 1:
            return self.served[0]
        steps = path.split("/")
        return max(self._steps, key=lambda known: _alike(known[1], steps))[0]

    def of(self, served: Contract, settings: AccountSettings) -> Contract:
        """Return the contract by which a family of paths answers an account."""
        if settings.contract is None and not settings.plain_generation and not settings.assume:
            return served
        return self._chosen(served, settings.contract, settings.plain_generation, settings.assume)

    def check_own(self, name: str) -> None:
        """Raise ValueError, which names the valid ones, for a contract that has other paths than the one that the server serves."""
        check_known("contract of an account", name, [known for known in CONTRACTS if self._fits(known)])

    def check_assume(self, assume: Assume) -> None:
        """Raise ValueError, which names the valid ones, for what is assumed of no contract that is served."""
        _check([contract.name for contract in self.served], assume)

    def check_plain(self, assume: Assume) -> None:
        """Raise ValueError if nothing that is served makes plain pictures, or what is assumed says that none are made."""
        names = [contract.name for contract in self.served]
        for name in [name for name in names if name in WITH_PLAIN] or names:
            _assuming(Choice(name, plain_generation=True), assume)

    def _families(self, name: str, assume: Assume) -> list[Contract]:
        """Return the contracts of a name, of those with the same paths only the first."""
        names = CONTRACTS if name == ALL else (name,)
        _check(names, assume)
        found: dict[str, Contract] = {}
        for contract in (self.by_text(str(_assuming(Choice(each), assume))) for each in names):
            found.setdefault(create_path(contract), contract)
        return list(found.values())

    def _fits(self, name: str) -> bool:
        return create_path(self.by_text(name)) == create_path(self.served[0])

    def _by_settings(self, served: Contract, name: str | None, plain_generation: bool, assume: Assume) -> Contract:
        choice = served.choice
        if name is not None and served is self.served[0]:
            choice = replace(choice, name=name)
        if choice.name in WITH_PLAIN:
            plain = choice.plain_generation or plain_generation
            choice = replace(choice, plain_generation=plain and not without_plain(choice, assume))
        return self.by_text(str(_assuming(choice, assume)))

    def _compiled(self, text: str) -> Contract:
        if self._own and text == self._own.text:
            return self._own
        return self._prepare(load_contract(Choice.parse(text)))


def _check(names: Iterable[str], assume: Assume) -> None:
    """Raise UnknownChoiceError for what can be assumed of none of these contracts."""
    for each in assume:
        problems = [problem for name in names if (problem := _why_not(name, each))]
        if len(problems) == len(list(names)):
            raise problems[0]


def _why_not(name: str, assumed: tuple[str, str]) -> UnknownChoiceError | None:
    try:
        shortest(Choice(name, assume=(assumed,)))
    except UnknownChoiceError as problem:
        return problem
    return None


def _assuming(choice: Choice, assume: Assume) -> Choice:
    """Return a choice with what of this is known to its contract, in its shortest form."""
    known = tuple(each for each in assume if _why_not(choice.name, each) is None)
    return shortest(replace(choice, assume=tuple({**dict(choice.assume), **dict(known)}.items())))


def create_path(contract: Contract) -> str:
    """Return the path at which tasks are made."""
    return contract.operations["create_task"].path


def _alike(known: list[str], steps: list[str]) -> int:
    """Return with how many equal steps two paths begin."""
    return next(
        (number for number, (one, other) in enumerate(zip(known, steps, strict=False)) if one != other),
        min(len(known), len(steps)),
    )
