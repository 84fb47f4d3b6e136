"""Each screen of a simulator in which much has happened: for everybody's eyes, hands and devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from klingkit.mock_server.control.client import Control
from klingkit.mock_server.deliveries import Reply
from klingkit.mock_server.page.rendering import HERE, static_files
from klingkit.mock_server.page.screens import SCREENS
from tests.conftest import body, data_of
from tests.mock_server.page.conftest import Visitor, served
from tests.mock_server.page.html import parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Api

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}\u202e\x1b[31m"
REST = {"task": "/latest"}
"""What follows the name of a screen that is of one thing."""
ADDRESSES = [f"/_mock/page/{name}{REST.get(name, '')}" for name in SCREENS]


def refuse(url: str, data: bytes, headers: dict[str, str], *, timeout_ms: int) -> Reply:
    """A receiver that answers a callback with an error and hostile text."""
    return Reply(500, (("X-Hostile", HOSTILE),), HOSTILE.encode() * 100)


def much_happens(api: Api) -> None:
    """Let tasks succeed, fail and wait, callbacks arrive and not, and clients make mistakes."""
    hook = "http://127.0.0.1:9/hook"
    control = Control.of(api.simulator)
    for number in range(3):
        data_of(api.create(body(prompt=f"a cat {number}", external_task_id=f"order-{number}", callback_url=hook)))
    data_of(api.create(body(prompt="[[fail]] a dog", external_task_id="will fail")))
    data_of(api.create(body(prompt="\N{CAT FACE}" * 2500, external_task_id=HOSTILE[:100])))
    api.create(body(prompt="x" * 3000))
    api.create(body(subject_image_list=[]))
    api.create(body(promt=HOSTILE), key="other")
    api.create({HOSTILE: HOSTILE})
    api.send_unchecked("GET", "/kling/v1/images/generations/<b>1</b>")
    api.send_unchecked(
        "POST",
        "/kling/v1/images/generations",
        data=b"\xff{",
        headers={"X-<b>": HOSTILE.encode("unicode_escape").decode()},
    )
    control.advance("2m")
    task_id = data_of(api.create(body(prompt=HOSTILE, callback_url=hook)))["task_id"]
    api.query(task_id)
    control.scenario("error-1303", times=2)


@pytest.fixture
def busy(make_api: Callable[..., Api]) -> Api:
    """A simulator in which much has happened."""
    api = make_api(send=refuse)
    much_happens(api)
    return api


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_screen_shows_text_of_requests_as_text(busy: Api, address: str) -> None:
    """And is well-formed, with one heading of the first order, and no id twice."""
    looked = Visitor(busy).look(address)

    assert len(looked.all("h1")) == 1
    assert [script.attrs["src"] for script in looked.all("script")] == [
        f"/_mock/page/static/{static_files()[name][2]}/{name}" for name in ("htmx.min.js", "hx-ptag.min.js", "page.js")
    ]
    assert [
        each for each in looked.all() if "style" in each.attrs or any(name.startswith("on") for name in each.attrs)
    ] == []
    ids = [each.attrs["id"] for each in looked.all() if "id" in each.attrs]
    assert len(ids) == len({*ids})
    assert {each.attrs["src"].partition("/")[0] for each in looked.all("img")} <= {""}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_empty_simulator_has_every_screen(visitor: Visitor, address: str) -> None:
    """In the view of one account too, and held still."""
    for query in ("", "?account=acct-2c70e12b7a06", "?hold"):
        visitor.look(address + query, 404 if address.endswith("/latest") else 200)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_screen_that_does_not_change_is_not_sent_again(busy: Api, address: str) -> None:
    visitor = Visitor(busy)
    first = visitor.poll(address)

    assert first.status_code == 200
    assert visitor.poll(address, first.headers["HX-PTag"]).status_code == 304


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_screen_is_not_sent_again_because_time_goes_on(make_api: Callable[..., Api], address: str) -> None:
    """Where a clock runs and nothing is due, what it shows goes on in the browser."""
    api = make_api(start=None, instant=True)
    data_of(api.create())
    visitor, machine = Visitor(api), api.simulator.clocks.machine()
    first = visitor.poll(address)
    api.simulator.clocks.machine = lambda: machine + 12_345

    assert visitor.poll(address, first.headers["HX-PTag"]).status_code == 304


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_screen_is_for_everybody(busy: Api, page: Page, address: str, accessible: Callable[[Page], None]) -> None:
    """Light on a desk and dark on a phone: axe-core finds nothing, and the page does not scroll sideways."""
    looks: list[tuple[int, Literal["light", "dark"]]] = [(1280, "light"), (360, "dark")]
    with served(busy) as url:
        for width, scheme in looks:
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme)
            page.goto(url + address + "?hold")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            accessible(page)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_screen_can_be_read_without_scripts(
    busy: Api, browser: object, new_page: Callable[..., Page], address: str
) -> None:
    page = new_page(java_script_enabled=False)
    with served(busy) as url:
        page.goto(url + address)
        assert page.locator("main h1").is_visible()
        assert page.locator("#live").is_visible()
        assert len(parsed(page.content()).one("main").text) > 100


def test_every_template_and_static_file_is_of_use() -> None:
    """A screen has the template of its name; what is left are the frame, and what is said in place of a screen."""
    frame = {"base", "live", "status", "macros", "problem", "refused"}
    assert {file.stem for file in (HERE / "templates").iterdir()} - frame == set(SCREENS)


def test_static_files_stay_in_the_cache_until_they_change(visitor: Visitor) -> None:
    for name, (data, media_type, digest) in static_files().items():
        answer = visitor.send("GET", f"/_mock/page/static/{digest}/{name}")
        assert (answer.status_code, answer.mimetype, answer.data) == (200, media_type, data)
        assert "immutable" in answer.headers["Cache-Control"]
        again = visitor.send(
            "GET", f"/_mock/page/static/{digest}/{name}", headers={"If-None-Match": answer.headers["ETag"]}
        )
        assert (again.status_code, again.data) == (304, b"")


def test_what_the_page_answers_with(visitor: Visitor) -> None:
    headers = visitor.send("GET", "/_mock/").headers

    assert headers["Content-Security-Policy"].startswith("default-src 'self'; frame-ancestors 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


def test_a_keyboard_reaches_everything(busy: Api, page: Page) -> None:
    """First the link to the content, then the navigation in its order; the focus can be seen."""
    with served(busy) as url:
        page.goto(f"{url}/_mock/?hold")
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        assert focused.inner_text() == "Skip to the content"
        assert focused.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"
        assert focused.bounding_box()["x"] >= 0  # type: ignore[index]
        reached = []
        for _ in range(1 + sum(not screen.under for screen in SCREENS.values())):
            page.keyboard.press("Tab")
            reached.append(page.locator(":focus").inner_text())
        assert reached == ["klingkit", *(screen.title for screen in SCREENS.values() if not screen.under)]
        page.goto(f"{url}/_mock/?hold")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.locator(":focus").get_attribute("id") == "content"
