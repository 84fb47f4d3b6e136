"""`klingkit probe`: a service is asked what is open, and the simulator then behaves as it did."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

import pytest

from klingkit.contract import CONTRACTS, Choice, Contract, load_contract
from klingkit.contract.assumption_answers import load_answers, save_answers
from klingkit.contract.cases.case import NEVER
from klingkit.contract.cases.probes import probes
from klingkit.contract.recordings.drift import compare
from klingkit.contract.recordings.from_run import record
from klingkit.contract.verify.run import verify
from klingkit.contract.verify.selection import Options
from klingkit.mock_server.serving.in_process import SimulatorTarget, in_process_target
from klingkit.probing import Asked, answers_of, ask, send_probes
from tests.stand_in import Habits
from tests.stand_in_target import stand_in_target
from tests.wrong_targets import NOW, light

if TYPE_CHECKING:
    from pathlib import Path

    from klingkit.contract.recordings.recording import Recording
    from klingkit.contract.targets.target import Reply, Request, Target

AMPLE = Decimal(1000)
KEY = "sk-klingkit-one"
CANNOT_BE_ASKED = {"quota", "callback-delivery", "too-large", "disabled-key", "status-times"}
"""What no request of a caller shows, or none that may be sent: nobody's quota is used up, and no 200 MB are sent."""


class Watched(SimulatorTarget):
    """A simulator that counts what it made."""

    def __init__(self, text: str) -> None:
        super().__init__(in_process_target(load_contract(text), keys=frozenset({KEY})).simulator)
        self.key = KEY
        self.asked = 0

    def send(self, request: Request, key: str | None = None) -> Reply:
        self.asked += 1
        return super().send(request, key)

    @property
    def made(self) -> int:
        return self.simulator.store.created


OTHERWISE = (
    "cometapi+base64-dialect=lenient+bare-key=accepted+body-forms=kling+empty-picture=absent+empty-strings=refused"
    "+error-passthrough=wrapped+external-id-after-failure=freed+external-id-query=yes+id-and-url-length=1024"
    "+list-errors=code-1200+megabyte=decimal+missing-key=kling+newer-fields=accepted"
    "+no-subjects=made-by-text+null-values=wrong-type+number-forms=lenient+other-scheme=taken+prompt-length=bytes"
    "+two-subjects=one+unknown-fields=refused+unknown-model=gateway+unknown-task=kling+unreadable-picture=refused"
    "+wrong-method=wrong-path"
)


@cache
def asked(text: str) -> list[Asked]:
    """Return what came of asking a service that follows a contract, with an ample budget; the same for all tests."""
    return ask(Watched(text), Choice(), AMPLE)


def found(text: str) -> dict[str, str]:
    return {one.probe.assumption: one.alternative for one in asked(text)}


def test_the_alternatives_of_a_service_are_found() -> None:
    wanted = dict(part.split("=") for part in OTHERWISE.split("+")[1:])

    assert {name: found(OTHERWISE)[name] for name in wanted} == wanted


def test_of_a_service_as_it_is_assumed_to_be_the_defaults_are_found() -> None:
    defaults = {each.id: each.default for each in load_contract().assumptions}

    assert found("cometapi") == {
        name: "" if name == "callback-processing" else defaults[name] for name in found("cometapi")
    }


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_question_that_can_be_asked_has_a_probe(name: str) -> None:
    contract = load_contract(name)
    askable = {each.id for each in contract.assumptions if not each.fixed} - CANNOT_BE_ASKED

    assert {probe.assumption for probe in probes(contract, "run")} == askable


@pytest.mark.parametrize("text", ["cometapi", "cometapi-2026", "kling", OTHERWISE, "cometapi+check-order=model-last"])
def test_without_a_budget_nothing_is_made(text: str) -> None:
    target = Watched(text)
    name = text.partition("+")[0]

    given = send_probes(target, load_contract(name), Decimal(0))

    assert target.made == 0
    assert target.asked == sum(len(one.probe.requests) for one in given if one.probe.cost == NEVER)
    assert {one.problem.partition(":")[0] for one in given if one.probe.cost != NEVER} == {"not asked"}


