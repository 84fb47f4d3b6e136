"""Forms: each is one operation of the control API, whose answer is the screen that it stood on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from klingkit.mock_server.control.client import Control
from klingkit.mock_server.page.ask import address
from klingkit.mock_server.page.doing import call_of
from klingkit.mock_server.page.screens import SCREENS
from tests.conftest import data_of
from tests.mock_server.page.html import parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

    from tests.conftest import Api
    from tests.mock_server.page.conftest import Visitor


@pytest.mark.parametrize(
    ("operation_id", "fields", "arguments", "body"),
    [
        ("advance_clock", {"by": "2m", "to": ""}, {}, {"by": "2m"}),
        ("advance_clock", {"to": "1767225600000"}, {}, {"to": "1767225600000"}),
        ("move_task", {"task_id": "1", "account": "a", "back": "/"}, {"task_id": "1"}, None),
        ("queue_scenario", {"scenario": "reset", "times": "2"}, {}, {"scenario": "reset", "times": 2}),
        ("queue_scenario", {"scenario": "reset", "times": "two"}, {}, {"scenario": "reset", "times": "two"}),
        ("set_account", {"balance": "0.50", "concurrency": "3"}, {}, {"balance": "0.50", "concurrency": 3}),
        ("set_account", {"balance": "0.50", "balance.null": "on"}, {}, {"balance": None}),
        ("set_account", {"balance.null": "on", "balance": "0.50"}, {}, {"balance": None}),
        ("set_account", {"disabled": "true", "expired": "false"}, {}, {"disabled": True, "expired": False}),
        ("set_account", {"disabled": "maybe"}, {}, {"disabled": "maybe"}),
        ("set_account", {"assume.a": "b", "assume.c": "d"}, {}, {"assume": {"a": "b", "c": "d"}}),
        ("set_account", {"assume": "x", "assume.a": "b"}, {}, {"assume": "x"}),
        ("set_account", {"unknown": "x"}, {}, {"unknown": "x"}),
        ("reset", {}, {}, None),
    ],
)
def test_fields_become_arguments_and_body(
    operation_id: str, fields: dict[str, str], arguments: dict[str, str], body: dict[str, Any] | None
) -> None:
    assert call_of(operation_id, fields) == (arguments, body)


def test_what_came_of_it_stands_on_the_screen_of_the_form(visitor: Visitor) -> None:
    back = "/_mock/page/api?account=acct-2c70e12b7a06"
    screen = visitor.do("freeze_clock", back=back)

    assert screen.one("h1").text == "API"
    assert screen.one(class_="outcome").attrs["data-address"] == back
    assert "Done." in screen.one(class_="outcome").one(role="status").text
    assert screen.one(id="status").one("a").text == "show the whole server"


@pytest.mark.parametrize("name", SCREENS)
def test_any_form_can_lead_to_any_screen(visitor: Visitor, name: str) -> None:
    visitor.api.create()
    visitor.do("freeze_clock", back=address(name, "", {}))
    screen = visitor.do("resume_clock", back=address(name, "", {}))

    assert "stands still" not in screen.one(class_="outcome").text
    assert screen.one(class_="outcome").one(role="status")


def test_a_form_acts_on_the_account_that_it_names(visitor: Visitor) -> None:
    account = visitor.api.simulator.store.record(data_of(visitor.api.create())["task_id"]).task.account  # type: ignore[union-attr]
    visitor.do("set_account", account=account, balance="0.50")
    control = Control.of(visitor.api.simulator)

    assert control.account()["balance"] is None
    assert [each["balance"] for each in control.accounts()] == ["0.5"]


@pytest.mark.parametrize(
    ("operation_id", "fields", "says"),
    [
        ("advance_clock", {"by": "soon"}, "'soon' is not a duration"),
        ("advance_clock", {}, "the fields are by, to"),
        ("move_task", {"task_id": "1"}, "there is no task '1'"),
        ("move_task", {"task_id": "1", "x": "y"}, "unknown parameter 'x'"),
        ("set_account", {"balance": "much"}, "'much' is no amount"),
        ("freeze_clock", {"account": "nobody at all"}, "no name of an account"),
        ("queue_scenario", {"scenario": "<b>reset</b>"}, "<b>reset</b>"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said_in_its_place(
    visitor: Visitor, operation_id: str, fields: dict[str, str], says: str
) -> None:
    screen = visitor.do(operation_id, back="/_mock/page/api", http=400, **fields)

    assert says in screen.one(class_="outcome").one(role="alert").text
    assert screen.one("h1").text == "API"
    assert visitor.api.simulator.clocks.moves("") == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_mock/page/do/nothing"),
        ("POST", "/_mock/page/do/list_tasks"),
        ("POST", "/_mock/page/do/"),
        ("POST", "/_mock/page/do"),
        ("POST", "/_mock/page/tasks"),
        ("GET", "/_mock/page/do/reset"),
        ("GET", "/_mock/page/token"),
        ("GET", "/_mock/page/nothing"),
        ("GET", "/_mock/page/static/0/nothing.css"),
        ("GET", "/_mock/page/static/../routes.py"),
        ("GET", "/_mock/page/static/0/htmx.LICENSE"),
    ],
)
def test_what_there_is_not_is_a_page_that_leads_on(visitor: Visitor, method: str, path: str) -> None:
    answer = visitor.send(method, path)

    assert answer.status_code in {400, 404}
    assert "/static/" in path or "/_mock/" in [link.attrs["href"] for link in parsed(answer.text).all("a")]


def test_a_form_is_not_endless(visitor: Visitor) -> None:
    answer = visitor.send("POST", "/_mock/page/do/advance_clock", data={"by": "2" * 70_000})

    assert answer.status_code == 413
    assert "a form has at most 65536 bytes".capitalize() in parsed(answer.text).text


@pytest.mark.parametrize("path", ["/_mock", "/_mock/", "/_mock/page", "/_mock/page/", "/_mock/page/tasks"])
def test_the_tasks_are_the_first_screen(visitor: Visitor, path: str) -> None:
    assert visitor.look(path).one("h1").text == "Tasks"


def test_an_account_that_there_cannot_be_leads_on(visitor: Visitor) -> None:
    assert visitor.look("/_mock/?account=no%20name%00", 400).one("a").attrs["href"] == "/_mock/"


# In a browser: what it sends with a form is let through


def test_a_form_needs_no_script(api: Api, browser: Browser, new_page: Callable[..., Page], url: str) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{url}/_mock/page/clock")
    page.get_by_role("button", name="+1 m", exact=True).click()

    assert page.locator(".outcome [role=status]").is_visible()
    assert [move.end - move.start for move in api.simulator.clocks.moves("")] == [60_000]
    page.get_by_role("textbox", name="Advance by").fill("soon")
    page.get_by_role("button", name="Advance", exact=True).click()
    assert "'soon' is not a duration" in page.get_by_role("alert").inner_text()


def test_reloading_does_not_do_it_again(api: Api, page: Page, url: str) -> None:
    """What came of a form stands at the address of its screen."""
    page.goto(f"{url}/_mock/page/clock?hold")
    page.get_by_role("button", name="+1 m", exact=True).click()
    page.locator(".outcome [role=status]").wait_for()
    assert page.url.startswith(f"{url}/_mock/page/clock?hold")
    page.reload()

    assert page.locator(".outcome").count() == 0
    assert len(api.simulator.clocks.moves("")) == 1
