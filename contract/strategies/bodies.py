"""Bodies of a create: those that break no rule, and those that break just one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from ..nearest import nearest_names
from ..spec import load_contract
from .breaches import BREACHES
from .values import values_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypothesis.strategies import SearchStrategy

    from ..rule import Rule
    from ..rule_table import Path
    from ..spec import Contract


class InvalidRequest(NamedTuple):
    """A body that breaks one rule and no other."""

    rule: Rule
    body: dict[str, Any]

    def __repr__(self) -> str:
        """Show the rule by its id."""
        return f"InvalidRequest({self.rule.id!r}, {self.body!r})"


def valid_requests(contract: Contract | None = None) -> SearchStrategy[dict[str, Any]]:
    """Bodies of a create that break no rule; nobody is called back, and each `external_task_id` is new."""
    return values_of(contract or load_contract(), ())


def invalid_requests(contract: Contract | None = None, rule: str | None = None) -> SearchStrategy[InvalidRequest]:
    """Bodies of a create that break one rule which needs no state and no large file; `rule` is the id of the one.

    A number over its maximum is over it by less than 20. Raises ValueError for a rule that cannot be broken so.
    """
    contract = contract or load_contract()
    rules = contract.request.rules
    create = contract.operations["create_task"]
    # What a body without a field is for, where another operation has the same path, breaks no rule of this one.
    told_apart = {
        path for path, keyword in rules if keyword == "required" and contract.operation_for(create, {}) != create
    }
    places = {
        found.id: (path, keyword)
        for (path, keyword), found in rules.items()
        if keyword in BREACHES and not (keyword == "required" and path in told_apart and len(path) == 1)
    }
    if rule is not None and rule not in places:
        near = ", ".join(nearest_names(rule, places, alike=0))
        raise ValueError(f"no request can be drawn that breaks {rule!r} alone; the nearest rules are {near}")
    chosen = [places[rule]] if rule else list(places.values())
    return st.one_of([_breaking(contract, path, keyword) for path, keyword in chosen])


def draw(strategy: SearchStrategy[Any], seed: int, count: int) -> list[Any]:
    """Return some examples of a strategy; the same process with the same seed draws the same."""
    drawn: list[Any] = []

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @seeded(seed)
    @given(strategy)
    def keep(example: Any) -> None:
        drawn.append(example)

    keep()
    return drawn


def breaks_only(contract: Contract, broken: Rule, body: Mapping[str, Any]) -> bool:
    """Tell whether a body breaks just that rule, once. A value of a wrong type is in no `enum` either: that counts as one."""
    found = [violation.rule.id for violation in contract.request.judge(body)[0]]
    field, _, keyword = broken.id.rpartition(".")
    return found == [broken.id] or (keyword == "type" and found == [broken.id, f"{field}.enum"])


def _breaking(contract: Contract, path: Path, keyword: str) -> SearchStrategy[InvalidRequest]:
    node, broken = contract.request.nodes[path], contract.request.rules[path, keyword]
    items = values_of(contract, (*path, "items")) if "items" in node else st.nothing()
    bodies = values_of(contract, (), (path, BREACHES[keyword](node, items)))
    return _requests(broken, bodies.filter(lambda body: breaks_only(contract, broken, body)))


@st.composite  # where map would do: a failure shows what it returns, not how it was made
def _requests(draw: st.DrawFn, broken: Rule, bodies: SearchStrategy[dict[str, Any]]) -> InvalidRequest:
    return InvalidRequest(broken, draw(bodies))
