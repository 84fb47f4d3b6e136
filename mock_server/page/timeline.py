"""The life of a task on one axis of time: what was planned above it, below it what happened. Coordinates for an SVG, and the same as a table."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from .formats import span, status_kind

LEFT, RIGHT = 96, 900
"""Of the axis, in units of the drawing, which is 960 wide."""
MOST_POLLS, LAST_POLLS = 200, 50
"""That are drawn and told one by one; how many of these are the last, where there are more."""
MOST_ATTEMPTS = 200
LABEL = 62
"""Between two labels of the axis at least."""
BY = {"freeze": "the clock was stopped", "resume": "the clock went on", "advance": "the clock was moved"}


@dataclass(frozen=True, slots=True)
class Mark:
    """Something at a moment, or (with `end`) for a while."""

    at: int
    kind: str
    """`good`, `bad`, `busy` or `plain`."""
    text: str
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Happened:
    """A row of the table."""

    at: int
    what: str
    request: int | None = None
    """Its number in the journal, of a query."""
    delivery: str = ""
    """Id of a callback."""


@dataclass(slots=True)
class Lane:
    """A row of the drawing."""

    name: str
    y: int
    bars: list[dict[str, Any]] = field(default_factory=list)
    ticks: list[dict[str, Any]] = field(default_factory=list)
    remark: str = ""
    """Stands in the lane in place of what there is not."""


class Axis:
    """Moments from left to right. A wait is drawn by the square root of its length, so that seconds and hours are seen side by side."""

    def __init__(self, moments: list[int]) -> None:
        self._moments = sorted({*moments})
        widths = [max(1.0, later - earlier) ** 0.5 for earlier, later in pairwise(self._moments)]
        whole = sum(widths) or 1.0
        self._places = [float(LEFT)]
        for width in widths:
            self._places.append(self._places[-1] + width * (RIGHT - LEFT) / whole)

    def x(self, moment: int) -> float:
        """Return where a moment is drawn; it is one of those that the axis was made of."""
        return round(self._places[bisect_left(self._moments, moment)], 1)

    def labels(self, moments: list[int]) -> list[tuple[float, str]]:
        """Return place and text of as many labels as there is room for, no text twice, the first and the last before others."""
        wanted = sorted({*moments})
        kept: dict[str, float] = {}
        for moment in (wanted[0], wanted[-1], *wanted[1:-1]):
            x, text = self.x(moment), f"+{span(moment - wanted[0])}"
            if text not in kept and all(abs(x - other) >= LABEL for other in kept.values()):
                kept[text] = x
        return sorted((x, text) for text, x in kept.items())


def timeline(task: dict[str, Any]) -> dict[str, Any]:
    """Return what the drawing and the table of a task show; `task` is what the control API tells of it."""
    told = task["timeline"]
    begun = told["planned"][0]["at"]
    now = begun + task["age_ms"]
    planned, happened = _planned(task, now), _statuses(told["happened"], now, ended=task["ended"])
    end = happened[-1].at if task["ended"] else None
    polls, folded = _polls(told["polls"], end)
    attempts = _attempts(told["callbacks"])[-MOST_ATTEMPTS:]
    life = [begun, *([] if task["ended"] else [now]), *_moments([*planned, *happened, *polls, *attempts])]
    moves = _moves(told["moves"], begun, max(life))
    axis = Axis([*life, *_moments(moves)])
    lanes = [
        _lane("Planned", 8, planned, axis, "no times: " + _moved_by(task) if not planned else ""),
        _lane("Happened", 72, happened, axis),
        _lane("Queries", 104, polls, axis, "" if polls or folded else "none yet: nobody has asked for it"),
        _lane("Callbacks", 130, attempts, axis, "" if attempts else _no_callback(task)),
        _lane("Clock", 162, moves, axis, "" if moves else "nobody has moved it"),
    ]
    return {
        "lanes": lanes,
        "labels": axis.labels([begun, max(life), *_moments(planned), *_moments(attempts)]),
        "begun": begun,
        "now_x": None if task["ended"] else axis.x(now),
        "rows": sorted(_rows(task), key=lambda row: row.at),
        "folded": f"{folded} {'query' if folded == 1 else 'queries'} after the end" if folded else "",
        "polls_left_out": max(0, len(told["polls"]) - MOST_POLLS),
    }


def _polls(polls: list[dict[str, Any]], end: int | None) -> tuple[list[Mark], int]:
    """Return queries up to the first that shows the end, and how many came after it: these would make the life itself a dot."""
    seen = sum(poll["at"] < end for poll in polls) + 1 if end is not None else len(polls)
    drawn = [Mark(poll["at"], "plain", f"query {poll['request']}") for poll in polls[:seen][:MOST_POLLS]]
    return drawn, max(0, len(polls) - seen)


def _moments(marks: list[Mark]) -> list[int]:
    return [moment for mark in marks for moment in (mark.at, mark.end) if moment is not None]


def _planned(task: dict[str, Any], now: int) -> list[Mark]:
    """Return the path of a task as bars; none where no time brings it there."""
    steps = task["timeline"]["planned"]
    if task["progression"] != "time" or any(step["at"] is None for step in steps):
        return []
    ends = status_kind(steps[-1]["status"]) in {"good", "bad"}
    return _statuses(steps, max(now, steps[-1]["at"]), ended=ends)


def _statuses(steps: list[dict[str, Any]], now: int, *, ended: bool) -> list[Mark]:
    """Return statuses as bars, each to the next one; the last as a point if it is an end."""
    bars = [
        Mark(step["at"], status_kind(step["status"]), step["status"], later["at"]) for step, later in pairwise(steps)
    ]
    last = steps[-1]
    return [
        *bars,
        Mark(
            last["at"],
            status_kind(last["status"]),
            last["status"],
            None if ended else max(now, last["at"]),
        ),
    ]


def _attempts(deliveries: list[dict[str, Any]]) -> list[Mark]:
    made = [(attempt, delivery) for delivery in deliveries for attempt in delivery["attempts"]]
    return [
        Mark(
            attempt["at"],
            "bad" if attempt["problem"] else "good",
            f"callback of {delivery['status']}: {_result(attempt)}",
        )
        for attempt, delivery in sorted(made, key=lambda each: each[0]["at"])
    ]


def _result(attempt: dict[str, Any]) -> str:
    status = f"HTTP {attempt['http_status']}" if attempt["http_status"] else "no answer"
    return f"{status}, {attempt['problem']}" if attempt["problem"] else f"{status}, delivered"


def _moves(moves: list[dict[str, Any]], begun: int, last: int) -> list[Mark]:
    """Return moves of the clock, as far as they lie within what is drawn."""
    return [
        Mark(start, "busy", BY[move["by"]], end if end > start else None)
        for move in moves
        for start, end in [(max(begun, move["from"]), min(move["to"], last))]
        if begun <= start <= last and not (move["from"] < move["to"] == begun)
    ]


def _moved_by(task: dict[str, Any]) -> str:
    path = " → ".join(step["status"] for step in task["timeline"]["planned"])
    return f"{path}, {'each step by a query' if task['progression'] == 'polls' else 'each step by hand'}"


def _no_callback(task: dict[str, Any]) -> str:
    return "none sent yet" if task["callback_url"] else "its create had no callback_url"


def _lane(name: str, y: int, marks: list[Mark], axis: Axis, remark: str = "") -> Lane:
    lane = Lane(name, y, remark=remark)
    for mark in marks:
        x = axis.x(mark.at)
        if mark.end is None:
            label = mark.text if name in {"Planned", "Happened"} else ""
            lane.ticks.append({"x": x, "kind": mark.kind, "text": mark.text, "label": label, "at": mark.at})
        else:
            width = max(2.0, round(axis.x(mark.end) - x, 1))
            fits = mark.text if width > 8 * len(mark.text) else ""
            lane.bars.append(
                {"x": x, "width": width, "kind": mark.kind, "text": mark.text, "label": fits, "at": mark.at}
            )
    return lane


def _rows(task: dict[str, Any]) -> list[Happened]:
    told = task["timeline"]
    rows = [Happened(step["at"], f"status {step['status']}") for step in told["happened"]]
    polls = told["polls"]
    if len(polls) > MOST_POLLS:
        polls = polls[: MOST_POLLS - LAST_POLLS] + polls[-LAST_POLLS:]
    rows += [Happened(poll["at"], "a query", poll["request"]) for poll in polls]
    for delivery in told["callbacks"]:
        for attempt in delivery["attempts"][-MOST_ATTEMPTS:]:
            rows.append(
                Happened(
                    attempt["at"], f"callback of {delivery['status']}: {_result(attempt)}", delivery=delivery["id"]
                )
            )
    rows += [Happened(move["to"], BY[move["by"]]) for move in told["moves"]]
    return rows + _ahead(task)


def _ahead(task: dict[str, Any]) -> list[Happened]:
    """Return what is planned and has not happened."""
    told = task["timeline"]
    steps = told["planned"][len(told["happened"]) :] if task["progression"] == "time" else []
    return [Happened(step["at"], f"planned: status {step['status']}") for step in steps if step["at"] is not None]
