"""Hints for a name that there is not: which of the names that there are come near."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ALIKE = 0.3
"""How much alike two names must be, from 0 to 1, to be worth a hint."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the end of a message about an unknown name, which gives the nearest three; empty if none comes near."""
    near = nearest_names(name, valid)
    return f"; the nearest are {', '.join(near)}" if near else ""


def nearest_names(name: str, valid: Iterable[str], *, most: int = 3, alike: float = ALIKE) -> list[str]:
    """Return the names that come nearest, the best first; with `alike=0` whatever there is."""
    return difflib.get_close_matches(name, list(valid), n=most, cutoff=alike)
