"""Completion in a shell: which names an option or argument can have. `serve` imports this, so it imports nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import click
    from click.shell_completion import CompletionItem

    from klingkit.contract import Contract

    Table = Mapping[str, str]
    """Names, each with what it means, which zsh and fish show beside it."""


def complete(kind: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return what click asks for the names of a kind that begin so, of the contract that the command is given."""

    def found(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # which `serve` does without

        names = NAMES[kind](context.params.get("contract"))
        return [CompletionItem(name, help=_line(says)) for name, says in names.items() if name.startswith(incomplete)]

    return found


def _line(text: str) -> str:
    """Return a text as one short line, which is all that a shell has room for."""
    return " ".join(text.split())[:70]


def _contracts(_: Any) -> Table:
    from klingkit.contract.choice import CONTRACTS

    return dict.fromkeys(CONTRACTS, "")


def _served(given: Any) -> Table:
    return {**_contracts(given), "all": "all of them, told apart by path"}


def _scenarios(given: Any) -> Table:
    from klingkit.mock_server.scenarios import scenario_table

    return {name: row.summary for contract in _meant(given) for name, row in scenario_table(contract).items()}


def _rules(given: Any) -> Table:
    return {name: rule.template for contract in _meant(given) for name, rule in contract.rules.items()}


def _operations(given: Any) -> Table:
    return {name: "" for contract in _meant(given) for name in contract.operations}


def _assumptions(given: Any) -> Table:
    return {
        f"{each.id}={alternative}": does
        for contract in _meant(given)
        for each in contract.assumptions
        for alternative, does in each.alternatives.items()
    }


def _statuses(given: Any) -> Table:
    return {name: "" for contract in _meant(given) for name in contract.lifecycle.transitions}


def _progressions(_: Any) -> Table:
    from klingkit.mock_server.progressions import PROGRESSIONS

    return dict.fromkeys(PROGRESSIONS, "")


def _retry_schedules(given: Any) -> Table:
    return {name: "" for contract in _meant(given) for name in contract.callbacks.retry_after_ms}


def _cases(given: Any) -> Table:
    from klingkit.contract.cases.catalogue import build_cases

    return {case.id: "" for contract in _meant(given) for case in build_cases(contract)}


def _mutants(given: Any) -> Table:
    from klingkit.mock_server.mutants.table import mutants_of

    return {mutant.name: mutant.wrong for contract in _meant(given) for mutant in mutants_of(contract)}


def _moments(_: Any) -> Table:
    return {"next": "the next event", "idle": "until nothing lies ahead", "2m": "a duration", "20m": "a duration"}


def _tasks(_: Any) -> Table:
    return {"latest": "the newest task"}


NAMES: Mapping[str, Callable[[Any], Table]] = {
    "contract": _contracts,
    "served": _served,
    "scenario": _scenarios,
    "rule": _rules,
    "operation": _operations,
    "assume": _assumptions,
    "status": _statuses,
    "progression": _progressions,
    "retry_schedule": _retry_schedules,
    "case": _cases,
    "mutant": _mutants,
    "when": _moments,
    "task": _tasks,
}
"""The tables that names come from, by kind."""


def _meant(given: Any) -> Iterable[Contract]:
    """Return the contract of the option, or all of them if none that there is was given."""
    from klingkit.contract import CONTRACTS, Contract, UnknownChoiceError, load_contract

    if isinstance(given, Contract):
        return [given]
    try:
        return [load_contract(given)] if given else map(load_contract, CONTRACTS)
    except UnknownChoiceError:
        return map(load_contract, CONTRACTS)
