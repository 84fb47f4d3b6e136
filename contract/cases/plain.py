"""Cases of another operation that shares its path with the create, told apart by the body: just what is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .builder import Builder
from .failing import failing_cases
from .packs import packs_of
from .refused import keyword_cases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..spec import Contract
    from .case import Case

PLAIN = "create_plain_task"


def plain_cases(contract: Contract, run: str, callback_url: str | None) -> Iterator[Case]:
    """Yield the cases of plain pictures: of each rule that a create with subjects has not likewise, the likeliest."""
    if PLAIN not in contract.operations:
        return
    builder = Builder(contract, run, callback_url, PLAIN)
    own = {name for name in builder.rules.known_fields[()] if _differs(contract, name)}
    yield from packs_of(builder, "plain", sorted(own))
    seen = set()
    for case in (*failing_cases(builder), *keyword_cases(builder)):
        rule = case.requirement
        if rule not in seen and rule.split(".")[1] in own:
            seen.add(rule)
            yield case


def _differs(contract: Contract, name: str) -> bool:
    """Tell whether a field is another one than that of this name in a create with subjects."""
    return contract.request.nodes.get((name,)) != contract.requests[PLAIN].nodes[name,]
