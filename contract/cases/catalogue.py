"""Labelled cases, derived from the contract: requests that break exactly one rule, and the good side of every boundary.

What a wrong value of a keyword looks like stands in `bad_values.py`, what a boundary looks like in `boundaries.py`; fields,
limits and texts come from the contract. Here they are put into their order.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from .assumed import holds
from .builder import PAIR, Builder
from .case import NEVER
from .failing import failing_cases
from .follow_ups import follow_ups
from .packs import packs
from .plain import plain_cases
from .refused import body_cases, gate_cases, keyword_cases

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..spec import Contract
    from .case import Case

HEAVY = ".maxBytes"
"""Ends the id of a rule whose cases have the largest bodies."""


def build_cases(
    contract: Contract, run: str = "run", callback_url: str | None = None, pair: tuple[str, str] = PAIR
) -> tuple[Case, ...]:
    """Return the cases of a contract, those that find most first.

    `run` begins every `external_task_id`, which must be new to the account; accepted tasks call back to `callback_url`; `pair` is an
    access key and its secret key, which sign the tokens of a contract that has such.

    First come the packs, each of which tries many rules and whose tasks take time; then one case of each rule, then a
    second one, and so on. The largest bodies come late: most wrong services are found out before.
    """
    builder = Builder(contract, run, callback_url, pair=pair)
    accepted, failing = list(packs(builder)), [case for case in failing_cases(builder) if holds(contract, case)]
    left = _with_external_id(accepted, builder.left)  # after the refused ones that have tried to take its id
    light = [case for case in accepted if case is not left and not _is_heavy(case)]
    heavy = [case for case in accepted if case is not left and _is_heavy(case)]
    every = chain(keyword_cases(builder), body_cases(builder), gate_cases(builder))
    first, second_and_later, largest = _in_turns(case for case in every if holds(contract, case))
    refused = (*(_leave(builder, case) for case in first), left, *second_and_later)
    named = _with_external_id(accepted, builder.named)
    after = follow_ups(builder, named, _with_external_id(failing, builder.failed))
    return (
        *light,
        *failing,
        *refused,
        *plain_cases(contract, run, callback_url),
        *heavy,
        *largest,
        *(case for case in after if holds(contract, case)),
    )


def _in_turns(cases: Iterable[Case]) -> tuple[list[Case], list[Case], list[Case]]:
    """Return the first case of each rule, then all others (the second ones, the third ones, ...), and the largest of all."""
    by_rule: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_rule[case.requirement].append(case)
    heavy = [rule for rule in by_rule if rule.endswith(HEAVY)]
    largest = [case for rule in heavy for case in by_rule.pop(rule)]
    # A turn has one case of each rule that still has one; `zip_longest` puts None for the others.
    turns = [[case for case in turn if case] for turn in zip_longest(*by_rule.values())]
    return turns[0], [case for turn in turns[1:] for case in turn], largest


def _is_heavy(pack: Case) -> bool:
    return any(boundary.requirement.endswith(HEAVY) for boundary in pack.covers)


def _with_external_id(cases: list[Case], external_task_id: str) -> Case:
    return next(case for case in cases if (case.request.body or {}).get("external_task_id") == external_task_id)


def _leave(builder: Builder, case: Case) -> Case:
    """Give a refused create the external id that a pack takes later, which shows that nothing was left behind.

    What a service may rightly accept gets none: the id would be taken, and all that follows be refused for it.
    """
    body = case.request.body
    if body is None or case.cost != NEVER or case.request.raw is not None:
        return case
    if case.requirement.startswith("external_task_id"):
        return case
    name = {"external_task_id": builder.left}
    mended = case.mended
    if mended and mended.body is not None:
        mended = replace(mended, body={**mended.body, **name})
    return replace(case, request=replace(case.request, body={**body, **name}), mended=mended)
