"""The clock on the page: whose it is, what lies ahead, to move it, and what that made happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from klingkit.mock_server.clock import START
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.page import clock
from tests.conftest import body, data_of
from tests.mock_server.page.conftest import Visitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Api

HERE = "/_mock/page/clock"
HOOK = "http://127.0.0.1:9/hook"


def test_a_move_tells_what_it_made_happen(make_api: Callable[..., Api]) -> None:
    api = make_api(send=lambda *_, timeout_ms: 204, speed=1)
    task_id = data_of(api.create(body(callback_url=HOOK)))["task_id"]
    visitor = Visitor(api)
    after = visitor.do("advance_clock", back=HERE, by="2m")

    happened = after.one("table", id="happened")
    assert [row[1] for row in happened.rows()] == [
        "callback 204",
        "becomes processing",
        "callback 204",
        "becomes succeed",
        "callback 204",
    ]
    assert {link.text for link in happened.all("a")} == {f"task {task_id}"}
    assert after.one(id="status").all("time")[0].text == "00:02:00.000"
    assert "Nothing was due on the way." in visitor.do("advance_clock", back=HERE, by="1s").text


def test_very_many_events_are_bounded(make_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "MOST_EVENTS", 3)
    api = make_api(speed=1)
    for _ in range(4):
        api.create()
    after = Visitor(api).do("advance_clock", back=HERE, to="idle")
    assert len(after.one("table", id="happened").rows()) == 3
    assert "And 5 more." in after.text


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"by": "soon"}, "'soon' is not a duration"),
        ({"to": "yesterday"}, "'yesterday' is no moment"),
        ({"to": "2020-01-01T00:00:00Z"}, "the clock does not go back"),
        ({}, "the body"),
    ],
)
def test_a_wrong_move_is_refused_in_its_place(visitor: Visitor, fields: dict[str, str], says: str) -> None:
    after = visitor.do("advance_clock", back=HERE, http=400, **fields)
    assert says in after.one("section", class_="outcome").text
    assert Control.of(visitor.api.simulator).clock()["now"] == START
    for name, value in fields.items():
        assert value in [each.attrs.get("value") for each in after.all("input", name=name)]


def test_a_journey_that_is_ended_is_told_in_its_place(visitor: Visitor) -> None:
    """By a reset, or after the time that one may take."""
    visitor.api.simulator.traveller.close()
    after = visitor.do("advance_clock", back=HERE, http=400, to="idle")
    assert "It ended on its way: the simulator is closed" in after.one("section", class_="outcome").text


def test_an_account_has_a_clock_of_its_own_once_it_is_moved(visitor: Visitor) -> None:
    visitor.api.create(key="one")
    visitor.api.create(key="two")
    one = Control.of(visitor.api.simulator, key="one").account()["account"]
    mine = f"{HERE}?account={one}"

    assert "which " + one + " follows" in visitor.look(mine).text
    visitor.do("advance_clock", back=mine, account=one, by="1h")
    assert f"the own clock of {one}" in visitor.look(mine).text
    server = visitor.look(HERE).text
    assert "1 account follows it, 1 has one of its own" in server
    assert Control.of(visitor.api.simulator).clock()["now"] == START


def test_what_lies_ahead_is_shown_in_order(make_api: Callable[..., Api]) -> None:
    api = make_api(send=lambda *_, timeout_ms: 500, speed=1)
    task_id = data_of(api.create(body(callback_url=HOOK)))["task_id"]
    api.simulator.callbacks.deliver_due()
    looked = Visitor(api).look(HERE).one("div", aria_label="What lies ahead")

    assert [row[2] for row in looked.rows()] == [
        "becomes processing",
        "callback of submitted",
        "becomes succeed",
        "callback of succeed",
        "its results expire",
    ]
    assert {row[3] for row in looked.rows()} == {f"task {task_id}"}


def test_a_browser_freezes_moves_and_resumes(make_api: Callable[..., Api], page: Page, url: str, api: Api) -> None:
    task_id = data_of(api.create())["task_id"]
    page.goto(f"{url}{HERE}")
    page.get_by_role("button", name="Next event").click()
    page.locator("#happened").get_by_text("processing").wait_for()
    page.get_by_label("Advance by").get_by_role("textbox").fill("90s")
    page.get_by_role("button", name="Advance", exact=True).click()
    page.locator("#happened").get_by_text("succeed").wait_for()
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("The clock goes on.").wait_for()
    page.locator("#live .badge").get_by_text("running").wait_for()
    page.get_by_role("button", name="Freeze").click()
    page.locator("#live .badge").get_by_text("frozen").wait_for()

    assert Control.of(api.simulator).task(task_id)["status"] == "succeed"
    assert Control.of(api.simulator).clock()["frozen"]
