"""No text from outside stands in a header or a log line as it is, and none makes the simulator fail."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klingkit.contract import load_contract
from klingkit.mock_server.app import create_app
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.foreign_text import HEADER, LOG_LINE, header_value, log, plain
from klingkit.mock_server.outbound import NotAllowedError
from klingkit.mock_server.scenario_choice import parse_scenario
from klingkit.mock_server.serving.in_process import WsgiAnswer, call
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, body, data_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Api


class Lines(logging.Handler):
    """The lines that a server would write."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def lines() -> Iterator[Lines]:
    lines = Lines()
    level = log.level
    log.addHandler(lines)
    log.setLevel(logging.INFO)
    yield lines
    log.removeHandler(lines)
    log.setLevel(level)


NASTY = st.text(max_size=40) | st.text("\r\n\t\x1b\x7f\x9b\u202e\u2028\ud800\xe9 ;,\"'%@:>[]", max_size=60)
SCENARIOS = [
    "path:submitted{}>failed",
    "slow:{}",
    "slow{}",
    "delay:{}1s",
    "fail:{}",
    "callback-late:{}",
    "{}",
    "slow@{}0.5",
]
MARKED = st.builds(lambda text, scenario: f"[[{scenario.format(text)}]]", NASTY, st.sampled_from(SCENARIOS))
FIELDS = st.sampled_from(
    ["prompt", "callback_url", "external_task_id", "aspect_ratio", "model_name", "n", "style_image"]
)
VALUES = NASTY | MARKED | st.lists(NASTY, max_size=2) | st.floats() | st.integers() | st.none()
HEADERS = st.dictionaries(
    st.sampled_from(["Prefer", "Host", "X-Any", "Cookie", "User-Agent", "Content-Type", "Authorization", "Origin"]),
    (NASTY | MARKED.map(lambda text: f'scenario="{text[2:-2]}"')).map(
        lambda text: text.encode("utf-8", "replace").decode("latin-1")
    ),
    max_size=2,
)


def check(answer: WsgiAnswer) -> None:
    """Assert that no bug answered, and that every client can read the headers."""
    assert answer.crash is None
    for name, value in answer.headers:
        assert value.isascii(), (name, value)
        assert value.isprintable(), (name, value)
        assert len(value) <= HEADER


@given(
    fields=st.dictionaries(FIELDS | NASTY, VALUES, max_size=3),
    prompt=st.lists(MARKED | NASTY, max_size=4).map("".join),
    headers=HEADERS,
    path=NASTY,
)
def test_whatever_is_sent_gets_an_answer_and_one_line_in_the_log(
    lines: Lines, fields: dict[str, Any], prompt: str, headers: dict[str, str], path: str
) -> None:
    simulator = Simulator(Settings(), clock=ClockState(START), send=refuse)
    app = create_app(simulator).wsgi_app
    lines.lines.clear()
    headers = {"Authorization": "Bearer key", "Content-Type": "application/json", **headers}
    where = path.encode("utf-8", "replace").decode("latin-1").replace("?", "").replace("#", "")
    created = call(app, "POST", f"http://host{PATH}", headers, json.dumps(body(prompt=prompt) | fields).encode())
    check(created)
    task_id = (json.loads(created.body).get("data") or {}).get("task_id") if created.body[:1] == b"{" else None
    for asked in (f"{PATH}/{task_id}", f"{PATH}/{where}", f"/{where}"):
        check(call(app, "GET", f"http://host{asked}", {"Authorization": "Bearer key"}))
    assert len(lines.lines) == 4
    simulator.traveller.run_until_idle()
    for line in lines.lines:
        assert line.isascii()
        assert line.isprintable()
        assert len(line) <= LOG_LINE


def refuse(url: str, body: bytes, headers: dict[str, str], *, timeout_ms: int) -> int:
    raise NotAllowedError(url)


def test_a_marker_with_a_line_break_fails_the_task_and_not_the_simulator(api: Api) -> None:
    answer = api.create(body(prompt="[[path:submitted\n>failed]]"))
    task_id = data_of(answer)["task_id"]

    assert answer.headers["Klingkit-Scenario"] == "path:submitted>failed; source=prompt"
    assert api.query(task_id).status_code == 200


NORMAL = {
    " slow : 5": None,
    "slow:00010.0": "slow:10",
    "slow:1e1@0.50": "slow:10@0.5",
    "slow": "slow",
    "path: submitted >\n failed ": "path:submitted>failed",
    "delay:0001000ms": "delay:1s",
    "delay:lognormal:60s": "delay:lognormal:1m",
    "delay:lognormal": "delay:lognormal:1s",
    "drip:1.5s": "drip:1500ms",
    "callback-late:3600s": "callback-late:1h",
    "callback-lost:all": "callback-lost:all",
    "slow:" + "0" * 5_000_000 + "1": None,
}


@pytest.mark.parametrize(("given_as", "normal"), NORMAL.items(), ids=lambda text: str(text)[:30])
def test_a_scenario_is_shown_in_its_normal_form(given_as: str, normal: str | None) -> None:
    contract = load_contract()
    if normal is None:
        with pytest.raises(ValueError, match=r"unknown scenario|longer than the 200 characters") as refused:
            parse_scenario(given_as, contract)
        assert len(str(refused.value)) < 2000
    else:
        scenario = parse_scenario(given_as, contract)
        assert scenario.text == normal
        assert parse_scenario(scenario.text, contract) == scenario


@given(st.text(max_size=300), st.integers(10, 300))
def test_plain_text_is_visible_ascii_and_short(text: str, most: int) -> None:
    shown = plain(text, most)

    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) <= most
    assert shown == text or not text.isascii() or not text.isprintable() or len(text) > most


def test_a_header_counts_the_texts_that_do_not_fit() -> None:
    value = header_value(*(f"warning {number} " + "x" * 90 for number in range(20)))

    assert value.startswith("warning 0 ")
    assert value.endswith("; and 11 more")
    assert len(value) <= HEADER
    assert header_value("one", "two") == "one; two"
