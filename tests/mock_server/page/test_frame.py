"""What every screen has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from klingkit.mock_server.control.client import Control
from klingkit.mock_server.store import StoreUnavailableError
from tests.conftest import data_of
from tests.mock_server.page.conftest import Visitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Api


def test_a_new_task_comes_into_view_by_itself(
    api: Api, page: Page, url: str, accessible: Callable[[Page], None]
) -> None:
    page.goto(f"{url}/_mock/")
    page.get_by_text("No task yet").wait_for()
    task_id = data_of(api.create())["task_id"]
    page.get_by_text(task_id).wait_for()
    accessible(page)


def test_what_is_easily_forgotten_stands_on_every_screen(api: Api, visitor: Visitor) -> None:
    """Of the server, and of the account that is looked at."""
    assert "Set otherwise" not in visitor.look("/_mock/page/api").one(id="status").text
    Control.of(api.simulator).configure(scenario="error-1303", assume={"two-subjects": "one"})
    account = Control.of(api.simulator, key="key")
    account.configure(disabled=True)

    assert "creates: error-1303 1 open question where" in visitor.look("/_mock/page/api").one(id="status").text
    own = visitor.look(f"/_mock/page/api?account={account.account()['account']}").one(id="status").text
    assert "key disabled" in own


def test_whose_view_it_is_stands_on_every_screen(visitor: Visitor) -> None:
    looked = visitor.look("/_mock/page/api?account=acct-2c70e12b7a06")

    assert "View acct-2c70e12b7a06 show the whole server" in looked.one(id="status").text
    for link in looked.one("nav").all("a"):
        assert link.attrs["href"].endswith("?account=acct-2c70e12b7a06")
    assert looked.one(id="status").one("a").attrs["href"] == "/_mock/page/api"


def test_a_clock_that_somebody_has_touched_tells_it_on_every_screen(make_api: Callable[..., Api]) -> None:
    """With its day, since a time alone may look as if it was past."""
    api = make_api(start=None)
    visitor, control = Visitor(api), Control.of(api.simulator)

    def clock() -> str:
        return visitor.look("/_mock/page/api").one(id="status").all("dd")[1].text

    assert re.fullmatch(r"[\d:.]+", clock())
    control.advance("31d")
    assert re.fullmatch(r"[\d:.]+ \d{4}-\d\d-\d\d frozen", clock())
    control.resume()
    assert re.fullmatch(r"[\d:.]+ \d{4}-\d\d-\d\d moved 30 d 23 h ahead", clock())


@pytest.mark.parametrize("path", ["/_mock/", "/_mock/page/clock"])
def test_while_the_state_cannot_be_used_a_person_is_told_so(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def away() -> None:
        raise StoreUnavailableError("its <b>disk</b> is full")

    monkeypatch.setattr(visitor.api.simulator.store, "refresh", away)
    screen = visitor.look(path, http=503)
    script = visitor.send("GET", "/_mock/clock")

    assert screen.one("h1").text == "Not shown"
    assert "Its <b>disk</b> is full." in screen.text
    assert (script.status_code, script.json) == (503, {"error": "its <b>disk</b> is full"})
