"""How a scenario is chosen: by its name with what follows it, by a header, or by a marker in a prompt."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from klingkit.contract import load_contract
from klingkit.contract.choice import CONTRACTS

from .foreign_text import plain
from .progressions import PROGRESSIONS
from .scenario import Scenario
from .scenario_arguments import UnknownNameError, check_known, printable
from .scenarios import scenario_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from klingkit.contract import Contract

    from .scenarios import ScenarioRow

MARKER = re.compile(r"\[\[([^\[\]]{1,100})\]\]")
PREFER = re.compile(r'(?:^|[,;\s])(scenario|progression)\s*=\s*(?:"([^"]*)"|([^\s;,]*))', re.IGNORECASE)
LONGEST = 200
"""Characters of a scenario, as somebody gives it."""
LOOKED_THROUGH = 10_000
"""Characters of a prompt in which a scenario is looked for: four times of what a prompt may have."""
CHOOSE = "a scenario is NAME, NAME:ARGUMENT where it takes one, and @0.3 after it for a probability"


def parse_scenario(text: str, contract: Contract, operation_id: str = "create_task") -> Scenario:
    """Return the scenario that `NAME`, `NAME:ARGUMENT` or either with `@PROBABILITY` means, its argument in normal form.

    Raises UnknownNameError for an unknown name; ValueError for a wrong argument or probability, and for one that can do nothing
    to the operation.
    """
    if len(text) > LONGEST:
        raise ValueError(f"{text[:60]!r} and so on is longer than the {LONGEST} characters that a scenario may have")
    table = scenario_table(contract)
    name, argument, chance = _parts(text, table)
    check_known("scenario", name, table)
    row = table[name]
    if argument and not row.argument:
        raise ValueError(f"scenario {name} takes no argument, and {argument[:60]!r} was given")
    try:
        probability = float(chance or 1)
    except ValueError:
        probability = -1
    if not 0 <= probability <= 1:
        raise ValueError(f"{chance[:20]!r} is not a probability: {CHOOSE}")
    fields = {"argument": argument, "probability": probability, **row.make(argument)}
    normal = plain(fields.pop("argument"), 150)
    scenario = Scenario(f"{name}:{normal}" if argument else name, **fields)
    if operation_id != "create_task" and not scenario.fits_queries:
        raise ValueError(f"scenario {name} shapes the task that a create makes; it does nothing to {operation_id}")
    return scenario


def is_known(scenario: Scenario, contract: Contract) -> bool:
    """Tell whether a contract has the error and the rule that a scenario wants."""
    return (not scenario.error or scenario.error in contract.errors) and (
        not scenario.rule or scenario.rule in contract.rules
    )


def parse_for(text: str, contracts: Sequence[Contract], operation_id: str = "create_task") -> Scenario:
    """Return a scenario that one of several contracts knows. Raises what the first of them says of it, or whose it is."""
    for contract in contracts:
        with suppress(UnknownNameError):
            return parse_scenario(text, contract, operation_id)
    if others := _who_knows(text):
        served = " and ".join(contract.name for contract in contracts)
        raise UnknownNameError(
            f"scenario {text.strip()[:60]!r} is of {' and '.join(others)}, and {served} has nothing of the kind; "
            f"`klingkit scenarios --contract {contracts[0].name}` lists what there is"
        )
    return parse_scenario(text, contracts[0], operation_id)


def _who_knows(text: str) -> list[str]:
    """Return the contracts that have a scenario."""
    tables = {name: scenario_table(load_contract(name)) for name in CONTRACTS}
    return [name for name, table in tables.items() if _parts(text, table)[0] in table]


def _parts(text: str, table: dict[str, ScenarioRow]) -> tuple[str, str, str]:
    """Return name, argument and probability as they are given; in a text only a number after the last @ is one."""
    chosen, _, chance = text.strip().partition("@")
    name, colon, argument = chosen.partition(":")
    if colon and name in table and table[name].is_text:
        argument = text.strip().partition(":")[2]
        before, at, last = argument.rpartition("@")
        chance = last if at and re.fullmatch(r"[0-9]*\.?[0-9]+", last) else ""
        argument = printable(before if chance else argument)
    return name, argument, chance


def read_prefer(header: str, contract: Contract, operation_id: str) -> tuple[Scenario | None, str | None]:
    """Return scenario and progression that a `Prefer` header (RFC 7240) names; other preferences are ignored.

    Raises ValueError for one that there is not.
    """
    found = reversed(PREFER.findall(_as_sent(header)))  # of two the first counts (RFC 7240)
    wanted = {name.lower(): quoted or plain for name, quoted, plain in found}
    if "progression" in wanted:
        check_known("progression", wanted["progression"], PROGRESSIONS)
    scenario = parse_scenario(wanted["scenario"], contract, operation_id) if "scenario" in wanted else None
    return scenario, wanted.get("progression")


def _as_sent(header: str) -> str:
    """Return a header in UTF-8, as most clients send one, where it is that: WSGI reads every header as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def find_marker(prompt: str, contract: Contract) -> Scenario | None:
    """Return the scenario of the first `[[NAME]]` in a prompt that names one; other brackets are ordinary text."""
    table = scenario_table(contract)
    for text in MARKER.findall(prompt[:LOOKED_THROUGH]):
        if _parts(text, table)[0] not in table:  # before `parse_scenario` looks for the nearest name, which costs
            continue
        try:
            return parse_scenario(text, contract)
        except ValueError:
            continue
    return None
