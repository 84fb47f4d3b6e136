"""The axis of a task's life: everything in order and within the drawing, however long it took and however much there is."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from klingkit.mock_server.page.timeline import LABEL, LAST_POLLS, LEFT, MOST_POLLS, RIGHT, Axis, timeline

MOMENTS = st.lists(st.integers(0, 2**42), min_size=1, max_size=30)


def task(*, age_ms: int, ended: bool, **told: Any) -> dict[str, Any]:
    planned = [
        {"status": "submitted", "at": 1000},
        {"status": "processing", "at": 2000},
        {"status": "succeed", "at": 9000},
    ]
    timeline = {"planned": planned, "happened": planned[: 3 if ended else 1], "polls": [], "callbacks": [], "moves": []}
    return {
        "progression": "time",
        "ended": ended,
        "age_ms": age_ms,
        "callback_url": "",
        "timeline": {**timeline, **told},
    }


def lanes(shown: dict[str, Any]) -> dict[str, Any]:
    return {lane.name: lane for lane in shown["lanes"]}


@given(MOMENTS)
def test_what_is_later_stands_further_right_and_labels_have_room(moments: list[int]) -> None:
    axis = Axis(moments)
    places = [axis.x(moment) for moment in sorted(moments)]
    assert places == sorted(places)
    assert all(LEFT <= place <= RIGHT for place in places)
    labels = axis.labels(moments)
    assert labels[0] == (LEFT, "+0.0 s")
    assert len({text for _, text in labels}) == len(labels)
    assert all(right - left >= LABEL for (left, _), (right, _) in pairwise(labels))


def test_a_move_of_the_clock_is_drawn_no_further_than_the_task_lived() -> None:
    moves = [
        {"at": 0, "from": 0, "to": 1000, "by": "advance"},
        {"at": 0, "from": 5000, "to": 86_400_000, "by": "advance"},
    ]
    shown = timeline(task(age_ms=90_000_000, ended=True, moves=moves))
    (bar,) = lanes(shown)["Clock"].bars
    assert bar["x"] + bar["width"] == RIGHT
    assert shown["labels"][-1] == (RIGHT, "+8.0 s")


def test_a_plan_without_an_end_is_drawn_up_to_now() -> None:
    steps = [{"status": "submitted", "at": 1000}, {"status": "processing", "at": 2000}]
    shown = lanes(timeline(task(age_ms=60_000, ended=False, planned=steps, happened=steps)))
    for name in ("Planned", "Happened"):
        last = shown[name].bars[-1]
        assert (last["text"], last["x"] + last["width"], shown[name].ticks) == ("processing", RIGHT, [])


def test_very_many_queries_are_bounded_and_said_to_be_more() -> None:
    polls = [{"at": 2000 + number, "request": number} for number in range(5000)]
    shown = timeline(task(age_ms=10_000, ended=True, polls=polls))
    assert [tick["text"] for tick in lanes(shown)["Queries"].ticks][::199] == ["query 0", "query 199"]
    assert shown["polls_left_out"] == 5000 - MOST_POLLS
    told = [row.request for row in shown["rows"] if row.request is not None]
    assert told == [*range(MOST_POLLS - LAST_POLLS), *range(5000 - LAST_POLLS, 5000)]


def test_queries_after_the_one_that_shows_the_end_are_one_mark() -> None:
    polls = [{"at": 1000 + 3000 * number, "request": number} for number in range(230)]
    shown = timeline(task(age_ms=700_000, ended=True, polls=polls))
    queries = lanes(shown)["Queries"]
    assert [tick["text"] for tick in queries.ticks] == ["query 0", "query 1", "query 2", "query 3"]
    assert shown["folded"] == "226 queries after the end"
    assert shown["labels"][-1] == (RIGHT, "+9.0 s")
    assert timeline(task(age_ms=700_000, ended=True, polls=polls[:4]))["folded"] == ""
    assert timeline(task(age_ms=5000, ended=False, polls=polls[:2]))["folded"] == ""


def test_two_moments_that_read_alike_have_one_label() -> None:
    assert Axis([0, 10, 20, 40]).labels([0, 10, 20, 40]) == [(LEFT, "+0.0 s")]
