"""The screen of the scenarios: found, queued, taken out again, and what holds by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from klingkit.mock_server.auth import account_name
from klingkit.mock_server.control.client import Control

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Api
    from tests.mock_server.page.conftest import Visitor
    from tests.mock_server.page.html import Node

SCENARIOS = "/_mock/page/scenarios"


def queued(screen: Node) -> list[list[str]]:
    """Scenario, operation and account of what is queued, as it is shown."""
    tables = screen.all("div", aria_label="Queued scenarios")
    return [row[:4] for table in tables for row in table.rows()]


def names(screen: Node) -> list[str]:
    return [row[0] for table in screen.all("div", aria_label="All scenarios") for row in table.rows()]


def test_the_table_is_searched_by_words(visitor: Visitor) -> None:
    found = names(visitor.look(f"{SCENARIOS}?text=Callback+late"))
    assert found == ["callback-late"]
    assert len(names(visitor.look(SCENARIOS))) > 50

    nothing = visitor.look(f"{SCENARIOS}?text=%3Cscript%3E")
    assert names(nothing) == []
    assert "No scenario has <script>" in nothing.text


def test_a_scenario_is_queued_and_taken_out(visitor: Visitor) -> None:
    screen = visitor.do("queue_scenario", SCENARIOS, scenario="error-1303", times="2", operation="create_task")
    assert queued(screen) == [["error-1303", "create_task", "any account", "2"]]
    assert visitor.api.create().status_code == 429
    assert queued(visitor.look(SCENARIOS)) == [["error-1303", "create_task", "any account", "1"]]

    screen = visitor.do("unqueue_scenario", SCENARIOS, scenario="error-1303", operation="create_task")

    assert queued(screen) == []
    assert visitor.api.create().status_code == 200


def test_it_is_queued_for_one_account(visitor: Visitor) -> None:
    visitor.api.create(key="one")
    one = account_name("one")
    screen = visitor.do("queue_scenario", SCENARIOS, scenario="error-1303", operation="create_task", account=one)

    assert queued(screen) == [["error-1303", "create_task", one, "1"]]
    assert [visitor.api.create(key=key).status_code for key in ("two", "one")] == [200, 429]


def test_what_cannot_be_queued_stays_in_the_form_and_says_why(visitor: Visitor) -> None:
    screen = visitor.do("queue_scenario", SCENARIOS, 400, scenario="eror-1303", times="many", operation="get_task")
    assert '"many" is not of type' in screen.one(role="alert").text
    screen = visitor.do("queue_scenario", SCENARIOS, 400, scenario="eror-1303", times="3", operation="get_task")

    assert "did you mean error-1303? The nearest of " in screen.one(role="alert").text
    form = screen.one("form", action="/_mock/page/do/queue_scenario")
    assert [form.one("input", name=name).attrs["value"] for name in ("scenario", "times")] == ["eror-1303", "3"]
    assert [each.text for each in form.one("select", name="operation").all("option", selected="")] == ["get_task"]
    assert queued(screen) == []


def test_an_example_is_filled_in_by_a_link(visitor: Visitor) -> None:
    links = visitor.look(SCENARIOS).one("tr", id="scenario-slow").all("a")
    forms = [
        visitor.look(each.attrs["href"].partition("#")[0]).one("form", action="/_mock/page/do/queue_scenario")
        for each in links
    ]
    assert [form.one("input", name="scenario").attrs["value"] for form in forms] == ["slow", "slow:20"]


def test_whom_a_scenario_meets_is_chosen_in_the_form(visitor: Visitor) -> None:
    visitor.api.create(key="one")
    one, other = account_name("one"), account_name("other")
    for view, chosen in (
        (SCENARIOS, []),
        (f"{SCENARIOS}?account={one}", [one]),
        (f"{SCENARIOS}?account={other}", [other]),
    ):
        form = visitor.look(view).one("form", action="/_mock/page/do/queue_scenario")
        options = form.one("select", name="account").all("option")
        assert [each.attrs["value"] for each in options if "selected" in each.attrs] == chosen
        assert {"any account", f"{one} (1 task)"} <= {each.text for each in options}
    screen = visitor.do("queue_scenario", f"{SCENARIOS}?account={one}", scenario="error-1303", account="")
    assert "whoever sends it" in screen.one(class_="outcome").text
    assert visitor.api.create(key="two").status_code == 429


def test_names_are_marked_without_backticks(visitor: Visitor) -> None:
    screen = visitor.look(SCENARIOS)
    assert "`" not in screen.text
    assert [each.text for each in screen.one("tr", id="scenario-string-code").all("code")] == ["string-code", "code"]


def test_a_default_is_set_and_taken_away(visitor: Visitor) -> None:
    screen = visitor.do("set_account", SCENARIOS, scenario="error-1301", query_scenario="delay:1s")
    assert [each.text for each in screen.one("dl", class_="facts").all("dd")] == ["error-1301", "delay:1s"]

    visitor.do("set_account", SCENARIOS, scenario="", scenario__null="1")

    settings = Control.of(visitor.api.simulator).account()
    assert (settings["scenario"], settings["query_scenario"]) == (None, "delay:1s")


def test_text_from_outside_is_text(visitor: Visitor) -> None:
    screen = visitor.do("queue_scenario", SCENARIOS, scenario="fail:<b>dark</b>", operation="create_task")
    assert queued(screen)[0][0] == "fail:<b>dark</b>"


def test_in_a_browser(page: Page, url: str, api: Api, accessible: Callable[[Page], None]) -> None:
    page.goto(url + SCENARIOS)
    page.get_by_role("link", name="error-1303:try again later").click()
    page.get_by_role("button", name="Queue it").click()
    page.get_by_text("meets error-1303:try again later").wait_for()
    accessible(page)
    assert api.create().status_code == 429
    page.get_by_text("Nothing is queued").wait_for()  # by polling