class TakesAll(Watched):
    """A service that makes a task of whatever is sent."""

    def send(self, request: Request, key: str | None = None) -> Reply:
        if request.method == "GET":
            return super().send(request, key)
        create = self.simulator.contract.operations["create_task"]
        return super().send(
            replace(request, method="POST", raw=None, body=create.example, content_type="application/json"), key
        )


@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.parametrize("pictures", [0, 3])
def test_a_service_that_takes_what_is_to_be_refused_is_not_asked_on(name: str, pictures: int) -> None:
    """With one request nobody could know; what comes after it is held to cost as much."""
    contract = load_contract(name)
    target = TakesAll(name)
    asked = send_probes(target, contract, contract.price_per_picture * pictures)

    assert target.made == pictures + 1
    assert "not asked: an earlier request may have cost more than the budget" in {one.problem for one in asked}
    assert next(one for one in asked if one.probe.assumption == "prompt-length").problem or pictures


def test_the_free_ones_come_first_and_a_budget_is_never_crossed() -> None:
    target = Watched("cometapi+base64-dialect=lenient")
    price = load_contract().price_per_picture

    given = send_probes(target, load_contract(), price)

    costs = [one.probe.cost for one in given]
    assert costs == sorted(costs, key=lambda cost: cost != NEVER)
    assert target.made == 1
    assert [one.probe.assumption for one in given if one.replies and one.probe.cost != NEVER] == ["base64-dialect"]


def test_what_no_answer_tells_apart_stays_open_and_is_told() -> None:
    one = next(one for one in asked("cometapi") if one.probe.assumption == "callback-processing")

    assert one.alternative == ""
    assert one.came == ("400/1201 'File is not in a valid base64 format'",)


def test_what_was_found_is_what_a_simulator_then_does() -> None:
    answers = answers_of(asked(OTHERWISE), load_contract(), "http://127.0.0.1:8000")
    taught = in_process_target(assume=answers.assume)

    assert str(taught.simulator.contract.choice) == str(load_contract(OTHERWISE).choice)
    assert answers.answers["missing-key"].came[0].startswith("401/'1001' 'Authorization is empty")


def recorded(target: Target, contract: Contract) -> Recording:
    target.callback_url = None  # it would stand in the bodies: what is sent must be the same on both sides
    options = Options("sk-first", other_key="sk-second", budget=AMPLE, keep=True, run="klingkit-0a1b2c")
    return record(verify(target, contract, options), NOW)


def test_after_a_probe_the_simulator_does_not_differ_from_another_service(tmp_path: Path) -> None:
    """A service that is no simulator, with answers of its own to a few questions: not one of all cases shows a difference."""
    habits = Habits(prompt_in_bytes=True, unknown_task="kling", bare_key=True, failed_frees_id=True, loose_base64=True)
    asked = ask(stand_in_target(habits=habits), Choice(), AMPLE)
    save_answers(answers_of(asked, load_contract(), "https://example.com"), tmp_path / "answers.json")
    assume = load_answers(tmp_path / "answers.json", "cometapi").assume
    taught = light(load_contract(Choice(assume=assume)).text)

    one = recorded(stand_in_target(habits=habits, megabytes=1), taught)
    other = recorded(in_process_target(taught, keys=frozenset({"sk-first", "sk-second"})), taught)
    drift = compare(one, other, taught)

    assert set(taught.text.split("+")[1:]) == {
        "prompt-length=bytes",
        "unknown-task=kling",
        "bare-key=accepted",
        "external-id-after-failure=freed",
        "base64-dialect=lenient",
    }
    assert (drift.rows, drift.missing, drift.orphans) == ([], {}, [])
    assert drift.agree == drift.compared > 110
