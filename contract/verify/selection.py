"""What a run is about: which cases it sends, and why it does not send the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..cases.builder import PAIR
from ..cases.case import FAILS, NEVER, PICTURES, Case, create_case
from ..cases.catalogue import build_cases
from ..import_lock import importing
from ..judge.blame import odd_kinds
from ..nearest import nearest_names
from ..targets.target import HIDDEN, SHORTEST_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..spec import Contract

EXTERNAL_ID = "external_task_id"
MAX_CREATES = 120
"""Creates of one run, but for those that are sent again since there was no room."""
DRAWN = "explored/"
"""Begins the id of a case that Hypothesis draws."""
EXPLORED = 11
"""Cases that Hypothesis draws, besides the labelled ones."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a target is verified."""

    key: str = field(repr=False)
    other_key: str | None = field(default=None, repr=False)
    """Of another account; without one, nothing is said about the isolation of accounts."""
    budget: Decimal = Decimal(0)
    """What may be spent, at the listed price. With 0 only requests that must be refused are sent."""
    only: str | None = None
    """Id of one rule or promise."""
    cases: frozenset[str] | None = None
    """Ids of some cases."""
    seed: int = 0
    """What is drawn follows from it."""
    run: str = "run"
    """Begins every external id; new for each run against the same account."""
    any_key: bool = False
    """The target may take any key, as an open simulator does."""
    stop_early: bool = False
    """Stop at the first deviation; to find it soon, each task is followed to its end before the next case."""
    keep: bool = False
    """The answers are to be kept, not judged by their schemas: send the labelled cases only, and some queries twice, so that
    what varies by itself shows; fetch no pictures."""
    pair: tuple[str, str] | None = field(default=None, repr=False)
    """Access key and secret key, for a contract whose tokens are signed; `key` is then a token of theirs."""

    def without_keys(self, text: str) -> str:
        """Return a text in which no key stands."""
        for key in (self.key, self.other_key, *(self.pair or ())):
            if key and len(key) >= SHORTEST_SECRET:
                text = text.replace(key, HIDDEN)
        return text

    @property
    def one_by_one(self) -> bool:
        """Whether each case is judged before the next is sent: without a budget, so that at most one can cost."""
        return self.stop_early or not self.budget

    @property
    def whole(self) -> bool:
        """Whether a run is about everything."""
        return self.only is None and self.cases is None


def select_cases(contract: Contract, options: Options, callback_url: str | None = None) -> list[Case]:
    """Return the cases that a run is about.

    Raises ValueError as `check_requirement` does for `options.only`.
    """
    cases = list(build_cases(contract, options.run, callback_url, options.pair or PAIR))
    requirement = options.only
    if options.whole:
        return cases
    if requirement is None:
        return _with_needed(cases, [case for case in cases if case.id in (options.cases or ())])
    check_requirement(contract, requirement)
    chosen = [case for case in cases if case.is_about(requirement)]
    if not chosen and requirement in contract.promises:
        packs = [case for case in cases if case.cost in {PICTURES, FAILS} and not case.after]
        chosen = packs[:2] + [case for case in packs if case.cost == FAILS][:1]
    return _with_needed(cases, chosen)


def _with_needed(cases: list[Case], chosen: list[Case]) -> list[Case]:
    """Return the chosen cases and those that must go before."""
    ids = {case.id for case in chosen} | {case.after for case in chosen}
    return [case for case in cases if case.id in ids]


def check_requirement(contract: Contract, requirement: str) -> None:
    """Raise ValueError if there is no such rule or promise, which names the nearest ones, or if no case can test it."""
    known = [*contract.rules, *contract.promises]
    cases = build_cases(contract)
    if requirement in untested(contract, cases):
        raise ValueError(f"{requirement} cannot be brought about from outside, so no case tests it")
    if requirement not in known:
        of_case = next((case.requirement for case in cases if case.id == requirement and case.requirement), "")
        close = nearest_names(requirement, known, alike=0)
        hint = f"that is a case of {of_case}" if of_case else f"the nearest are {', '.join(close)}"
        raise ValueError(f"unknown rule {requirement!r}; {hint}; `klingkit rules` lists all")


def why_not(case: Case, options: Options) -> str:
    """Say why a run does not send a case; empty if it does."""
    if (case.other_key or case.both_keys) and options.other_key is None:
        return "needs the key of another account"
    if case.signed and options.pair is None:
        return "needs an access key and its secret key, which sign tokens"
    if not options.budget and case.creates and case.cost != NEVER:
        return (
            "is accepted, which costs money" if case.accepted else "may cost money, since its refusal is an assumption"
        )
    if not options.budget and case.after:
        return "needs a task, which costs money"
    return ""


def to_send(cases: Iterable[Case], options: Options) -> list[Case]:
    """Return the cases of these that a run sends."""
    return [case for case in cases if not why_not(case, options)]


def untested(contract: Contract, cases: Iterable[Case]) -> list[str]:
    """Return the rules that no case is about: what they say cannot be brought about from outside, or is not known."""
    about = {case.requirement for case in cases} | {boundary.requirement for case in cases for boundary in case.covers}
    return [rule for rule in contract.rules if rule not in about]


def _is_open(contract: Contract, name: str, value: Any) -> bool:
    """Tell whether it is an open question what the service does with a value: it may refuse that first, in words that name no field."""
    asked = [about.partition("/") for question in contract.assumptions for about in question.about]
    return any(rule.partition(".")[0] in {name, "*"} and kind in odd_kinds(value) for rule, _, kind in asked if kind)


@lru_cache(maxsize=4)  # a hunt draws the same for every mutant
def explored_cases(contract: Contract, seed: int, count: int) -> tuple[Case, ...]:
    """Return cases that Hypothesis draws."""
    with importing:
        from ..strategies import draw, invalid_requests  # noqa: PLC0415 - only a run with a budget waits for Hypothesis

    cases = []
    for number, drawn in enumerate(draw(invalid_requests(contract), seed, count), 1):
        body = {
            name: value
            for name, value in drawn.body.items()
            if drawn.rule.id.startswith(f"{name}.") or (name != "n" and not _is_open(contract, name, value))
        }
        if body.get(EXTERNAL_ID) and not drawn.rule.id.startswith(EXTERNAL_ID):
            body[EXTERNAL_ID] = f"drawn-{seed}-{number}"  # the strategy's own is new each time
        if drawn.rule.id == "n.maximum":  # a wrong service charges each picture: the fewest too many are enough
            body["n"] = drawn.rule.params["maximum"] + 1
        cases.append(create_case(contract, f"{DRAWN}{number}", body))
    return tuple(cases)
