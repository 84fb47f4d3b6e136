"""The screen of tasks: newest first, found by what stands in the address, and a beginning for whoever has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from klingkit.mock_server.control.client import Control
from klingkit.mock_server.page.tasks import PER_PAGE
from tests.conftest import Api, b64, body, data_of, png, subjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.mock_server.page.conftest import Visitor
    from tests.mock_server.page.html import Node


def create(api: Api, *, key: str = "key", **fields: object) -> str:
    task_id: str = data_of(api.create(body(**fields), key=key))["task_id"]
    return task_id


def shown(looked: Node) -> list[str]:
    """Return the ids of the tasks of a screen."""
    return [row.all("a")[0].text for row in looked.one("tbody").all("tr")]


def test_the_newest_stands_first_with_what_is_known_of_it(api: Api, visitor: Visitor) -> None:
    old = create(api, prompt="a red bus", external_task_id="order-1")
    Control.of(api.simulator).advance("5m")
    new = create(api, prompt="a dog [[slow:2]]", subject_image_list=subjects(b64(png()), b64(png())))
    looked = visitor.look()

    assert shown(looked) == [new, old]
    first, second = looked.one("table", id="tasks").rows()
    assert (first[1], first[2], first[5]) == ("submitted", "0.0 s", "slow:2")
    assert (second[0], second[1], second[2]) == (f"{old} order-1", "succeed", "5 m 0 s")
    assert (second[3], second[4]) == ("2 pictures by URL →", "a red bus")
    pictures = [image.attrs["src"] for image in looked.all("img")]
    assert pictures == [
        f"/_mock/tasks/{new}/inputs/0?width=96",
        f"/_mock/tasks/{new}/inputs/1?width=96",
        f"/_mock/tasks/{old}/results/0?width=96",
    ]
    for row in looked.one("tbody").all("tr"):
        assert {link.attrs["href"] for link in row.all("a")[:-1]} == {f"/_mock/page/task/{row.attrs['id'][5:]}"}
        assert row.all("a")[-1].attrs["href"].startswith("/_mock/page/accounts/acct-")
    for address in pictures:
        assert visitor.send("GET", address).mimetype == "image/jpeg"


def test_the_filter_stands_in_the_address(api: Api, visitor: Visitor) -> None:
    bus, dog = create(api, prompt="a red bus"), create(api, prompt="a red dog [[slow:2]]", key="other")
    looked = visitor.look("/_mock/?text=RED&scenario=slow&status=submitted")

    assert shown(looked) == [dog]
    assert looked.one("input", name="text").attrs["value"] == "RED"
    assert [each.text for each in looked.all("option", selected="")] == ["submitted", "slow"]
    account = api.simulator.store.tasks()[0].account
    assert shown(visitor.look(f"/_mock/?account={account}&text=")) == [bus]
    nothing = visitor.look("/_mock/?text=green")
    assert "No task fits." in nothing.text
    assert visitor.look("/_mock/?status=finished", 400).one("main").text.count("unknown status 'finished'") == 1


def test_a_text_that_no_task_has_leads_to_the_creates_that_were_refused(api: Api, visitor: Visitor) -> None:
    for n in (0, 99):
        api.create(body(n=n, external_task_id="order-6"))
    api.create(body(external_task_id="order-7"))
    looked = visitor.look("/_mock/?text=order-6")
    (link,) = [each for each in looked.one("div", id="live").all("a") if "refused" in each.text]
    assert link.text == "2 refused creates in the journal"
    assert len(visitor.look(link.attrs["href"]).all("article")) == 2
    assert "refused" not in visitor.look("/_mock/?text=order-8").one("div", id="live").text
    assert "refused" not in visitor.look("/_mock/?text=order-7").one("div", id="live").text


def test_a_day_of_tasks_comes_in_pages(api: Api, visitor: Visitor) -> None:
    made = [create(api, prompt=f"number {number}") for number in range(PER_PAGE + 3)]
    looked = visitor.look("/_mock/?text=number")
    assert shown(looked) == made[: -PER_PAGE - 1 : -1]
    older = visitor.look(looked.one("a", rel="next").attrs["href"])
    assert shown(older) == made[2::-1]
    assert older.all("a", rel="next") == []
    (newest,) = [link for link in older.all("a") if link.text == "Newest"]
    assert shown(visitor.look(newest.attrs["href"])) == shown(looked)


def test_who_has_no_task_is_told_what_to_do_first(api: Api, visitor: Visitor) -> None:
    looked = visitor.look()
    assert "No task yet" in looked.text
    command = looked.one("pre", id="first").text
    assert command.startswith("curl -s http://localhost:8000/kling/v1/images/generations ")
    create(api)
    assert visitor.look().all("pre", id="first") == []
    assert "This account has no task." in visitor.look("/_mock/?account=acct-000000000000").text


def test_a_task_appears_and_changes_while_somebody_looks(
    api: Api, url: str, page: Page, accessible: Callable[[Page], None]
) -> None:
    page.goto(f"{url}/_mock/")
    page.get_by_text("No task yet").wait_for()
    accessible(page)
    task_id = create(api, prompt="<b>new</b>", subject_image_list=subjects(b64(png()), b64(png())))
    row = page.locator(f"#task-{task_id}")
    row.get_by_text("<b>new</b>").wait_for()
    Control.of(api.simulator).advance("5m")
    row.get_by_text("succeed").wait_for()
    row.get_by_alt_text("result").wait_for()
    accessible(page)
    row.get_by_role("link", name=task_id).click()
    page.get_by_role("heading", name=f"Task {task_id}").wait_for()
