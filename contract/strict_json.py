"""JSON from outside, as strict as whoever reads it next."""

from __future__ import annotations

import json
import math
from typing import Any

DEEPEST = 64
"""Levels; the answers of the contract have six, and what is nested by the thousand ends the stack of whoever walks it."""


def read_json(text: str | bytes) -> Any:
    """Return what a JSON text says.

    Raises ValueError, for a number that none can hold (`NaN`, `1e999`) and for deep nesting too.
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if _levels(value) > DEEPEST:
        raise ValueError("nested too deep")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no number of JSON, or larger than any")
    return number


def _levels(value: Any) -> int:
    levels, nodes = 0, [value]
    while nodes := [child for node in nodes for child in _children(node)]:
        levels += 1
    return levels


def _children(node: Any) -> list[Any]:
    return list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
