"""The journal: nobody's entries are lost to somebody else, and what it shows is JSON for every reader."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klingkit.mock_server.control.client import Control
from klingkit.mock_server.journal import fingerprint, readable
from tests.conftest import PATH, Api, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.mock_server.journal import Entry


LOCAL = {"Host": "localhost"}


def no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def strict(text: bytes | str) -> Any:
    """Read JSON as strictly as the strictest reader."""
    value = json.loads(text, parse_constant=no_json)
    json.dumps(value, ensure_ascii=False).encode()  # raises on a lone surrogate
    return value


ODD = {
    "digits": b'{"seed": ' + b"9" * 5000 + b"}",
    "large": b'{"n": 1e999, "seed": -1e999, "id": 9007199254740993, "in": [12345678901234567890]}',
    "NaN": b'{"n": NaN, "m": [Infinity, -Infinity]}',
    "surrogate": b'{"prompt": "\\ud800", "\\udfff": 1}',
    "deep": b'{"a":' * 100 + b"1" + b"}" * 100,
    "too deep": b"[" * 5000,
    "bytes": b"\xff\xfe{}",
    "list": b"[1, 2]",
    "keys": b'{"a": 1, "a": 2}',
    "escapes": b'{"prompt": "\\u0000\\u001b[31m\\u202e"}',
    "long": b'{"x": [' + b",".join([b'["' + b"a" * 190 + b'"]'] * 5000) + b"]}",
    "long numbers": b'{"x": [' + b",".join([b"1e999"] * 5000) + b"]}",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_an_odd_create_blinds_neither_journal_nor_advice(api: Api, odd: bytes) -> None:
    headers = {"Content-Type": "application/json", "X-Odd": "\xff\x1b"}
    valid = json.dumps(body()).encode()
    for data in (odd, valid[:-1] + b", " + odd[1:] if odd[:1] == b"{" else odd, valid, valid):
        api.send_unchecked("POST", PATH, data=data, headers=headers)
    answer = strict(api.send_unchecked("GET", "/_mock/journal", headers=LOCAL).data)
    advice = strict(api.send_unchecked("GET", "/_mock/advice", headers=LOCAL).data)

    assert [entry["number"] for entry in answer["entries"]] == [1, 2, 3, 4]
    assert len(json.dumps(answer)) < 100_000
    assert "same-again" in {hint["kind"] for hint in advice}


@given(
    st.binary(max_size=30)
    | st.from_regex(rb'\A(\[|\{"a":){0,3}(-?[0-9]{1,30}(e[0-9]{1,4})?|NaN|"\\ud8[0-9]{2}")[\]}]{0,3}\Z')
)
def test_any_body_is_shown_as_json(data: bytes) -> None:
    strict(json.dumps(readable(data), ensure_ascii=False, allow_nan=False))


def test_numbers_that_readers_disagree_about_are_texts() -> None:
    shown = readable(b'{"id": 9007199254740993, "n": 9, "x": 0.5, "much": 1e999, "no": NaN}')

    assert shown == {"id": "9007199254740993", "n": 9, "x": 0.5, "much": "1e999", "no": "NaN"}


@pytest.mark.parametrize("after", [0, 1, 50])
@pytest.mark.everywhere
def test_whoever_waits_sees_what_comes_after_a_reset(api: Api, after: int) -> None:
    journal, waits = api.simulator.store.journal, threading.Event()
    found: list[Entry | None] = []
    if not after:
        api.query("1")

    def matches(entry: Entry) -> bool:
        waits.set()
        return entry.operation == "create_task"

    def watch() -> None:
        found.append(journal.wait_for(matches, 20, after))

    for _ in range(after):
        api.query("1")
    waiter = threading.Thread(target=watch)
    waiter.start()
    while not waits.is_set() and waiter.is_alive():  # each entry is shown to whoever waits
        api.query("1")
    Control.of(api.simulator).reset()
    task_id = data_of(api.create())["task_id"]
    Control.of(api.simulator).reset()
    waiter.join()

    assert [entry.task_id for entry in found if entry] == [task_id]


def test_a_reset_of_one_account_loses_no_entry_of_another(api: Api) -> None:
    journal = api.simulator.store.journal
    api.query("1", key="one")
    (entry,) = journal.entries()
    stop = threading.Event()

    def forget() -> None:
        while not stop.is_set():
            api.simulator.store.reset_account("acct-other")

    threads = [threading.Thread(target=forget) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(900):
        journal.add(entry)
    stop.set()
    for thread in threads:
        thread.join()

    assert (len(journal.entries()), journal.count, journal.dropped) == (901, 901, 0)


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    assert fingerprint(b'{"n": 1}', b'{"n": 1}', "a=1") == 3094987821087884735
    assert fingerprint(b'{"n": 1}', b'{"n": 1}', "a=1") != fingerprint(b'{"n": 1}', b'{"n": 1}', "a=2")


@pytest.mark.everywhere
def test_the_polls_of_a_task_are_the_queries_that_the_journal_has(make_api: Callable[..., Api]) -> None:
    """Also those that did not show it yet; and no more than it has."""
    api = make_api(max_journal=4)
    control = Control.of(api.simulator)
    task_id, other = (data_of(api.create(body(prompt="[[late-visible]]")))["task_id"] for _ in range(2))
    answers = [api.query(each).status_code for each in (task_id, other, task_id)]
    numbers = {entry["number"]: entry["at"] for entry in control.journal(operation="get_task", task_id=task_id)}

    assert answers == [400, 400, 200]
    assert [(poll["request"], poll["at"]) for poll in control.task(task_id)["timeline"]["polls"]] == [*numbers.items()]
    assert [*numbers] == [3, 5]
    api.query("1"), api.query("1")
    assert [poll["request"] for poll in control.task(task_id)["timeline"]["polls"]] == [5]
    control.reset()
    assert api.simulator.store.journal.polls_of(task_id) == []
