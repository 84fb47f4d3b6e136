"""Try it: a request of the API by hand, and what it was answered. It is a request as that of any client."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from klingkit.mock_server.auth import account_name
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.page.trying import KEY
from tests.conftest import png
from tests.mock_server.page.conftest import Visitor, served
from tests.mock_server.page.html import Node, parsed
from tests.mock_server.test_callbacks import HOOK, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.conftest import Api

TRY_IT = "/_mock/page/try_it"
SQUARE = png()
HOSTILE = "<script>alert(1)</script>\"'<b>"


def submit(visitor: Visitor, *subjects: bytes, http: int = 200, scene: bytes = b"", **fields: str) -> Node:
    """Send the form with pictures; without any other value, such as stand in it at first."""
    files = {"subjects": subjects, "scene": [scene] if scene else []}
    data: dict[str, Any] = {"prompt": "two friends", "n": "1", "aspect_ratio": "1:1", "key": "key", **fields}
    data |= {name: [FileStorage(BytesIO(each), "a.png") for each in found] for name, found in files.items()}
    boundary, body = encode_multipart(data)
    answer = visitor.send("POST", TRY_IT, data=body, content_type=f"multipart/form-data; boundary={boundary}")
    assert answer.status_code == http, answer.text[:2000]
    return parsed(answer.text)


def outcome(screen: Node) -> str:
    return screen.one("section", class_="outcome").text


def test_two_sample_portraits_with_one_button(visitor: Visitor) -> None:
    form = visitor.look(TRY_IT).one("form", class_="samples")
    fields: dict[str, Any] = {
        each.attrs["name"]: each.attrs["value"] for each in (*form.all("input"), form.one("button"))
    }
    answer = visitor.send("POST", form.attrs["action"], data=fields, content_type="multipart/form-data")
    (task,) = Control.of(visitor.api.simulator, key=KEY).tasks()

    screen = parsed(answer.text)
    assert f"the task {task['task_id']} was made" in outcome(screen)
    assert [each.attrs["src"] for each in screen.one("form", class_="samples").all("img")]
    address = screen.one("section", class_="outcome").attrs["data-address"]
    assert f"task={task['task_id']}" in address
    assert "was made" not in visitor.look(address).text  # reloading sends nothing again
    assert len(Control.of(visitor.api.simulator).journal()) == 1


def test_it_stands_in_the_journal_as_any_other_request(visitor: Visitor) -> None:
    screen = submit(visitor, SQUARE, SQUARE, scene=SQUARE, external_task_id="order-1")
    (entry,) = Control.of(visitor.api.simulator).journal()

    assert (entry["operation"], entry["status"], entry["account"]) == ("create_task", 200, account_name("key"))
    assert entry["request"].keys() == {
        "prompt",
        "n",
        "aspect_ratio",
        "external_task_id",
        "subject_image_list",
        "scence_image",
    }
    assert entry["headers"]["user-agent"] == "klingkit-page"
    assert entry["request_id"] in screen.text


def test_without_a_journal_the_answer_is_shown_all_the_same(make_api: Callable[..., Api]) -> None:
    visitor = Visitor(make_api(max_journal=0))
    assert "was made" in outcome(submit(visitor, SQUARE, SQUARE))
    assert "HTTP 400: no task was made" in outcome(submit(visitor, SQUARE))


def test_its_task_is_live_until_the_end(visitor: Visitor) -> None:
    submit(visitor, SQUARE, SQUARE, n="2")
    (task,) = Control.of(visitor.api.simulator).tasks()
    address = f"{TRY_IT}?task={task['task_id']}"
    first = visitor.poll(address)
    assert visitor.poll(address, first.headers["HX-PTag"]).status_code == 304

    Control.of(visitor.api.simulator).advance("1m")
    last = visitor.poll(address, first.headers["HX-PTag"])

    assert (last.status_code, last.text.count('alt="Result')) == (200, 2)
    assert visitor.send("GET", f"/_mock/pictures/{task['task_id']}/1.png").mimetype == "image/png"


def test_a_clock_that_stands_still_is_said_to_hold_the_task_and_moved_there(visitor: Visitor) -> None:
    Control.of(visitor.api.simulator).freeze()
    made = submit(visitor, SQUARE, SQUARE)
    address = made.one("section", class_="outcome").attrs["data-address"]
    assert "goes on only when the clock does" in outcome(made)
    note = made.one("section", class_="tried").one("div", class_="note")
    assert [each.text for each in note.all("button")] == ["Resume", "Next event"]

    for _ in range(2):
        screen = visitor.do("advance_clock", address, to="next")

    assert "moved to the next event" in outcome(screen)
    shown = screen.one("section", class_="tried")
    assert [each.text for each in shown.all("button")] == []
    assert shown.all("img")


def test_the_clock_of_its_account_is_resumed_and_no_other(visitor: Visitor) -> None:
    control = Control.of(visitor.api.simulator, key="key")
    control.advance("1s")
    form = submit(visitor, SQUARE, SQUARE).one("section", class_="tried").all("form")[0]
    fields: dict[str, Any] = {each.attrs["name"]: each.attrs["value"] for each in form.all("input")}

    assert fields["account"] == account_name("key")
    screen = visitor.do("resume_clock", fields["back"], account=fields["account"])
    assert "The clock goes on" in outcome(screen)
    assert not control.clock()["frozen"]


def test_a_callback_is_made(make_api: Callable[..., Api]) -> None:
    receiver = Receiver()
    visitor = Visitor(make_api(send=receiver))
    submit(visitor, SQUARE, SQUARE, callback_url=HOOK)
    Control.of(visitor.api.simulator).advance("1m")

    assert receiver.statuses == ["submitted", "processing", "succeed"]


@pytest.mark.parametrize(
    ("pictures", "fields", "http", "says"),
    [
        (0, {}, 400, "subject_image_list.required"),
        (1, {}, 400, "subject_image_list.minItems"),
        (10, {}, 400, "subject_image_list.maxItems"),
        (2, {"n": "10"}, 400, "n.maximum"),
        (2, {"n": "many"}, 400, "n.type"),
        (2, {"n": "9" * 5000}, 400, "n"),
        (2, {"prompt": "x" * 2501}, 400, "prompt.maxLength"),
        (2, {"aspect_ratio": HOSTILE}, 400, "aspect_ratio.enum"),
        (2, {"key": "two words"}, 401, "authorization.bearer"),
        (2, {"key": ""}, 401, "authorization.bearer"),
        (2, {"scenario": "eror-1303"}, 400, "did you mean error-1303?"),
        (2, {"scenario": "error-1303"}, 429, "The scenario error-1303; source=prefer answers so"),
        (2, {"scenario": "fail:caf\u00e9"}, 200, "was made"),
        (2, {"scenario": "reset"}, 200, "a client gets nothing of it"),
        (2, {"scenario": "html-502"}, 502, "502 Bad Gateway"),
        (2, {"prompt": ""}, 200, "was made"),
        (2, {"prompt": "[[delay:1s]]"}, 200, "A client gets it late"),
        (2, {"external_task_id": HOSTILE, "prompt": HOSTILE}, 200, "was made"),
    ],
)
def test_what_is_wrong_is_sent_as_it_is_and_explained(
    visitor: Visitor, pictures: int, fields: dict[str, str], http: int, says: str
) -> None:
    screen = submit(visitor, *[SQUARE] * pictures, **fields)  # type: ignore[arg-type]  # a dict may hold any name

    assert f"HTTP {http}: " in outcome(screen)
    assert says in outcome(screen)
    assert [entry["status"] for entry in Control.of(visitor.api.simulator).journal()] == [http]


@pytest.mark.parametrize("file", [b"no picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>", png(10, 10)])
def test_a_file_that_is_no_good_picture_is_sent_too(visitor: Visitor, file: bytes) -> None:
    screen = submit(visitor, file, SQUARE)
    Control.of(visitor.api.simulator).advance("1m")
    address = screen.one("section", class_="outcome").attrs["data-address"]

    assert "It failed: Image" in visitor.look(address).one("section", class_="tried").text


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"key": "schl\u00fcssel"}, "key: a header carries ASCII characters only"),
        ({"scenario": 'fail:"x"'}, 'scenario: the header Prefer carries no "'),
        ({"scenario": "fail:a\nb"}, "scenario: the header Prefer"),
        ({"contract": "clung"}, "unknown contract 'clung'"),
    ],
)
def test_what_no_request_can_carry_is_not_sent(visitor: Visitor, fields: dict[str, str], says: str) -> None:
    screen = submit(visitor, SQUARE, SQUARE, http=400, **fields)  # type: ignore[arg-type]

    assert says in screen.one(role="alert").text
    assert Control.of(visitor.api.simulator).journal() == []


def test_what_was_typed_stays_but_for_the_key(visitor: Visitor) -> None:
    screen = submit(visitor, SQUARE, key="sk-secret", n="77", prompt=HOSTILE, external_task_id="order-1")
    form = screen.one("form", class_="try")

    assert [form.one("input", name=name).attrs["value"] for name in ("n", "external_task_id")] == ["77", "order-1"]
    assert form.one("textarea").text == HOSTILE
    assert form.one("input", name="key").attrs["value"] == ""
    assert len(screen.all("script")) == len(visitor.look(TRY_IT).all("script"))


def test_a_typed_key_is_nowhere_on_the_page(visitor: Visitor) -> None:
    for fields in ({"n": "77"}, {"scenario": '"'}, {}):
        data = {"key": "sk-secret-one", "samples": "1", **fields}
        answer = visitor.send("POST", TRY_IT, data=data, content_type="multipart/form-data")
        assert "sk-secret" not in answer.text


def test_a_server_with_keys_takes_those(make_api: Callable[..., Api]) -> None:
    visitor = Visitor(make_api(keys=frozenset({"sk-right"})))
    assert "takes those keys alone" in outcome(submit(visitor, SQUARE, SQUARE, key="sk-wrong"))
    assert "was made" in outcome(submit(visitor, SQUARE, SQUARE, key="sk-right"))


def test_each_contract_is_spoken_in_its_own_words(make_api: Callable[..., Api]) -> None:
    visitor = Visitor(make_api(contract="all"))
    assert [each.text for each in visitor.look(TRY_IT).one("select", name="contract").all("option")] == [
        "cometapi",
        "kling",
    ]
    submit(visitor, SQUARE, SQUARE, scene=SQUARE, contract="kling")
    (entry,) = Control.of(visitor.api.simulator).journal()

    assert (entry["contract"], entry["status"]) == ("kling", 200)
    assert "scene_image" in entry["request"]


def test_what_is_too_large_is_refused_in_one_line(make_api: Callable[..., Api]) -> None:
    visitor = Visitor(make_api(max_body=1_000_000))
    screen = submit(visitor, bytes(2_000_000), http=413)
    assert "at most 1,000,000 bytes" in screen.one(role="alert").text
    assert "prompt.maxLength" in outcome(submit(visitor, SQUARE, SQUARE, prompt="x" * 600_000))
    grown = submit(visitor, bytes(400_000), bytes(400_000))  # fits as a form, and not as Base64

    assert "HTTP 413: no task was made" in outcome(grown)


def test_texts_that_would_make_the_page_too_large_are_refused(visitor: Visitor) -> None:
    screen = submit(visitor, SQUARE, SQUARE, http=413, prompt="x" * 2_000_000)

    assert "of texts 1,048,576" in screen.one(role="alert").text
    assert Control.of(visitor.api.simulator).journal() == []


def test_a_task_that_is_gone_is_said_in_its_place(visitor: Visitor) -> None:
    screen = visitor.look(f"{TRY_IT}?task=<b>1")
    assert "there is no task '<b>1'" in screen.text
    assert screen.one("form", class_="try")


def test_who_may_not_look_may_not_try(make_api: Callable[..., Api]) -> None:
    visitor = Visitor(make_api(control_token="t0ken"))
    for headers in ({}, {"Origin": "https://evil.example"}):
        data = {"samples": "1", "key": KEY}
        answer = visitor.send("POST", TRY_IT, data=data, content_type="multipart/form-data", headers=headers)
        assert answer.status_code == 403
    assert Control.of(visitor.api.simulator).journal() == []


def test_in_a_browser(
    page: Page, make_api: Callable[..., Api], accessible: Callable[[Page], None], tmp_path: Path
) -> None:
    for name in ("anna", "ben"):
        (tmp_path / f"{name}.png").write_bytes(SQUARE)
    with served(make_api(start=None, instant=True)) as url:
        page.goto(url + TRY_IT)
        accessible(page)
        page.get_by_label("Subjects, two to four").set_input_files([tmp_path / "anna.png", tmp_path / "ben.png"])
        page.get_by_label("Prompt").fill("two friends in Paris")
        page.get_by_role("button", name="Submit", exact=True).click()
        page.get_by_text("was made").wait_for()
        page.get_by_role("img", name="Result 1").wait_for()
        accessible(page)
        page.get_by_label("Pictures to make").fill("10")
        page.get_by_role("button", name="Submit", exact=True).click()
        page.get_by_text("no task was made").wait_for()
        accessible(page)
        page.goto("about:blank")  # before the server goes away


def test_one_button_in_a_browser_without_scripts(
    new_page: Callable[..., Page], page: Page, make_api: Callable[..., Api]
) -> None:
    plain = new_page(java_script_enabled=False, viewport={"width": 360, "height": 700})
    with served(make_api(start=None, instant=True)) as url:
        plain.goto(url + TRY_IT)
        plain.get_by_role("button", name="Submit two sample portraits").click()
        plain.get_by_text("was made").wait_for()
        plain.get_by_role("img", name="Result 1").wait_for()
