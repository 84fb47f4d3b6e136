"""Answers that a service has given, kept in a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.contract import load_contract
from klingkit.contract.assumption_answers import Answer, Answers, BrokenAnswersError, load_answers, save_answers

if TYPE_CHECKING:
    from pathlib import Path

KEPT = Answers(
    "cometapi",
    "https://api.cometapi.com",
    "2026-11-26",
    {
        "prompt-length": Answer("bytes", ("400/1201 'prompt: size must be between 0 and 2500'",)),
        "quota": Answer("gateway-403", ()),
    },
)


@pytest.mark.parametrize("served", ["cometapi", "all"])
def test_what_is_written_is_what_is_read(tmp_path: Path, served: str) -> None:
    save_answers(KEPT, tmp_path / "answers.json")

    assert load_answers(tmp_path / "answers.json", served) == KEPT


def changed(**changes: Any) -> dict[str, Any]:
    return {
        "contract": "cometapi",
        "url": "http://127.0.0.1",
        "at": "2026-11-26",
        "answers": {"prompt-length": {"alternative": "bytes", "came": []}},
        **changes,
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no JSON", "holds no answers, since it is no JSON"),
        ("", "holds no answers, since it is no JSON"),
        (json.dumps(changed(answers={})), "holds no answers: none of the questions was settled"),
        (
            json.dumps(changed(answers={**changed()["answers"], "quota": {"alternative": 5, "came": []}})),
            "since quota has not a text alternative and a list of texts came",
        ),
        ("[1]", "holds no answers, since it has not the texts"),
        ("{}", "holds no answers, since it has not the texts"),
        ('{"a":' * 2000, "holds no answers, since it is no JSON"),
        (" " * 1024 * 1024 + "{}", "holds no answers, since it is larger than 1048576 bytes"),
        (json.dumps(changed(answers=[])), "holds no answers, since it has not the texts"),
        (json.dumps(changed(answers={"quota": "x"})), "holds no answers, since quota has not a text alternative"),
        (json.dumps(changed(contract=5)), "holds no answers, since it has not the texts"),
        (json.dumps(changed(contract="klong")), ": unknown contract 'klong'; there are cometapi, cometapi-2026, kling"),
        (
            json.dumps(changed(answers={"quota": {"alternative": "none", "came": []}})),
            ": quota has no alternative 'none'; there are gateway-403, gateway-429, kling-1101",
        ),
        (
            json.dumps(changed(answers={"quotas": {"alternative": "x", "came": []}})),
            f": cometapi has no assumption 'quotas'; did you mean quota? there are {', '.join(load_contract().document['x-assumptions'])}",
        ),
        (json.dumps(changed(contract="kling")), ": kling has no assumption"),
        (
            json.dumps(changed(contract="cometapi-2026")),
            "holds answers of cometapi-2026, not of cometapi: choose --contract cometapi-2026",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line_that_names_what_can(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "answers.json"
    file.write_text(content, encoding="utf-8")
    if "kling has no" in said:
        file.write_text(content.replace("prompt-length", "bare-key"), encoding="utf-8")

    with pytest.raises(BrokenAnswersError) as raised:
        load_answers(file, "cometapi")
    assert said in str(raised.value)
    assert str(raised.value).startswith(str(file))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BrokenAnswersError, match="No such file"):
        load_answers(tmp_path / "answers.json", "cometapi")
