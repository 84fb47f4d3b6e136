"""Queries of the list of tasks, where a contract has one: parameters that break a rule, and the good side of each."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ..targets.target import Request
from .case import NEVER, Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .builder import Builder

LIST = "list_tasks"
PAGE = "list.page"


def list_cases(builder: Builder) -> Iterator[Case]:
    """Yield the cases of the parameters, none of which costs anything."""
    operation = builder.contract.operations.get(LIST)
    if operation is None:
        return
    right = Request(operation.method, operation.path)
    for (path, keyword), rule in builder.contract.requests[LIST].rules.items():
        node = builder.contract.requests[LIST].nodes[path]
        wrong = {"type": ("word", "fraction"), "minimum": ("zero",), "maximum": ("one-too-high",)}[keyword]
        values = {
            "word": "klingkit",
            "fraction": "1.5",
            "zero": node["minimum"] - 1,
            "one-too-high": node["maximum"] + 1,
        }
        for label in wrong:
            request = _asking(right, **{path[0]: values[label]})
            yield builder.case(f"{rule.id}/{label}", request, rule, value=values[label], mended=right)
        for limit in (node[keyword],) if keyword in {"minimum", "maximum"} else ():
            request = _asking(right, **{path[0]: limit})
            yield Case(f"{PAGE}/{path[0]}-{limit}", request, operation.operation_id, NEVER, promise=PAGE)


def _asking(right: Request, **parameters: object) -> Request:
    return Request(right.method, f"{right.path}?{urlencode(parameters)}")
