"""The document of a choice: `openapi.yaml`, the overlay of the contract's name, the alternatives that are assumed, plain generation."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from .choice import CONTRACTS, PLAIN, Choice, UnknownChoiceError
from .nearest import nearest_names
from .overlay import apply_actions, apply_overlay

if TYPE_CHECKING:
    from collections.abc import Iterable

OPENAPI = Path(__file__).resolve().parents[1] / "openapi.yaml"
OVERLAYS = Path(__file__).resolve().parent / "overlays"


def shortest(choice: Choice) -> Choice:
    """Return the same choice without what is assumed anyway, and with plain generation as the option that it is.

    Raises UnknownChoiceError for an assumption or an alternative that the contract has not, and for what contradicts itself.
    """
    questions = _named(choice.name)["x-assumptions"]
    assume, plain = [], choice.plain_generation
    for name, alternative in choice.assume:
        entry = _alternative(choice.name, questions, name, alternative)
        if entry.get("overlay") == PLAIN:
            plain = True
        elif choice.plain_generation and _asks_for_plain(questions[name]):
            raise UnknownChoiceError(f"{PLAIN} and {name}={alternative} contradict each other: leave one of them out")
        elif alternative != questions[name]["default"]:
            assume.append((name, alternative))
    return Choice(choice.name, plain, tuple(assume))


def resolve(choice: Choice) -> dict[str, Any]:
    """Return the document of a choice in its shortest form.

    Raises ContractError for an overlay that does not fit.
    """
    if choice == Choice():
        return _named(choice.name)
    document = deepcopy(_named(choice.name))
    for name, alternative in choice.assume:
        question = document["x-assumptions"][name]
        question["default"] = alternative
        apply_actions(document, question["alternatives"][alternative].get("actions", []), f"{name}={alternative}")
    if choice.plain_generation:  # after the others, since it copies fields of the create
        _apply(document, PLAIN)
    if choice != Choice(choice.name):
        document["x-choice"] = str(choice)
    return document


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the document in a file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is six times as fast; some builds lack it
    document: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), loader)  # noqa: S506 - both loaders are safe
    return document


@cache
def _named(name: str) -> dict[str, Any]:
    """Return the document of a contract as nothing else is chosen."""
    if name == CONTRACTS[0]:
        return read_yaml(OPENAPI)
    document = deepcopy(_named(CONTRACTS[0]))
    _apply(document, name)
    return document


def _apply(document: dict[str, Any], name: str) -> None:
    apply_overlay(document, _overlay(name), f"{name}.yaml")


@cache
def _overlay(name: str) -> dict[str, Any]:
    return read_yaml(OVERLAYS / f"{name}.yaml")


def without_plain(choice: Choice, assume: Iterable[tuple[str, str]]) -> bool:
    """Tell whether one of these assumptions says that a contract makes no plain pictures."""
    questions = _named(choice.name)["x-assumptions"]
    return any(
        name in questions
        and _asks_for_plain(questions[name])
        and questions[name]["alternatives"].get(alternative, {}).get("overlay") != PLAIN
        for name, alternative in assume
    )


def _asks_for_plain(question: dict[str, Any]) -> bool:
    return any(entry.get("overlay") == PLAIN for entry in question["alternatives"].values())


def _alternative(contract: str, questions: dict[str, Any], name: str, alternative: str) -> dict[str, Any]:
    if name not in questions:
        raise UnknownChoiceError(
            f"{contract} has no assumption {name[:60]!r}; {_meant(name, questions)}there are {', '.join(questions)}"
        )
    alternatives = questions[name]["alternatives"]
    if alternative not in alternatives:
        why = f" ({questions[name]['fixed'].rstrip('.')})" if "fixed" in questions[name] else ""
        raise UnknownChoiceError(
            f"{name} has no alternative {alternative[:60]!r}; {_meant(alternative, alternatives)}"
            f"there are {', '.join(alternatives)}{why}"
        )
    entry: dict[str, Any] = alternatives[alternative]
    return entry


def _meant(name: str, valid: Iterable[str]) -> str:
    """Begin to say what there is with what was probably meant; empty if nothing comes near."""
    near = nearest_names(name[:60], valid, most=1, alike=0.75)
    return f"did you mean {near[0]}? " if near else ""
