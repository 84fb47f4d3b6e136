"""What the control API shows of the journal: from either end, what was refused and why, what was ignored, what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.mock_server.control import journal as journal_operations
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from tests.conftest import PATH, Api, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def control(api: Api) -> Control:
    """Of a journal with seven requests of two accounts, of which three were refused."""
    for number in range(3):
        api.create(body(prompt=f"cat {number}"), key="one")
        api.create(body(n=99), key="two")
    api.create(body(prompt="Käse"), key="two")
    return Control.of(api.simulator)


def numbers(entries: list[dict[str, Any]]) -> list[int]:
    return [entry["number"] for entry in entries]


@pytest.mark.everywhere
def test_the_journal_is_read_from_either_end_in_pages(control: Control) -> None:
    assert numbers(control.journal()) == [1, 2, 3, 4, 5, 6, 7]
    assert numbers(control.journal(order="newest")) == [7, 6, 5, 4, 3, 2, 1]
    assert numbers(control.journal(order="newest", limit=3)) == [7, 6, 5]
    assert numbers(control.journal(order="newest", limit=3, after=5)) == [4, 3, 2]
    assert numbers(control.journal(order="newest", after=1)) == []
    assert numbers(control.journal(after=5)) == [6, 7]


@pytest.mark.everywhere
def test_requests_are_found_by_refusal_text_and_account(api: Api, control: Control) -> None:
    assert numbers(control.journal(refused=True)) == [2, 4, 6]
    assert numbers(control.journal(refused=False, order="newest")) == [7, 5, 3, 1]
    assert numbers(control.journal(text="CAT 1")) == [3]
    assert numbers(control.journal(text="Käse")) == [7]  # sent as \u00e4
    assert numbers(control.journal(text="n.maximum")) == [2, 4, 6]
    assert numbers(control.journal(text="no such text")) == []
    assert numbers(Control.of(api.simulator, key="one").journal(refused=False, order="newest", limit=2)) == [5, 3]
    assert numbers(control.journal(text=control.journal()[0]["task_id"])) == [1]


@pytest.mark.everywhere
def test_a_page_looks_through_so_many_and_says_where_the_next_begins(
    api: Api, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_operations, "AT_ONCE", 2)
    monkeypatch.setattr(journal_operations, "LOOKED_THROUGH", 4)

    def page(query: str) -> Any:
        return api.send("GET", f"/_mock/journal?{query}", key=None, headers={"Host": "localhost"}).json

    assert (page("text=cat+2")["entries"], page("text=cat+2")["next"]) == ([], 4)
    rest = page("text=cat+2&after=4")
    assert (numbers(rest["entries"]), rest["next"]) == ([5], None)
    assert numbers(control.journal(text="cat 2")) == [5]
    assert numbers(control.journal(order="newest")) == [7, 6, 5, 4, 3, 2, 1]


def test_a_refused_request_says_why_in_words(control: Control) -> None:
    accepted, refused = control.journal(limit=2)
    assert accepted["why"] is None
    assert refused["why"]["rule"] == "n.maximum"
    assert refused["why"]["spec"].startswith("#/components/schemas/CreateRequest/properties/n")
    assert {aspect["aspect"] for aspect in refused["why"]["aspects"]} == {"limit", "answer", "text"}
    assert accepted["ms"] >= 0


def test_the_text_that_was_answered_stands_where_that_of_the_rule_has_gaps(api: Api) -> None:
    """In the envelope of the service, and in that of its gateway."""
    api.create(body(aspect_ratio="7:1"))
    api.create(body(n=99))
    api.create(body(), key=None)
    filled, plain, nobody = (entry["why"] for entry in Control.of(api.simulator).journal())
    assert filled["says"] == "aspect_ratio value '{value}' is invalid"
    assert filled["why"] == "aspect_ratio value '7:1' is invalid"
    assert plain["why"] == ""
    assert "{" not in (nobody["why"] or nobody["says"])


def test_fields_that_the_service_ignores_are_named_with_what_was_meant(api: Api) -> None:
    wrong = {"promt": "x", "subject_image_list": [{"subject_image": "https://a/b.png", "<b>": 1}], "zzz": None}
    api.create(body(**wrong))
    api.create(body())
    ignored, none = (entry["ignored"] for entry in Control.of(api.simulator).journal())
    assert ignored == [
        {"place": "", "name": "promt", "meant": "did you mean 'prompt'?"},
        {"place": "", "name": "zzz", "meant": ""},
        {"place": "subject_image_list[0]", "name": "<b>", "meant": ""},
    ]
    assert none == []


def test_very_many_ignored_fields_are_bounded(api: Api) -> None:
    api.create(body(**{f"field{number}": 1 for number in range(5000)}))
    assert len(Control.of(api.simulator).journal()[0]["ignored"]) == 20


def test_advice_stands_with_what_to_do(api: Api) -> None:
    api.create(body(promt="x"))
    (advice,) = Control.of(api.simulator).journal()[0]["advice"]
    assert advice["kind"] == "unknown-field"
    assert "correct its name" in advice["do"]


def test_a_journal_that_is_full_says_how_many_are_gone(make_api: Callable[..., Api]) -> None:
    api = make_api(max_journal=3)
    for _ in range(5):
        api.create(body(n=0))
    shown = Control.of(api.simulator)
    assert shown.dropped() == 2
    assert numbers(shown.journal(order="newest")) == [5, 4, 3]


def test_what_is_hostile_comes_back_as_data(api: Api) -> None:
    raw = b'{"prompt": "\\ud800<script>", "x": "\\u001b[2J"}'
    api.send_unchecked("POST", PATH, data=raw, headers={"X-Html": "<img src=x>", "Content-Type": "application/json"})
    api.send_unchecked("GET", PATH + "/<b>\x1b[2J")
    first, second = Control.of(api.simulator).journal()
    assert first["request"]["prompt"] == "\\ud800<script>"
    assert first["headers"]["x-html"] == "<img src=x>"
    assert "\x1b" in second["path"]
    json.dumps([first, second]).encode()
    assert numbers(Control.of(api.simulator).journal(text="<img")) == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("refused=maybe", "refused: 'maybe' is neither true nor false"),
        ("order=up", "order: 'up' is none of oldest, newest"),
        ("text=%00", "has a character that nothing here has"),
    ],
)
def test_a_wrong_filter_is_named(api: Api, query: str, says: str) -> None:
    answer = api.send("GET", f"/_mock/journal?{query}", key=None, headers={"Host": "localhost"})
    assert answer.status_code == 400
    assert says in answer.json["error"]  # type: ignore[index]


def test_a_task_is_found_by_the_number_of_a_request(api: Api) -> None:
    created = data_of(api.create(body()))
    entry = api.simulator.store.journal.entry(1)
    assert entry is not None
    assert entry.task_id == created["task_id"]
    assert api.simulator.store.journal.entry(2) is None


def test_a_control_error_is_no_stack(api: Api) -> None:
    with pytest.raises(ControlError, match="unknown parameter"):
        Control.of(api.simulator).journal(colour="red")
