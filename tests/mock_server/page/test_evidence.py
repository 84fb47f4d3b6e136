"""The screen of what is known and what is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from klingkit.mock_server.auth import account_name
from klingkit.mock_server.control.client import Control
from tests.conftest import body

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Api
    from tests.mock_server.page.conftest import Visitor
    from tests.mock_server.page.html import Node

EVIDENCE = "/_mock/page/evidence"
LONG_IN_BYTES = body(prompt="\u00e9" * 1251)


def question(screen: Node, name: str) -> tuple[str, Node]:
    """The answer that is taken, and all that is shown of a question."""
    shown = screen.one("section", id=f"question-{name}")
    (taken,) = shown.all("input", type="radio", checked="")
    return taken.attrs["value"], shown


def test_a_rule_is_found_with_what_is_open_about_it(visitor: Visitor) -> None:
    screen = visitor.look(f"{EVIDENCE}?text=prompt.maxLength")
    assert [row[:3] for row in screen.rows()] == [
        ["rule prompt.maxLength", "limit", "documented"],
        ["rule prompt.maxLength", "answer", "recorded"],
        ["rule prompt.maxLength", "text", "recorded"],
    ]
    assert [each.attrs["id"] for each in screen.all("section", class_="question")] == [
        "question-error-passthrough",
        "question-prompt-length",
        "question-empty-strings",
    ]


def test_all_aspects_come_in_pages(visitor: Visitor) -> None:
    address, rows = EVIDENCE, []
    while address:
        screen = visitor.look(address.partition("#")[0])
        rows += screen.rows()
        address = next((each.attrs["href"] for each in screen.all("a") if each.text == "Next"), "")
    everything = Control.of(visitor.api.simulator).evidence()["aspects"]

    assert [row[0] for row in rows] == [f"{each['kind']} {each['name']}" for each in everything]


def test_each_link_to_a_question_leads_to_it(visitor: Visitor) -> None:
    for kind in ("rule", "promise"):
        screen = visitor.look(f"{EVIDENCE}?kind={kind}")
        ids = {each.attrs["id"] for each in screen.all(class_="question")}
        linked = {each.attrs["href"][1:] for each in screen.all("a") if each.attrs["href"].startswith("#question-")}
        assert linked
        assert linked <= ids


@pytest.mark.parametrize(
    ("query", "http", "says"),
    [
        ("text=%3Cscript%3E", 200, "Nothing of it"),
        ("from=99999", 200, "from number 100000 on"),
        ("from=-1", 200, "1 to 100 of"),
        ("kind=rules", 400, "unknown kind"),
        ("grade=sure", 400, "grade"),
        ("contract=clung", 400, "unknown contract"),
        ("contract=kling", 200, "aspects of kling"),
    ],
)
def test_what_there_is_not_is_said_in_its_place(visitor: Visitor, query: str, http: int, says: str) -> None:
    assert says in visitor.look(f"{EVIDENCE}?{query}", http).text


def test_a_question_is_answered_otherwise_and_back(visitor: Visitor) -> None:
    assert visitor.api.create(LONG_IN_BYTES).status_code == 200
    screen = visitor.do("set_assumption", EVIDENCE, assumption_id="prompt-length", alternative="bytes")
    taken, shown = question(screen, "prompt-length")
    assert (taken, "set for everybody" in shown.text) == ("bytes", True)
    assert "prompt-length is answered bytes for every account" in screen.one(class_="outcome").text
    assert visitor.api.create(LONG_IN_BYTES).status_code == 400

    back = shown.all("form")[1]
    fields = {each.attrs["name"].replace(".", "__"): each.attrs["value"] for each in back.all("input")}
    fields.pop("back")
    screen = visitor.do("set_assumption", EVIDENCE, 200, **fields)

    assert question(screen, "prompt-length")[0] == "characters"
    assert visitor.api.create(LONG_IN_BYTES).status_code == 200


def test_an_answer_set_by_hand_is_not_that_of_a_source(visitor: Visitor) -> None:
    visitor.do("set_assumption", EVIDENCE, assumption_id="two-subjects", alternative="one")
    (row,) = [each for each in visitor.look(f"{EVIDENCE}?kind=question").rows() if each[0] == "question two-subjects"]

    assert row[2:4] == ["set by hand", "answered here as one : No: 1 to 4."]
    assert row[4].startswith("set by hand; the default, two , is documented by CometAPI")
    _, shown = question(visitor.look(EVIDENCE), "two-subjects")
    assert "answered here as one , set by hand; the default, two : limit documented" in shown.text
    (limit, *_) = visitor.look(f"{EVIDENCE}?text=subject_image_list.minItems").rows()
    assert "the default answer to two-subjects , two ; here it is answered one" in limit[4]


def test_questions_come_first_and_those_that_are_answered_otherwise_before_the_others(visitor: Visitor) -> None:
    visitor.do("set_assumption", EVIDENCE, assumption_id="prompt-length", alternative="bytes")
    screen = visitor.look(EVIDENCE)

    assert screen.all("section", class_="question")[0].attrs["id"] == "question-prompt-length"
    assert [each.attrs["id"] for each in screen.all("h2")] == ["questions", "evidence"]


def test_one_account_has_an_answer_of_its_own(visitor: Visitor) -> None:
    mine = account_name("key")
    view = f"{EVIDENCE}?account={mine}"
    visitor.do("set_assumption", view, account=mine, assumption_id="prompt-length", alternative="bytes")

    assert [question(visitor.look(each), "prompt-length")[0] for each in (view, EVIDENCE)] == ["bytes", "characters"]
    _, nameless = question(visitor.look(view), "missing-key")
    assert "answer it for everybody" in nameless.text
    assert "disabled" in nameless.one("fieldset").attrs


def test_an_answer_that_there_is_not_is_refused(visitor: Visitor) -> None:
    screen = visitor.do("set_assumption", EVIDENCE, 400, assumption_id="prompt-length", alternative="<b>")
    assert "there are characters, bytes" in screen.one(role="alert").text
    screen = visitor.do("set_assumption", EVIDENCE, 400, assumption_id="nobody", alternative="bytes")
    assert "unknown assumption 'nobody'" in screen.one(role="alert").text


def test_in_a_browser(page: Page, url: str, api: Api, accessible: Callable[[Page], None]) -> None:
    page.goto(url + EVIDENCE)
    accessible(page)
    page.get_by_role("radio", name="UTF-8 bytes").check()
    asked = page.locator("#question-prompt-length")
    asked.get_by_role("button", name="Take this answer").click()
    asked.get_by_text("Done: it is answered bytes").wait_for()
    assert page.evaluate("scrollY") > 0
    assert page.locator("#question-prompt-length h3").evaluate("each => each.getBoundingClientRect().top") < 200
    accessible(page)
    assert api.create(LONG_IN_BYTES).status_code == 400
