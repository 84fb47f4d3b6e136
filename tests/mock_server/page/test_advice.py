"""What a client should do otherwise, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conftest import body

if TYPE_CHECKING:
    from tests.conftest import Api
    from tests.mock_server.page.conftest import Visitor


def test_each_kind_of_mistake_stands_once_with_what_to_do(api: Api, visitor: Visitor) -> None:
    for number in range(7):
        api.create(body(promt=f"p{number}", **{f"x{number}": 1}))
    screen = visitor.look("/_mock/page/advice")
    (section,) = [each for each in screen.all("section") if "nknown field" in each.one("h2").text]

    assert "What to do:" in section.text
    items = [item.text for item in section.all("li")]
    assert items[0].startswith("unknown field 'promt' is ignored, did you mean 'prompt'? request 1 ")
    assert items[-1].startswith("and ")
    assert len(items) == 6


def test_it_leads_to_the_request_that_shows_it(api: Api, visitor: Visitor) -> None:
    for _ in range(3):
        api.create(body(promt="x"))
    link = visitor.look("/_mock/page/advice").all("a", href="/_mock/page/journal?after=2#request-1")[0]
    path, _, fragment = link.attrs["href"].partition("#")

    assert visitor.look(path).all("article")[0].attrs["id"] == fragment


def test_who_makes_no_mistake_is_told_so(api: Api, visitor: Visitor) -> None:
    assert "None has been seen" in visitor.look("/_mock/page/advice").one(id="live").text
    api.create(body(promt="x"))
    assert "None has been seen of this account" in visitor.look("/_mock/page/advice?account=acct-000000000000").text
