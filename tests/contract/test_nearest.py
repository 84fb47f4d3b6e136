"""A name that there is not is answered with those that come near."""

from __future__ import annotations

from klingkit.contract.nearest import nearest, nearest_names

NAMES = ["n.maximum", "n.minimum", "prompt.maxLength", "external_task_id.unique"]


def test_the_nearest_come_first() -> None:
    assert nearest("n.maximun", NAMES) == "; the nearest are n.maximum, n.minimum, prompt.maxLength"
    assert nearest_names("n.maximun", NAMES, most=1) == ["n.maximum"]


def test_nothing_is_said_where_none_comes_near() -> None:
    assert nearest("@@", NAMES) == ""
    assert nearest("n.maximum", []) == ""


def test_some_are_given_even_so_if_that_is_wanted() -> None:
    assert len(nearest_names("@@", NAMES, alike=0)) == 3
