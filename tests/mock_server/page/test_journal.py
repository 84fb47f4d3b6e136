"""The journal on the page: why a create was refused, what of a request is ignored, and what a client should have done otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from klingkit.mock_server.page import journal
from tests.conftest import PATH, body, data_of
from tests.mock_server.page.conftest import Visitor

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from playwright.sync_api import Page

    from tests.conftest import Api

HERE = "/_mock/page/journal"


def numbers(visitor: Visitor, query: str = "") -> list[int]:
    """Numbers of the requests that a screen shows, in its order."""
    shown = visitor.look(HERE + query).all("article")
    return [int(each.attrs["id"].removeprefix("request-")) for each in shown]


def test_a_newcomer_finds_why_a_create_was_refused(visitor: Visitor) -> None:
    visitor.api.create(body(n=99))
    shown = visitor.look(HERE).one("article", id="request-1")

    assert "Refused by n.maximum" in shown.text
    assert "n: must be less than or equal to 9" in shown.text
    why = shown.one("details", id="why-1").text
    assert "limit: 9 inferred" in why
    assert "openapi.yaml#/components/schemas/CreateRequest/properties/n/maximum" in why
    assert '"code": 1201' in shown.one("pre", id="answer-1").text


def test_an_ignored_field_is_marked_where_it_stands(visitor: Visitor) -> None:
    visitor.api.create(body(promt="<b>", subject_image_list=[{"subject_image": "https://a/b", "url": 1}] * 2))
    shown = visitor.look(HERE).one("article", id="request-1")

    assert sorted(mark.text.rstrip(",") for mark in shown.all("mark")) == ['"promt": "<b>"', '"url": 1', '"url": 1']
    assert "ignored; did you mean 'prompt'?" in shown.one("pre", id="body-1").text
    assert "What to do: the service ignores the field in silence: correct its name" in shown.text
    assert "open" in shown.one("details", id="whole-1").attrs


def test_advice_that_needs_more_than_one_request_stands_with_the_one_that_shows_it(visitor: Visitor) -> None:
    for _ in range(2):
        visitor.api.create(body(prompt="twice"))
    second = visitor.look(HERE).one("article", id="request-2").text
    assert "the same request made a second task" in second
    assert "What to do: send an external_task_id" in second


def test_filters_stand_in_the_address(visitor: Visitor) -> None:
    visitor.api.create(body(prompt="a cat"))
    visitor.api.create(body(n=0))
    task_id = data_of(visitor.api.create(body(prompt="a dog")))["task_id"]
    visitor.api.query(task_id)

    assert numbers(visitor) == [4, 3, 2, 1]
    assert numbers(visitor, "?refused=true") == [2]
    assert numbers(visitor, "?refused=false&text=CAT") == [1]
    assert numbers(visitor, f"?task_id={task_id}") == [4, 3]
    assert numbers(visitor, "?operation=get_task") == [4]
    visitor.api.create(body(external_task_id="order-1"))
    assert numbers(visitor, "?task_id=order-1") == [5]
    assert "order-1" in visitor.look(HERE).one("article", id="request-5").one("header").text
    assert numbers(visitor, "?rule=n.minimum") == [2]
    assert "Only text cat" in visitor.look(HERE + "?text=cat").text
    assert "No such request" in visitor.look(HERE + "?text=mouse").text
    assert "status: 'x' is not a whole number" in visitor.look(HERE + "?status=x", 400).text
    assert visitor.look(HERE + "?text=%22%3E%3Cb%3E").one("input", name="text").attrs["value"] == '"><b>'


def test_pages_lead_through_all_requests(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PER_PAGE", 3)
    for _ in range(7):
        visitor.api.create(body(n=0))
    address, seen = HERE, []
    while address:
        looked = visitor.look(address)
        seen += [each.attrs["id"] for each in looked.all("article")]
        address = next((link.attrs["href"] for link in looked.all("a", rel="next")), "")
    assert seen == [f"request-{number}" for number in range(7, 0, -1)]


def test_what_a_full_journal_has_lost_is_said(make_api: Callable[..., Api]) -> None:
    visitor = Visitor(make_api(max_journal=2))
    for _ in range(5):
        visitor.api.create(body(n=0))
    assert visitor.look(HERE).one(id="dropped").text.startswith("3 older requests are not kept any more")


def test_a_hostile_request_is_shown_as_text(visitor: Visitor) -> None:
    raw = b'{"prompt": "\\ud800<script>alert(1)</script>", "<img src=x onerror=alert(1)>": "\\u001b[2J"}'
    headers = {"X-Html": "<svg onload=alert(1)>", "Content-Type": "application/json"}
    visitor.api.send_unchecked("POST", PATH, data=raw, headers=headers)
    visitor.api.send_unchecked("GET", f"{PATH}/<b>%1b[2J")
    looked = visitor.look(HERE)

    assert looked.all("svg") == looked.all("img") == looked.all("b") == []
    first = looked.one("article", id="request-1").text
    assert "\\ud800<script>alert(1)</script>" in first
    assert "<svg onload=alert(1)>" in first
    assert "\x1b" not in looked.text


def test_a_request_that_comes_is_seen_by_itself_unless_held_still(
    api: Api, page: Page, new_page: Callable[..., Page], url: str
) -> None:
    held = new_page()
    held.goto(f"{url}{HERE}?hold")
    page.goto(f"{url}{HERE}")
    api.create(body(n=99))
    page.locator("#request-1").wait_for()
    page.locator("#request-1 summary").first.click()
    page.get_by_text("openapi.yaml#/components").wait_for()
    api.create(body(promt="x"))
    page.locator("#request-2 mark").wait_for()

    assert page.get_by_text("openapi.yaml#/components").first.is_visible()  # what was opened stays open
    assert held.locator("article").count() == 0
    held.get_by_role("link", name="go live").click()
    held.locator("#request-2").wait_for()
