"""`Klingkit-Evidence`: how well an answer is known that no rule has refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from klingkit.mock_server.control.client import Control
from tests.conftest import PATH, Api, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = "Klingkit-Evidence"


def test_a_success_is_known_as_well_as_its_fields_and_the_time_of_its_status(
    api: Api,
) -> None:
    control = Control.of(api.simulator)
    made = api.create(body(external_task_id="mine"))
    task_id = data_of(made)["task_id"]
    seen = {}
    for _ in range(50):
        answer = api.query(task_id)
        seen[data_of(answer)["task_status"]] = answer.headers[HEADER]
        control.advance("1s")

    assert made.headers[HEADER] == "recorded"
    assert seen == {
        "submitted": "recorded",
        "processing": 'inferred; by="lifecycle processing"',
        "succeed": "recorded",
    }


def test_an_error_of_a_scenario_is_known_as_well_as_its_row(api: Api) -> None:
    answers = [
        api.create(body(prompt=f"[[{scenario}]]"))
        for scenario in ("error-1303", "error-1102", "error-1302", "error-5000")
    ]

    assert [answer.headers[HEADER] for answer in answers] == [
        "documented",
        "recorded",
        'inferred; by="error 1302, text"',
        'unknown; by="error 5000, text"',
    ]


def test_an_error_with_another_text_is_known_by_nobody(api: Api) -> None:
    answer = api.create(body(prompt="[[error-1303:TEXT]]"))

    assert answer.json["message"] == "TEXT"  # type: ignore[index]
    assert HEADER not in answer.headers


def test_a_refusal_is_explained_by_its_rule(api: Api) -> None:
    answer = api.create(body(n=10))

    assert HEADER not in answer.headers
    assert "evidence=inferred" in answer.headers["Klingkit-Rule"]


def test_the_journal_has_it_too(api: Api) -> None:
    api.create(body(prompt="[[error-1302]]"))
    api.create(body(n=10))
    api.create(body())
    entries = Control.of(api.simulator).journal()

    assert [entry["evidence"] for entry in entries] == ['inferred; by="error 1302, text"', "", "recorded"]


@pytest.mark.parametrize("shape", ["shape-page", "shape-callback", "shape-watermark", "fewer-pictures:0"])
def test_another_shape_of_a_success_is_seen_too(api: Api, shape: str) -> None:
    task_id = data_of(api.create(body(prompt=f"[[{shape}]]")))["task_id"]
    Control.of(api.simulator).advance("60s")

    assert api.send_unchecked("GET", f"{PATH}/{task_id}").headers[HEADER] == "recorded"


def test_a_list_is_known_as_well_as_its_first_task(make_api: Callable[..., Api]) -> None:
    api = make_api(contract="kling")
    path = api.simulator.contract.operations["create_task"].path
    empty = api.send("GET", path)
    api.send("POST", path, json=body())
    Control.of(api.simulator).advance("2s")
    listed = api.send("GET", path)

    assert empty.headers[HEADER] == "documented"
    assert listed.headers[HEADER] == 'inferred; by="lifecycle processing"'
