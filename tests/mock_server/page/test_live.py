"""What changes comes into view by itself, and costs nothing while nothing changes or nobody looks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from klingkit.mock_server.app import create_app
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.serving.thread_server import ThreadServer
from tests.conftest import data_of
from tests.mock_server.page.conftest import Visitor, served
from tests.mock_server.page.html import Node, parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from playwright.sync_api import Page, Response

    from tests.conftest import Api

SECOND = 1000
POLL = 2 * SECOND
"""ms between two polls."""


def test_a_poll_of_what_has_not_changed_is_304(visitor: Visitor) -> None:
    visitor.api.create()
    first = visitor.poll("/_mock/")
    again = [visitor.poll("/_mock/", first.headers["HX-PTag"]) for _ in range(20)]

    assert first.status_code == 200
    assert [(each.status_code, each.data) for each in again] == [(304, b"")] * 20
    data_of(visitor.api.create())
    assert visitor.poll("/_mock/", first.headers["HX-PTag"]).status_code == 200


def test_a_clock_that_runs_is_no_change(make_api: Callable[..., Api]) -> None:
    """Time goes on in the browser; what has happened by it is one."""
    api = make_api(start=None, speed=1)
    data_of(api.create())
    running = Visitor(api)
    first = running.poll("/_mock/")
    shown = parsed(first.text).one(id="status").all("time")[0].text
    tag = first.headers["HX-PTag"]
    while parsed((later := running.poll("/_mock/")).text).one(id="status").all("time")[0].text == shown:
        pass

    assert later.headers["HX-PTag"] == tag
    Control.of(api.simulator).advance("1m")
    Control.of(api.simulator).resume()
    assert running.poll("/_mock/", tag).status_code == 200


def test_a_poll_gets_what_changes_and_no_more(visitor: Visitor) -> None:
    visitor.api.create()
    whole, live = visitor.look("/_mock/"), parsed(visitor.poll("/_mock/").text)

    assert next(each.attrs["id"] for each in live.inside if isinstance(each, Node)) == "status"
    assert live.all("nav") == live.all("h1") == live.all(id="live") == []
    assert live.text.endswith(whole.one(id="live").text)


def test_a_poll_writes_no_line_into_the_log(visitor: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "klingkit")
    visitor.poll("/_mock/", visitor.poll("/_mock/").headers["HX-PTag"])
    assert caplog.messages == []
    visitor.look("/_mock/")
    assert len(caplog.messages) == 1


def test_what_is_held_still_asks_no_more(visitor: Visitor) -> None:
    live = visitor.look("/_mock/?hold")
    assert "hx-get" not in live.one(id="live").attrs
    assert "go live" in [link.text for link in live.all("a", href="/_mock/")]
    assert live.all("time", data_now="1767225600000") == []
    assert "hx-get" in visitor.look("/_mock/").one(id="live").attrs


# In a browser, whose time the test moves on


def polls(page: Page) -> list[int]:
    """The statuses of the polls from now on."""
    found: list[int] = []

    def note(response: Response) -> None:
        if "hx-request" in response.request.headers:
            found.append(response.status)

    page.on("response", note)
    return found


def test_an_idle_page_gets_304(api: Api, page: Page, url: str) -> None:
    api.create()
    page.clock.install()
    page.goto(f"{url}/_mock/")
    found = polls(page)
    for _ in range(10):
        with page.expect_response("**/_mock/"):
            page.clock.run_for(POLL)

    assert found == [200] + [304] * 9


def test_a_hidden_page_asks_nothing(api: Api, page: Page, url: str) -> None:
    page.add_init_script("Object.defineProperty(Document.prototype, 'hidden', {get: () => window.away === true})")
    page.clock.install()
    page.goto(f"{url}/_mock/")
    found = polls(page)
    page.evaluate("window.away = true")
    page.clock.run_for(60 * SECOND)
    task_id = data_of(api.create())["task_id"]
    page.clock.run_for(60 * SECOND)
    assert found == []

    page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    page.get_by_text(task_id).wait_for()
    assert found == [200]


def test_a_server_that_goes_away_is_told_of_and_comes_back(api: Api, page: Page) -> None:
    """What was shown stays, and what is typed too."""
    crashes: list[Exception] = []
    server = ThreadServer(create_app(api.simulator), api.simulator, crashes.append)
    port = int(server.url.rpartition(":")[2])
    try:
        page.clock.install()
        page.goto(f"{server.url}/_mock/")
        first = data_of(api.create())["task_id"]
        page.clock.run_for(POLL)
        page.get_by_text(first).wait_for()
        server.stop()
        page.clock.run_for(POLL)
        page.get_by_text("klingkit does not answer").wait_for()
        assert page.get_by_text(first).is_visible()

        second = data_of(api.create())["task_id"]
        server = ThreadServer(create_app(api.simulator), api.simulator, crashes.append, port=port)
        page.clock.run_for(POLL)
        page.get_by_text(second).wait_for()
        assert not page.get_by_text("klingkit does not answer").is_visible()
    finally:
        server.stop()
    assert crashes == []


def test_a_server_that_refuses_is_told_of(page: Page, make_api: Callable[..., Api], complaints: list[str]) -> None:
    api = make_api()
    with served(api) as url:
        page.clock.install()
        page.goto(f"{url}/_mock/")
        page.route("**/_mock/", lambda route: route.fulfill(status=503, body="{}"))
        page.clock.run_for(POLL)
        page.get_by_text("klingkit answers HTTP 503").wait_for()
        page.unroute("**/_mock/")
        page.clock.run_for(POLL)
        page.get_by_text("klingkit answers HTTP 503").wait_for(state="hidden")
        assert page.get_by_text("No task yet").is_visible()
    assert all("503" in complaint for complaint in complaints)
    complaints.clear()


def test_time_goes_on_between_two_polls(page: Page, make_api: Callable[..., Api]) -> None:
    running = make_api(start=None, speed=1)
    data_of(running.create())
    with served(running) as url:
        page.clock.install()
        page.goto(f"{url}/_mock/")
        page.route("**/_mock/", lambda route: route.fulfill(status=304))
        before = page.locator("#status time").inner_text()
        for _ in range(6):
            with page.expect_response("**/_mock/"):
                page.clock.run_for(POLL)

        assert re.fullmatch(r"\d\d s", page.locator("#live time[data-at]").inner_text())
        assert page.locator("#status time").inner_text() != before
