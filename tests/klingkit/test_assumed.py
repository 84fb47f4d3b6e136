"""A test says what is assumed of the real service: by the marker, an ini option, or `klingkit.mock()`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

import klingkit
from tests.klingkit.test_pytest_plugin import run

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["pytester"]
URL = "https://api.cometapi.com/kling/v1/images/generations"
SUBJECTS = [{"subject_image": "https://example.com/a.png"}] * 2
BYTES = {"prompt-length": "bytes"}


def create(prompt: str = "\u00e9" * 1251) -> Any:
    body = {"prompt": prompt, "subject_image_list": SUBJECTS}
    return requests.post(URL, json=body, headers={"Authorization": "Bearer any"}, timeout=5)


@pytest.mark.kling(assume={"prompt-length": "bytes", "bare-key": "accepted", "missing-key": "kling"})
def test_the_marker_assumes(kling_mock: klingkit.Kling) -> None:
    assert create().json()["code"] == 1201
    assert requests.get(f"{URL}/1", headers={"Authorization": "any"}, timeout=5).json()["code"] == "task_not_exist"
    assert requests.get(f"{URL}/1", timeout=5).json()["code"] == 1001
    assert kling_mock.control.account()["assume"]["bare-key"] == "accepted"


def test_afterwards_nothing_is_assumed(kling_mock: klingkit.Kling) -> None:
    assert create().status_code == 200
    assert kling_mock.control.account()["assume"] == {}


def test_mock_assumes() -> None:
    with klingkit.mock(assume=BYTES):
        assert create().json()["code"] == 1201


def test_mock_takes_the_answers_of_a_service_and_what_is_assumed_beside_them(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    answers = {
        "prompt-length": {"alternative": "bytes", "came": []},
        "unknown-task": {"alternative": "kling", "came": []},
    }
    file.write_text(json.dumps({"contract": "cometapi", "url": "", "at": "", "answers": answers}), encoding="utf-8")

    with klingkit.mock(answers=file) as kling:
        assert create().json()["code"] == 1201
        assert kling.control.account()["assume"] == {"prompt-length": "bytes", "unknown-task": "kling"}
    with klingkit.mock(answers=str(file), assume={"prompt-length": "characters"}):
        assert create().status_code == 200
    with (
        pytest.raises(ValueError, match="holds answers of cometapi, not of kling"),
        klingkit.mock(answers=file, contract="kling"),
    ):
        pass


@pytest.mark.parametrize(
    ("assume", "said"),
    [
        ("prompt-length", r"assume: 'prompt-length' is no {id: alternative}, such as {'prompt-length': 'bytes'}"),
        (["prompt-length=bytes"], r"assume: \['prompt-length=bytes'\] is no {id: alternative}"),
        ({"prompt-length": 5}, "is no {id: alternative}"),
        ({"prompt-length": "words"}, "prompt-length has no alternative 'words'; there are characters, bytes"),
        (
            {"prompt": "bytes"},
            r"cometapi has no assumption 'prompt'; there are list-errors",
        ),
    ],
)
def test_what_cannot_be_assumed_is_refused(assume: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said), klingkit.mock(assume=assume):
        pass


def test_an_ini_option_assumes_for_all_tests(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nklingkit_assume = prompt-length=bytes unknown-task=kling\n")
    assumed = {"prompt-length": "bytes", "unknown-task": "kling"}
    tests = f"def test_it(kling_mock):\n    assert kling_mock.control.account()['assume'] == {assumed}\n"

    run(pytester, tests).assert_outcomes(passed=1)


def test_an_ini_option_that_is_none_is_one_line(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nklingkit_assume = prompt-length\n")
    result = run(pytester, "def test_it(kling_mock): pass\n")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["klingkit_assume: 'prompt-length' is no ID=ALTERNATIVE; *"])
