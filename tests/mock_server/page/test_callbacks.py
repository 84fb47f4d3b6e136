"""Callbacks on the page: why one has not come, what was sent and answered, to send it again, what two bodies differ in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from klingkit.mock_server.control.client import Control
from klingkit.mock_server.deliveries import Reply
from klingkit.mock_server.outbound import OutboundError
from klingkit.mock_server.page import callbacks
from klingkit.mock_server.page.shown_json import MOST, differences, json_lines, text_lines
from tests.conftest import Api, body, data_of
from tests.mock_server.page.conftest import Visitor, served

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

HOOK = "http://127.0.0.1:9/hook"
HERE = "/_mock/page/callbacks"
SECRET = "whsec_" + "QUJD" * 8


def answering(*answers: int | Reply | Exception) -> Callable[..., int | Reply]:
    """A receiver that answers so, and then with success."""
    left = list(answers)

    def send(*_: object, timeout_ms: int) -> int | Reply:
        answer = left.pop(0) if left else 204
        if isinstance(answer, Exception):
            raise answer
        return answer

    return send


def test_a_newcomer_finds_why_a_callback_has_not_come(make_api: Callable[..., Api]) -> None:
    """On the first look at the screen, without a filter."""
    api = make_api(send=answering(OutboundError("NewConnectionError", "no-connection")), speed=1)
    without = data_of(api.create(body()))["task_id"]
    gone = data_of(api.create(body(callback_url=HOOK)))["task_id"]
    api.simulator.callbacks.deliver_due()
    looked = Visitor(api).look(HERE)

    assert "had no callback_url" in looked.one(id=f"missing-{without}").text
    assert "nobody listens there" in looked.one(id=f"missing-{gone}").text
    cards = [card.text for card in looked.all("article")]
    assert ["after the one before it" in card for card in cards] == [True, True, False]
    asked = Visitor(api).look(f"{HERE}?task_id={gone}")
    assert "The next one is due in 5.0 s, at 00:00:05.000, and" in asked.one(id="why").text
    assert "start the receiver before the task moves" in asked.one(id="live").text


def test_a_misspelt_callback_url_is_the_reason(visitor: Visitor) -> None:
    """It stands where its callback is missed, not only at the request, which many others have followed since."""
    task_id = data_of(visitor.api.create(body(calback_url=HOOK, external_task_id="order-5")))["task_id"]
    for _ in range(30):
        visitor.api.query(task_id)
    row = visitor.look(HERE).one(id=f"missing-{task_id}")
    assert "order-5" in row.text
    assert "It sent calback_url , which the service ignores: did you mean callback_url ? Request 1" in row.text
    for name in (task_id, "order-5", "latest"):
        assert "It sent calback_url" in visitor.look(f"{HERE}?task_id={name}").one(id="why").text
    assert visitor.look(f"{HERE}?outcome=refused").one(id=f"missing-{task_id}")


def test_an_attempt_shows_both_sides(make_api: Callable[..., Api]) -> None:
    hostile = Reply(500, (("X-Evil", "<b>\u00e9"), ("Set-Cookie", "secret")), b"<script>\x1b[2J\r\nnext" + b"y" * 5000)
    api = make_api(send=answering(hostile), instant=True)
    Control.of(api.simulator).configure(callback_secret=SECRET)
    task_id = data_of(api.create(body(callback_url=HOOK)))["task_id"]
    api.simulator.callbacks.deliver_due()
    delivery = Control.of(api.simulator).deliveries()[0]["id"]
    shown = Visitor(api).look(f"{HERE}?task_id={task_id}").one("article", id=delivery)

    assert "the receiver failed" in shown.text
    sent = shown.one("pre", id=f"sent-{delivery}-1").text
    assert f'"task_id": "{task_id}"' in sent
    answer = shown.one("pre", id=f"answer-{delivery}-1").text
    assert answer.startswith("<script>\\x1b[2J next")
    assert "its beginning" in shown.text
    assert "webhook-signature v1," in shown.text
    assert "Whether the receiver has checked it cannot be seen from here" in shown.text
    assert "***" in shown.text
    assert "secret=" in shown.text  # of the hint how it is checked
    assert "QUJD" not in shown.text


@pytest.mark.parametrize(("outcome", "count"), [("delivered", 1), ("refused", 0), ("pending", 2), ("", 3)])
def test_the_outcome_is_a_filter_in_the_address(visitor: Visitor, outcome: str, count: int) -> None:
    visitor.api.create(body(callback_url=HOOK))
    visitor.api.simulator.callbacks.send = answering()
    visitor.api.simulator.callbacks.deliver_due()
    looked = visitor.look(f"{HERE}?outcome={outcome}")

    assert len(looked.all("article")) == count
    assert [each.text for each in looked.all("option", selected="")][:1] == (
        [callbacks.OUTCOMES[outcome][0]] if outcome else []
    )


def test_an_outcome_that_there_is_not_is_said_in_its_place(visitor: Visitor) -> None:
    assert "none of pending, delivered" in visitor.look(f"{HERE}?outcome=x", 400).text
    assert "there is no task" in visitor.look(f"{HERE}?task_id=1", 404).text
    assert "begin again" in visitor.look(f"{HERE}?after=msg", 404).text


def test_a_settled_callback_is_sent_again(make_api: Callable[..., Api]) -> None:
    api = make_api(send=answering(200, 200, 200, 503), instant=True)
    api.create(body(callback_url=HOOK))
    api.simulator.callbacks.deliver_due()
    delivery = Control.of(api.simulator).deliveries()[0]["id"]
    after = Visitor(api).do("resend_delivery", back=HERE, delivery_id=delivery)

    assert (
        "Sent again, and not taken. The receiver failed; look at its log" in after.one("section", class_="outcome").text
    )
    assert "attempt 2" in after.one("article", id=delivery).text
    gone = Visitor(api).do("resend_delivery", back=HERE, http=400, delivery_id="msg_x")
    assert "there is no delivery 'msg_x'" in gone.one("section", class_="outcome").text


def test_two_bodies_of_a_task_are_compared(make_api: Callable[..., Api]) -> None:
    api = make_api(send=answering(), instant=True)
    task_id = data_of(api.create(body(callback_url=HOOK)))["task_id"]
    api.simulator.callbacks.deliver_due()
    table = Visitor(api).look(f"{HERE}?task_id={task_id}").one("table", class_="difference")

    assert ["- first only", '"task_status": "submitted",'] in table.rows()
    assert ["+ second only", '"task_status": "succeed",'] in table.rows()
    assert ["both", f'"task_id": "{task_id}",'] in table.rows()
    first, second, _ = (each["id"] for each in Control.of(api.simulator).deliveries())
    other = (
        Visitor(api).look(f"{HERE}?task_id={task_id}&first={second}&second={first}").one("table", class_="difference")
    )
    assert ["- first only", '"task_status": "processing",'] in other.rows()


def test_pages_lead_through_all_callbacks(make_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "PER_PAGE", 4)
    api = make_api(send=answering(), instant=True)
    for _ in range(3):
        api.create(body(callback_url=HOOK))
    api.simulator.callbacks.deliver_due()
    address, seen = HERE, []
    while address:
        looked = Visitor(api).look(address)
        seen += [each.attrs["id"] for each in looked.all("article")]
        address = next((link.attrs["href"] for link in looked.all("a", rel="next")), "")
    assert seen == [each["id"] for each in Control.of(api.simulator).deliveries(order="newest")]


def test_a_callback_of_another_account_is_not_shown_in_the_view_of_one(visitor: Visitor) -> None:
    visitor.api.create(body(callback_url=HOOK), key="one")
    visitor.api.create(body(callback_url=HOOK), key="two")
    one = Control.of(visitor.api.simulator, key="one").account()["account"]
    looked = visitor.look(f"{HERE}?account={one}")
    assert len(looked.all("article")) == 3
    assert all(one in each.text for each in looked.all("article"))


def test_a_browser_sends_again_and_sees_it(make_api: Callable[..., Api], page: Page) -> None:
    """By a button, and what comes of the rest comes into view by itself."""
    api = make_api(send=answering(500), speed=1)
    api.create(body(callback_url=HOOK))
    api.simulator.callbacks.deliver_due()
    with served(api) as url:
        page.goto(f"{url}{HERE}")
        page.get_by_text("No attempt yet").first.wait_for()
        Control.of(api.simulator).advance("5s")
        submitted = page.locator("article").last
        submitted.get_by_text("attempt 2").wait_for()
        submitted.get_by_role("button", name="Send again").click()
        page.get_by_text("Sent again.").wait_for()
        submitted.locator("summary").filter(has_text="attempt 3").click()
        submitted.get_by_text("Sent, headers").first.wait_for()


def test_json_is_shown_line_by_line_with_remarks() -> None:
    lines = json_lines({"a": {"b": [1, {"<c>": "\u202e"}]}, "d": []}, {"a.b[1].<c>": "ignored", "d": "so"})
    assert [line.text for line in lines if line.remark] == ['        "<c>": "\\u202e"', '  "d": []']
    assert lines[0].text == "{"
    assert [line.text for line in text_lines("a\r\nb\x1b")] == ["a", "b\\x1b"]
    assert len(json_lines(list(range(10_000)))) == MOST + 1
    assert json_lines("(37 bytes that are no JSON)")[0].text == "(37 bytes that are no JSON)"
    assert differences({"a": 1}, {"a": 1})[1].sign == " "
