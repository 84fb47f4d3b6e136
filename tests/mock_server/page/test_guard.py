"""Who may look at the page: the same as may use the control API, told on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from klingkit.mock_server.control.guard import cookie_of
from klingkit.mock_server.page.screens import SCREENS
from tests.mock_server.page.conftest import Visitor, served
from tests.mock_server.page.html import parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Api

TOKEN = "s3cret of ours"
ADVANCE = "/_mock/page/do/advance_clock"


@pytest.mark.parametrize("path", ["/_mock/", "/_mock/page/api", ADVANCE, "/_mock/page/token"])
@pytest.mark.parametrize(
    ("headers", "says"),
    [
        (
            {"Host": "evil.example"},
            "The control API does not answer as 'evil.example'; --allow-host evil.example allows",
        ),
        ({"Sec-Fetch-Site": "cross-site"}, "does not answer pages of another origin"),
        ({"Sec-Fetch-Site": "same-site"}, "does not answer pages of another origin"),
        ({"Origin": "http://evil.example"}, "does not answer pages of another origin"),
        ({"User-Agent": "klingkit"}, "takes no callbacks"),
    ],
    ids=str,
)
def test_who_may_not_gets_a_page_that_says_why(visitor: Visitor, path: str, headers: dict[str, str], says: str) -> None:
    method = "POST" if path.startswith(("/_mock/page/do", "/_mock/page/token")) else "GET"
    answer = visitor.send(method, path, headers=headers, data={"by": "2m", "token": "x"} if method == "POST" else None)

    assert (answer.status_code, answer.mimetype) == (403, "text/html")
    assert says in parsed(answer.text).text
    assert visitor.api.simulator.clocks.moves("") == []


def test_a_link_of_another_page_leads_to_one_of_ours(visitor: Visitor) -> None:
    path = "/_mock/?status=failed&account=acct-2c70e12b7a06"
    refused = parsed(visitor.send("GET", path, headers={"Sec-Fetch-Site": "cross-site"}).text)

    assert refused.one("a").attrs["href"] == path
    assert visitor.send("GET", path, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_a_link_cannot_help_where_the_name_is_not_ours(visitor: Visitor) -> None:
    answer = visitor.send("GET", "/_mock/", headers={"Host": "kling:8000"})

    assert "--allow-host kling" in answer.text
    assert parsed(answer.text).all("a") == []


@pytest.fixture
def closed(make_api: Callable[..., Api]) -> Visitor:
    """The page of a simulator that wants a token."""
    return Visitor(make_api(control_token=TOKEN))


def test_a_person_types_the_token_once(closed: Visitor) -> None:
    wanted = closed.look("/_mock/page/api", 403)
    form = wanted.one("form")
    fields = {each.attrs["name"]: each.attrs.get("value", "") for each in form.all("input")}
    assert fields == {"back": "/_mock/page/api", "token": ""}

    entered = closed.send("POST", form.attrs["action"], data={**fields, "token": TOKEN})

    assert (entered.status_code, entered.headers["Location"]) == (303, "/_mock/page/api")
    cookie = entered.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Path=/_mock" in cookie
    assert TOKEN not in cookie
    closed.look("/_mock/page/api")
    closed.do("advance_clock", by="2m")
    assert closed.send("GET", "/_mock/tasks").status_code == 200


@pytest.mark.parametrize("token", ["wrong", "", "\ud800", "ü"])
def test_a_wrong_token_opens_nothing(closed: Visitor, token: str) -> None:
    typed = token.encode(errors="surrogatepass")
    answer = closed.send(
        "POST", "/_mock/page/token", data=b"token=" + typed, content_type="application/x-www-form-urlencoded"
    )

    assert answer.status_code == 403
    assert "That is not the control token" in answer.text
    assert "Set-Cookie" not in answer.headers
    name, _ = cookie_of(TOKEN)
    for cookie in ("", name, f"{name}=", f"{name}={TOKEN}", f"{name}={'0' * 56}"):
        assert closed.send("GET", "/_mock/", headers={"Cookie": cookie}).status_code == 403
        assert closed.send("POST", ADVANCE, headers={"Cookie": cookie}, data={"by": "2m"}).status_code == 403
    assert closed.api.simulator.clocks.moves("") == []


def test_the_token_in_its_header_opens_the_page_too(closed: Visitor) -> None:
    assert closed.send("GET", "/_mock/", headers={"Klingkit-Token": TOKEN}).status_code == 200


def test_the_cookie_of_one_token_is_none_of_another(closed: Visitor, make_api: Callable[..., Api]) -> None:
    cookie = closed.send("POST", "/_mock/page/token", data={"token": TOKEN}).headers["Set-Cookie"].partition(";")[0]
    other = Visitor(make_api(control_token="another"))

    assert other.send("GET", "/_mock/", headers={"Cookie": cookie}).status_code == 403
    others = other.send("POST", "/_mock/page/token", data={"token": "another"}).headers["Set-Cookie"].partition(";")[0]
    assert closed.send("GET", "/_mock/", headers={"Cookie": f"{cookie}; {others}"}).status_code == 200
    assert cookie.partition("=")[0] != others.partition("=")[0]  # a browser keeps both


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example/_mock/",
        "/\\evil.example",
        "/_mock/\\evil.example",
        "/_mock/page/\\\\evil.example",
        "/_mock/page/../../evil",
        "/_mock/page//evil.example",
        "/_mock/reset",
        "javascript:alert(1)",
        "/_mock/page/api\r\nSet-Cookie: x=y",
        "",
    ],
)
def test_nobody_is_led_elsewhere(closed: Visitor, visitor: Visitor, back: str) -> None:
    answer = closed.send("POST", "/_mock/page/token", data={"token": TOKEN, "back": back})

    assert answer.headers["Location"] == "/_mock/"
    assert visitor.do("freeze_clock", back=back).one("h1").text == "Tasks"


def test_the_token_is_nowhere_on_the_page(closed: Visitor) -> None:
    headers = {"Klingkit-Token": TOKEN}
    for name in SCREENS:
        assert TOKEN not in closed.send("GET", f"/_mock/page/{name}", headers=headers).text


def test_without_a_control_api_there_is_no_page(make_api: Callable[..., Api]) -> None:
    without = Visitor(make_api(control=False))

    assert without.send("GET", "/_mock/").mimetype == "application/json"
    assert without.send("GET", "/").headers["Location"] == "/_mock/"
    for method, path in (("GET", "/_mock/page/api"), ("POST", ADVANCE), ("GET", "/_mock/page/static/0/page.css")):
        assert without.send(method, path).status_code == 404
    assert "_mock" not in without.send("GET", "/nothing").text


@pytest.mark.parametrize("served_contract", ["cometapi", "kling"])
def test_whoever_is_lost_in_the_api_finds_the_page(make_api: Callable[..., Api], served_contract: str) -> None:
    """A program gets the same as ever."""
    lost = Visitor(make_api(contract=served_contract))
    for_programs: list[Any] = [{"Accept": "*/*"}, {"Authorization": "Bearer key"}]

    assert parsed(lost.send("GET", "/nothing").text).one("a").attrs["href"] == "/_mock/"
    assert lost.send("GET", "/nothing").status_code == 404
    assert all("_mock" not in lost.send("GET", "/nothing", headers=headers).text for headers in for_programs)
    assert "_mock" not in lost.send("POST", "/nothing").text


def test_in_a_browser(page: Page, make_api: Callable[..., Api], complaints: list[str]) -> None:
    """A link from elsewhere, then the token, then a form: what browsers send with each is let through."""
    with served(make_api(control_token=TOKEN)) as url:
        page.route(
            "http://elsewhere.example/",
            lambda route: route.fulfill(body=f'<a href="{url}/_mock/page/api">look</a>', content_type="text/html"),
        )
        page.goto("http://elsewhere.example/")
        page.get_by_role("link", name="look").click()
        page.get_by_text("does not answer pages of another origin").wait_for()
        page.get_by_role("link", name="open /_mock/page/api").click()
        page.get_by_label("Control token").fill(TOKEN)
        page.get_by_role("button", name="Show the page").click()
        page.get_by_role("heading", name="API").wait_for()
    assert all("403" in complaint for complaint in complaints)
    complaints.clear()
