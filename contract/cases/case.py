"""A case: one request, with the verdict that the contract expects."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..targets.target import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..rule import Rule
    from ..spec import Contract

NEVER, MAY, PICTURES, FAILS = "never", "may", "pictures", "fails"
"""What a case costs: nothing, since it must be refused; perhaps, since that is an assumption; its pictures; or nothing, since its
task fails on its input."""
COSTS = (NEVER, MAY, PICTURES, FAILS)

UNCLEAR = 10
"""Pictures that a request may cost whose `n` is no number."""
UNKNOWN_TASK = "100000000000000000"
SMALLEST = "accepted/smallest"
"""Id of the case that tries nothing: if it is refused, no other request can be accepted either."""
UNKNOWN_KEY = "sk-klingkit-unknown"

CREATES = ("create_task", "create_plain_task")
"""Ids of the operations that submit a task."""

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Boundary:
    """One thing that an accepted request tries: the good side of a rule."""

    requirement: str
    """Id of the rule or promise."""
    label: str
    place: Place = ()
    value: Any = None
    change: Callable[[Request], Request] | None = field(default=None, compare=False)
    """What is changed besides the body."""
    sets: str = ""
    """The field that the change sets, if it sets one."""

    @property
    def about(self) -> str:
        """Name of the field that a refusal for it may speak of; empty if it is of none."""
        return str(self.place[0]) if self.place else self.sets


@dataclass(frozen=True, slots=True)
class Case:
    """One request with the verdict that the contract expects: accepted, or refused by exactly one rule."""

    id: str
    request: Request
    operation: str
    cost: str
    """One of COSTS."""
    rule: Rule | None = None
    """The rule that it breaks; one of the async phase ends the task, any other refuses the request."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What fills the text of the rule."""
    mended: Request | None = None
    """The request with just that one thing put right."""
    covers: tuple[Boundary, ...] = ()
    """What an accepted request tries."""
    repack: Callable[[tuple[Boundary, ...]], Request] = field(default=lambda _: Request("", ""), compare=False)
    """Makes the request that tries other boundaries at once."""
    after: str = ""
    """The accepted case that must have gone before; `{task_id}` in the path stands for its task."""
    late: bool = False
    """Whether that task must have ended before."""
    promise: str = ""
    """The promise that it tests, if that is not its rule."""
    other_key: bool = False
    """Whether another account sends it."""
    signed: bool = False
    """Whether it carries a token of an access key, which the run must have been given."""
    both_keys: bool = False
    """Whether another account must have sent something before."""

    @property
    def accepted(self) -> bool:
        """Whether the request itself is to be accepted."""
        return self.rule is None or self.rule.phase == "async"

    @property
    def requirement(self) -> str:
        """Id of the rule or promise that the case is about; empty for a pack, which is about many."""
        return self.promise or (self.rule.id if self.rule else "")

    def is_about(self, requirement: str) -> bool:
        """Tell whether it tests a rule or promise."""
        return self.requirement == requirement or any(boundary.requirement == requirement for boundary in self.covers)

    @property
    def creates(self) -> bool:
        """Whether it submits a task if it is accepted."""
        return self.operation in CREATES

    @property
    def pictures(self) -> int:
        """How many pictures it would cost if it were accepted and carried out."""
        if not self.creates:
            return 0
        n = (self.request.body or {}).get("n")
        if n is None:
            return 1
        if isinstance(n, float):
            n = math.ceil(n) if math.isfinite(n) else UNCLEAR
        return max(1, n) if isinstance(n, int) else UNCLEAR


def create_case(contract: Contract, case_id: str, body: Any, promise: str = "") -> Case:
    """Return the case of a create with any JSON, which must be answered as the rules say. Raises ValueError for what is none."""
    operation = contract.operations["create_task"]
    try:
        raw = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"a body that cannot be sent as JSON: {error}") from None
    body = json.loads(raw)  # as it arrives: a tuple as a list, the name of a field as a text
    if not isinstance(body, dict):
        request = Request(operation.method, operation.path, raw=raw, content_type=operation.media_type)
        return Case(case_id, request, operation.operation_id, MAY, contract.rules["body.object"], promise=promise)
    request = Request(operation.method, operation.path, body, content_type=operation.media_type)
    name = contract.operation_for(operation, body).operation_id
    violations = contract.requests[name].judge(body)[0]
    if not violations:
        return Case(case_id, request, name, PICTURES, promise=promise)
    first = violations[0]
    return Case(case_id, request, name, MAY, first.rule, {"value": first.value}, promise=promise)
