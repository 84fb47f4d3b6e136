"""What a comparison came to: in one line, as Markdown, as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..markdown import code, prose
from .drift import DRIFT_KINDS

if TYPE_CHECKING:
    from .drift import Drift, DriftRow

LONGEST = 60_000
"""Characters of the Markdown; GitHub takes 65,536 in a comment."""


def summary(drift: Drift) -> str:
    """Say in one line what it comes to."""
    sides = " and ".join(f"{side.target} ({side.at:%Y-%m-%d})" for side in (drift.a, drift.b))
    count = len(drift.rows)
    differ = f"{count} differences" if count > 1 else "1 difference" if count else "no drift"
    rules = len({row.requirement for row in drift.rows})
    where = f" in {rules} rules" if rules > 1 else ""
    left = sum(map(len, drift.missing.values()))
    return f"{differ}{where} between {sides}; of {drift.compared} cases {drift.agree} agree, {left} were not compared"


def as_markdown(drift: Drift) -> str:
    """Return the comparison as Markdown that fits into a comment of a pull request."""
    a, b = (f"{letter}: {prose(side.target)}, {side.at:%Y-%m-%d}" for letter, side in (("A", drift.a), ("B", drift.b)))
    head = [f"**{prose(summary(drift))}**"]
    tail = [prose(line) for line in notes(drift)]
    lines: list[str] = []
    if drift.rows:
        head += ["", f"| rule | what | contract | {a} | {b} | cases |", "|---|---|---|---|---|---|"]
        room = LONGEST - sum(len(line) + 2 for line in (*head, *tail)) - 200
        for number, row in enumerate(drift.rows):
            line = _row(row)
            room -= len(line) + 1
            if room < 0:
                tail.insert(0, f"{len(drift.rows) - number} more differences are not shown here; `--json` has all.")
                break
            lines.append(line)
    return "\n".join([*head, *lines, *(f"\n{line}" for line in tail)]).rstrip() + "\n"


def notes(drift: Drift) -> list[str]:
    """Return what was not compared, and what is recorded in vain, in a line each."""
    sides = {"not A": f"not answered by {drift.a.target}", "not B": f"not answered by {drift.b.target}"}
    lines = [
        f"Not compared, {sides.get(who, 'answered by neither')} ({len(cases)}): {_listed(cases, 8)}{_why(cases)}."
        for who, cases in drift.missing.items()
    ]
    if drift.orphans:
        lines.append(f"Recorded in vain ({len(drift.orphans)}): {'; '.join(drift.orphans[:20])}.")
    return lines


def _why(cases: list[str]) -> str:
    """Say why an unknown key is not compared, which is the one thing that a local simulator says nothing of."""
    return "; what takes any key tells nothing of an unknown one" if all(map(_is_unknown_key, cases)) else ""


def _is_unknown_key(case_id: str) -> bool:
    return case_id.endswith("/unknown-key")


def _listed(names: list[str], most: int) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _row(row: DriftRow) -> str:
    cells = [
        code(row.requirement),
        DRIFT_KINDS[row.kind],
        *map(code, (row.documented, row.a, row.b)),
        prose(_listed(row.cases, 3)),
    ]
    return f"| {' | '.join(cells)} |"


def as_json(drift: Drift) -> str:
    """Return the comparison as one JSON object."""
    sides = {
        letter: {"target": side.target, "at": side.at.isoformat(timespec="seconds")}
        for letter, side in (("a", drift.a), ("b", drift.b))
    }
    rows = [
        {
            "rule": row.requirement,
            "class": row.kind,
            "documented": row.documented,
            "a": row.a,
            "b": row.b,
            "cases": row.cases,
        }
        for row in drift.rows
    ]
    counts = {"compared": drift.compared, "agree": drift.agree}
    missing = {who.replace(" ", "_"): cases for who, cases in drift.missing.items()}
    return json.dumps(
        {**sides, **counts, "differences": rows, "not_compared": missing, "recorded_in_vain": drift.orphans}, indent=1
    )
