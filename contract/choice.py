"""Which contract is meant: its name, with what else was chosen of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTRACTS = ("cometapi", "cometapi-2026", "kling")
"""Names of the contracts, the default first."""
PLAIN = "plain-generation"
WITH_PLAIN = ("cometapi", "cometapi-2026")
"""The contracts whose path makes plain pictures too (api-facts 1)."""


class UnknownChoiceError(ValueError):
    """There is no such contract, assumption or alternative; the message names those that there are."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A contract by its name, and how it differs from its default.

    Raises UnknownChoiceError for a name that there is not. Whether there are such assumptions is known where the contract is loaded.
    """

    name: str = CONTRACTS[0]
    plain_generation: bool = False
    """Whether a create without subject pictures makes a plain picture, as the real path does."""
    assume: tuple[tuple[str, str], ...] = ()
    """Assumptions that are set otherwise than by default: id and alternative, in the order of the ids."""

    def __post_init__(self) -> None:
        if self.name not in CONTRACTS:
            raise UnknownChoiceError(f"unknown contract {self.name[:60]!r}; there are {', '.join(CONTRACTS)}")
        if self.plain_generation and self.name not in WITH_PLAIN:
            raise UnknownChoiceError(
                f"{self.name} has no plain generation on this path; {' and '.join(WITH_PLAIN)} have"
            )
        object.__setattr__(self, "assume", tuple(sorted(dict(self.assume).items())))

    def __str__(self) -> str:
        return "+".join([self.name, *[PLAIN] * self.plain_generation, *map("=".join, self.assume)])

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Read what `str` writes, such as `cometapi+plain-generation+prompt-length=bytes`. Raises UnknownChoiceError."""
        name, *rest = text.split("+")
        try:
            return cls(name, PLAIN in rest, parse_assumptions(part for part in rest if part != PLAIN))
        except _NoAssumptionError as error:
            raise UnknownChoiceError(
                f"{error}; after the name of a contract come +ID=ALTERNATIVE and +{PLAIN}"
            ) from None


class _NoAssumptionError(UnknownChoiceError):
    """A text is no ID=ALTERNATIVE."""


def parse_assumptions(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Read texts such as `prompt-length=bytes`. Raises UnknownChoiceError for another form, and for two answers to one question."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, alternative = text.partition("=")
        if not (name and equals and alternative):
            raise _NoAssumptionError(f"{text[:60]!r} is no ID=ALTERNATIVE; `klingkit assumptions` lists them")
        if found.setdefault(name, alternative) != alternative:
            both = f"{name}={found[name]} and {name}={alternative}"
            raise UnknownChoiceError(f"{both[:160]} contradict each other: give one of them")
    return tuple(found.items())
