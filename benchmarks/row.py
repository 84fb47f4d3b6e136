"""A line of the results, and how lines are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Row(NamedTuple):
    """One measurement."""

    what: str
    ours: float
    beside: float
    """What it is compared with; 1 for a measurement that has its goal in its own unit."""
    unit: str
    goal: float
    at_least: bool = False
    """Whether the goal is the least, and not the most."""

    @property
    def ratio(self) -> float:
        """By how much it is more."""
        return self.ours / self.beside

    @property
    def is_met(self) -> bool:
        """Whether the goal is met."""
        return self.ratio >= self.goal if self.at_least else self.ratio <= self.goal


class Part(NamedTuple):
    """Measurements beside the same thing."""

    title: str
    beside: str
    """What they are compared with; empty for those that have their goal in their own unit."""
    rows: list[Row]


def shown(number: float, unit: str) -> str:
    """Return a number with its unit."""
    return f"{number:.2f} {unit}" if number < 10 else f"{number:.0f} {unit}"


def markdown(parts: Iterable[Part]) -> str:
    """Return tables."""
    return "\n".join(_table(part) for part in parts)


def _table(part: Part) -> str:
    if part.beside:
        lines = [f"| | klingkit | {part.beside} | ratio | goal | |", "|---|---:|---:|---:|---:|---|"]
    else:
        lines = ["| | klingkit | goal | |", "|---|---:|---:|---|"]
    for row in part.rows:
        goal = f"{'at least' if row.at_least else 'at most'} {row.goal:g}"
        cells = [row.what, shown(row.ours, row.unit)]
        if part.beside:
            cells += [shown(row.beside, row.unit), f"{row.ratio:.2f}", goal]
        else:
            cells.append(f"{goal} {row.unit}")
        lines.append(f"| {' | '.join(cells)} | {'met' if row.is_met else '**missed**'} |")
    return f"### {part.title}\n\n" + "\n".join(lines) + "\n"
