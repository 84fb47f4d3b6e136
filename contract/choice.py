"""Which contract is meant: its name, with what else was chosen of it."""

from __future__ import annotations

from dataclasses import dataclass

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
        assume = dict(parse_assumption(part) for part in rest if part != PLAIN)
        return cls(name, PLAIN in rest, tuple(assume.items()))


def parse_assumption(text: str) -> tuple[str, str]:
    """Read `ID=ALTERNATIVE`. Raises UnknownChoiceError if it is none."""
    name, equals, alternative = text.partition("=")
    if not (name and equals and alternative):
        raise UnknownChoiceError(f"{text[:60]!r} is no ID=ALTERNATIVE; `klingkit assumptions` lists them")
    return name, alternative
