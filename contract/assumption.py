"""Assumptions: open questions about the real service, and for which inputs they leave a rule less known than it is otherwise."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .evidence import RULE_ASPECTS, Evidence, Sources, weakest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .rule import Rule


@dataclass(frozen=True, slots=True)
class Assumption:
    """An open question about the real service (`x-assumptions`)."""

    id: str
    question: str
    default: str
    """Name of the alternative that is taken meanwhile."""
    alternatives: Mapping[str, str]
    """What the service does by each, by its name."""
    fixed: str
    """Why there is no other than the default; empty if there is."""
    aspects: Mapping[str, Evidence]
    """How well the default is known; those aspects that it is about."""
    asks: tuple[str, ...]
    """The aspects of an answer that settle it."""
    about: tuple[str, ...]
    """The rules and promises that it settles: `rule`, or `rule/kind` for inputs of one kind; `*.keyword` for that of each field."""
    probe: str
    """What would settle it against a real account."""


class Assumptions:
    """The assumptions of a contract, by what they are about."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.all = tuple(_read(document))
        self._about: dict[str, list[Assumption]] = defaultdict(list)
        for assumption in self.all:
            for name in assumption.about:
                self._about[name].append(assumption)

    def named(self, name: str) -> Assumption | None:
        """Return the one with an id; None where it is no question."""
        return next((each for each in self.all if each.id == name), None)

    def about_kind(self, requirement: str, kind: str) -> list[Assumption]:
        """Return those about inputs of one kind."""
        keyword = requirement.rpartition(".")[2]
        names = (f"{requirement}/{kind}", f"*.{keyword}/{kind}") if kind else ()
        return [assumption for name in names for assumption in self._about.get(name, ())]

    def settled(self, requirement: str, kind: str, aspect: str) -> str:
        """Return the id of the one that an answer settles, which differs in an aspect; empty if there is none.

        What is about such inputs goes before what is about the rule, and that before what is about this keyword of each field.
        """
        keyword = requirement.rpartition(".")[2]
        names = (requirement, f"*.{keyword}")
        found = [*self.about_kind(requirement, kind), *(each for name in names for each in self._about.get(name, ()))]
        return next((each.id for each in found if aspect in each.asks), "")

    def known(self, rule: Rule, kind: str) -> Rule:
        """Return a rule as it is known for inputs of a kind: an assumption about these weakens the aspects that it is about."""
        found = self.about_kind(rule.id, kind)
        aspects = {
            name: weakest([evidence, *(each.aspects[name] for each in found if name in each.aspects)])
            for name, evidence in rule.aspects.items()
        }
        return replace(rule, aspects=aspects, kind=kind, assumption=found[0].id if found else "")


def _read(document: Mapping[str, Any]) -> list[Assumption]:
    sources = Sources(document["x-sources"])
    found = []
    for name, entry in document["x-assumptions"].items():
        evidence = entry["evidence"]
        known = RULE_ASPECTS if isinstance(evidence, list) else tuple(evidence)
        aspects = sources.aspects(evidence, known, f"the assumption {name}")
        about = tuple(entry["about"])
        alternatives = {each: spec["does"] for each, spec in entry["alternatives"].items()}
        found.append(
            Assumption(
                name,
                entry["question"],
                entry["default"],
                alternatives,
                fixed=entry.get("fixed", ""),
                aspects=aspects,
                asks=tuple(entry.get("asks", aspects)),
                about=about,
                probe=entry["probe"],
            )
        )
    return found
