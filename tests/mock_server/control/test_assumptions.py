"""Open questions in the control API: what is taken, for whom, and another answer to one of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from tests.conftest import body

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Api

LONG_IN_BYTES = body(prompt="\u00e9" * 1251)


def question(control: Control, name: str, contract: str = "cometapi") -> dict[str, Any]:
    (found,) = [each for each in control.assumptions() if (each["id"], each["contract"]) == (name, contract)]
    return found


def taken(control: Control, name: str) -> tuple[str, str | None]:
    found = question(control, name)
    return found["taken"], found["set_for"]


@pytest.mark.everywhere
def test_an_account_takes_another_answer_and_goes_back(api: Api) -> None:
    one, server = Control.of(api.simulator, key="one"), Control.of(api.simulator)
    one.assume("prompt-length", "bytes")
    assert taken(one, "prompt-length") == ("bytes", "account")
    assert taken(server, "prompt-length") == ("characters", None)
    assert [api.create(LONG_IN_BYTES, key=key).status_code for key in ("one", "two")] == [400, 200]

    (now,) = one.assume("prompt-length", None)

    assert (now["taken"], now["set_for"], now["default"]) == ("characters", None, "characters")
    assert api.create(LONG_IN_BYTES, key="one").status_code == 200


@pytest.mark.everywhere
def test_what_is_taken_for_all_holds_beside_the_answers_of_an_account(api: Api) -> None:
    """Not only for accounts without any of their own."""
    one, server = Control.of(api.simulator, key="one"), Control.of(api.simulator)
    one.assume("number-forms", "lenient")
    server.assume("prompt-length", "bytes")
    assert taken(one, "prompt-length") == ("bytes", "server")
    assert taken(one, "number-forms") == ("lenient", "account")
    assert api.create(LONG_IN_BYTES, key="one").status_code == 400

    one.assume("prompt-length", "characters")

    assert taken(one, "prompt-length") == ("characters", "account")
    assert one.account()["assume"] == {"number-forms": "lenient", "prompt-length": "characters"}
    assert api.create(LONG_IN_BYTES, key="one").status_code == 200


def test_back_is_what_the_server_began_with(make_api: Callable[..., Api]) -> None:
    server = Control.of(make_api(assume=(("prompt-length", "bytes"),)).simulator)
    assert taken(server, "prompt-length") == ("bytes", "server")
    assert question(server, "prompt-length")["default"] == "characters"

    server.assume("prompt-length", "characters")
    assert taken(server, "prompt-length") == ("characters", None)
    server.assume("prompt-length", None)

    assert taken(server, "prompt-length") == ("bytes", "server")


@pytest.mark.everywhere
def test_two_at_once_do_not_lose_each_other(api: Api) -> None:
    server = Control.of(api.simulator)
    others = {
        each["id"]: next(one["name"] for one in each["alternatives"] if one["name"] != each["taken"])
        for each in server.assumptions()
        if len(each["alternatives"]) > 1
    }
    others = dict(list(others.items())[:12])
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(server.assume, others, others.values()))

    assert {each["id"]: each["taken"] for each in server.assumptions() if each["id"] in others} == others


def test_a_question_of_two_contracts_is_answered_in_both(make_api: Callable[..., Api]) -> None:
    server = Control.of(make_api(contract="all").simulator)
    now = server.assume("prompt-length", "bytes")

    assert [(each["contract"], each["taken"]) for each in now] == [("cometapi", "bytes"), ("kling", "bytes")]
    assert question(server, "list-paging", "kling")["taken"] == "refused"


def test_what_does_nothing_for_an_account_is_refused_for_one(api: Api) -> None:
    one = Control.of(api.simulator, key="one")
    assert not question(one, "missing-key")["for_accounts"]
    with pytest.raises(ControlError, match="set it without a key"):
        one.assume("missing-key", "kling")
    Control.of(api.simulator).assume("missing-key", "kling")

    assert taken(one, "missing-key") == ("kling", "server")


def test_what_contradicts_plain_generation_is_refused(api: Api) -> None:
    server = Control.of(api.simulator)
    server.configure(plain_generation=True)
    assert taken(server, "no-subjects") == ("made-by-text", "server")

    with pytest.raises(ControlError, match="contradict each other"):
        server.assume("no-subjects", "refused")


def test_each_question_says_what_it_is_about_and_how_well_it_is_known(api: Api) -> None:
    for each in Control.of(api.simulator).assumptions():
        assert each["taken"] == each["default"]
        assert each["default"] in [one["name"] for one in each["alternatives"]]
        assert each["question"].endswith("?")
        assert each["probe"]
        assert each["evidence"]


def test_evidence_is_filtered_by_words_kind_and_grade(api: Api) -> None:
    control = Control.of(api.simulator)
    found = control.evidence(text="PROMPT maxlength", kind="rule")["aspects"]
    assert {(each["kind"], each["name"]) for each in found} == {("rule", "prompt.maxLength")}
    unknown = control.evidence(grade="unknown")

    assert {each["grade"] for each in unknown["aspects"]} == {"unknown"}
    assert unknown["totals"]["documented"] == 0
    assert control.evidence(text="<script>")["aspects"] == []
