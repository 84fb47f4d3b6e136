"""Requests that are accepted and whose task must fail, on a picture that cannot be used."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle, islice
from typing import TYPE_CHECKING

from .builder import put
from .case import FAILS, Case
from .sample_pictures import encode, picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .builder import Builder

UNREACHABLE = "://klingkit.invalid/picture.png"
"""No name under `.invalid` is ever given to anybody (RFC 6761)."""


def failing_cases(builder: Builder) -> Iterator[Case]:
    """Yield the cases of pictures that cannot be used, which only the task finds out."""
    bad = {
        "pixels": (
            ("too-small", encode(picture(builder.side - 1, builder.side))),
            ("too-wide", encode(picture(builder.long + 1, builder.side))),
            ("too-tall", encode(picture(builder.side, builder.long + 1))),
            ("no-picture", encode(b"klingkit")),
            ("other-format", encode(picture(builder.side, builder.side, "GIF"))),
        ),
        "fetch": (("unreachable", f"https{UNREACHABLE}"),),
    }
    sides = (bad["pixels"][0], ("too-low", encode(picture(builder.side, builder.side - 1))))
    few_bad = {"pixels": cycle(sides), "fetch": cycle([("unreachable", f"http{UNREACHABLE}")])}
    for (path, keyword), rule in builder.rules.rules.items():
        few = builder.rules.nodes[path].get("x-role") != "subject"
        for label, value in islice(few_bad.get(keyword, ()), 1) if few else bad.get(keyword, ()):
            place = tuple(1 if step == "items" else step for step in path)
            case_id = f"{rule.id}/{label}"
            body = put({**builder.body, **builder.calling_back(case_id)}, place, value)
            if label == "too-small" and not few:
                body["external_task_id"] = builder.failed
            mended = builder.post(put(body, place, builder.square))
            case = builder.case(case_id, builder.post(body), rule, mended=mended)
            yield replace(case, cost=FAILS)
