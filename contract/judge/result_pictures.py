"""What the pictures of a result must be: whole, of the asked ratio, and each another one."""

from __future__ import annotations

import threading
from math import log
from typing import TYPE_CHECKING, Any

from ..evidence import LIMIT
from ..pictures import is_whole, measure
from .reading import size_of
from .task_history import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..evidence import Evidence
    from ..spec import Contract
    from ..targets.target import Reply

RATIO_TOLERANCE = 0.01
FORMAT = "PNG"
_decoding = threading.Lock()
"""One picture at a time: a decoded one takes many times the memory of its file."""


def judge_picture(contract: Contract, request: dict[str, Any], reply: Reply) -> Iterator[Finding]:
    """Yield what is wrong with a result picture that was fetched."""
    size = measure(reply.content, (FORMAT,)) if reply.http == 200 else None
    if size is None:
        yield Finding("task.picture", f"a {FORMAT}", f"{reply.http}, {size_of(reply)}")
        return
    with _decoding:
        whole = is_whole(reply.content)
    if not whole:
        yield Finding("task.picture", f"a whole {FORMAT}", f"one that cannot be decoded to its end, {size_of(reply)}")
    asked = request.get("aspect_ratio") or contract.request.defaults["aspect_ratio"]
    ratio = size[0] / size[1]
    if abs(ratio / _ratio(asked) - 1) > RATIO_TOLERANCE:
        nearest = min(contract.request.nodes["aspect_ratio",]["enum"], key=lambda name: abs(log(ratio / _ratio(name))))
        evidence = details_of(contract) if nearest == asked else None
        yield Finding("task.picture", f"ratio {asked}", f"{size[0]} x {size[1]} px", evidence)


def details_of(contract: Contract) -> Evidence:
    """Return how well it is known what a picture is beyond a file in the asked format and about the asked ratio."""
    return next(each for each in contract.questions.all if each.id == "result-size").aspects[LIMIT]


def _ratio(name: str) -> float:
    width, _, height = name.partition(":")
    return int(width) / int(height)
