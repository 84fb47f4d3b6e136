"""The kit catches every mutant and says what is wrong with it; the right simulator raises no alarm."""

from __future__ import annotations

import copy
import random
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.contract import Contract, load_contract
from klingkit.contract.evidence import LIMIT, UNKNOWN
from klingkit.contract.targets.target import Request
from klingkit.contract.verify.results import DEVIATES, HOLDS, LEARNED
from klingkit.contract.verify.run import verify
from klingkit.contract.verify.selection import Options
from klingkit.mock_server.mutants.hunt import Mutant, hunt
from klingkit.mock_server.mutants.making import KEY, OTHER_KEY, PAIR, answers, at, contract, created, does, reads, right
from klingkit.mock_server.mutants.table import mutants_of
from tests.conftest import PATH, body
from tests.wrong_targets import CONTRACT, light

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.contract.verify.results import Report
    from klingkit.mock_server.serving.in_process import SimulatorTarget

MUTANTS = mutants_of(CONTRACT)
BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
OTHERS = ("cometapi-2026", "kling", "cometapi+plain-generation")
SAMPLE = 20
"""Of the mutants that another contract shares with the default one, one in so many is hunted in it too."""
LIMITS = (
    "minItems",
    "maxItems",
    "maxLength",
    "minimum",
    "maximum",
    "maxMegabytes",
    "minPixels",
    "maxRatio",
)


def verified(target: SimulatorTarget, *, stop_early: bool = False) -> Report:
    return verify(target, CONTRACT, Options(KEY, OTHER_KEY, Decimal(5), stop_early=stop_early))


@pytest.mark.parametrize("name", BY_NAME)
def test_a_mutant_is_killed_and_its_guilty_rule_is_named(name: str) -> None:
    [catch] = hunt([BY_NAME[name]], contract=CONTRACT)

    assert catch.killed, "it survived"
    assert catch.named, f"{catch.case} blames {', '.join(catch.blamed)}"
    assert catch.creates <= 120
    assert catch.spent < 1


def own_and_some(choice: str) -> list[Mutant]:
    """The mutants that only this contract has, and a sample of the others; `klingkit mutants --contract` hunts them all."""
    shared = [mutant for mutant in mutants_of(light(choice)) if mutant.name in BY_NAME]
    own = [mutant for mutant in mutants_of(light(choice)) if mutant.name not in BY_NAME]
    return [*own, *shared[::SAMPLE]]


@pytest.mark.parametrize(
    ("choice", "name"), [(choice, mutant.name) for choice in OTHERS for mutant in own_and_some(choice)]
)
def test_a_mutant_of_another_contract_is_killed_and_named(choice: str, name: str) -> None:
    base = light(choice)
    [catch] = hunt([mutant for mutant in mutants_of(base) if mutant.name == name], contract=base)

    assert catch.killed, "it survived"
    assert catch.named, f"{catch.case} blames {', '.join(catch.blamed)}"


@pytest.mark.parametrize("choice", OTHERS)
def test_the_right_simulator_raises_no_alarm_in_another_contract(choice: str) -> None:
    kept, seed = light(choice), random.getrandbits(32)
    budget, pair = kept.price_per_picture * 400, PAIR if kept.jwt else None
    report = verify(right(seed, kept), kept, Options(KEY, OTHER_KEY, budget, seed=seed, pair=pair))

    assert [
        (result.case.id, result.reason, result.deviations) for result in report.results if result.state != HOLDS
    ] == []
    assert len(report.results) > 120


@pytest.mark.parametrize("kept", [load_contract(), *[CONTRACT] * 3], ids=["", *"123"])
def test_the_right_simulator_raises_no_alarm(kept: Contract) -> None:
    """With pictures of 10 MB once: they are the same with each seed."""
    seed = random.getrandbits(32)
    report = verify(right(seed, kept), kept, Options(KEY, OTHER_KEY, Decimal(5), seed=seed))

    assert [
        (result.case.id, result.reason, result.deviations) for result in report.results if result.state != HOLDS
    ] == []
    assert len(report.results) > 100


def test_the_right_simulator_holds_as_a_hunt_looks_at_it() -> None:
    [catch] = hunt([Mutant("none", "answer.schema", "nothing", right)])

    assert not catch.killed
    assert not catch.named
    assert catch.creates > 100


def test_the_table_is_long_and_sound() -> None:
    promised = [*load_contract().rules, *load_contract().promises]

    assert len(MUTANTS) >= 60
    assert [name for name, times in Counter(mutant.name for mutant in MUTANTS).items() if times > 1] == []
    assert {mutant.guilty for mutant in MUTANTS} <= set(promised)
    assert {f"{limit}-{way}" for limit in LIMITS for way in ("lower", "higher")} <= BY_NAME.keys()


@pytest.mark.parametrize("choice", ["cometapi", "cometapi-2026", "kling"])
def test_every_rule_and_promise_that_can_be_tested_has_a_mutant(choice: str) -> None:
    rules = load_contract(choice)
    spared = {f"account.{name}" for name in ("rate", "quota", "balance", "concurrency")} | {"moderation"}
    spared |= {
        rule.id for rule in rules.rules.values() if rule.aspects[LIMIT].grade == UNKNOWN
    }  # nobody is judged by it
    own_kinds = {
        rule for rule in rules.rules if rule.endswith((".maxBytes", ".pixels"))
    }  # the limits are those of subjects

    assert {*rules.rules, *rules.promises} - {
        mutant.guilty for mutant in mutants_of(rules)
    } - spared - own_kinds == set()


# A row changes what it says, and nothing else


def differences(left: Any, right: Any, place: str = "") -> list[str]:
    """Places at which two documents differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        names = sorted({*map(str, left), *map(str, right)})
        return [found for name in names for found in differences(left.get(name), right.get(name), f"{place}/{name}")]
    return [] if left == right else [place]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("minItems-lower", "/components/schemas/CreateRequest/properties/subject_image_list/minItems"),
        ("maxMegabytes-higher", "/x-image/maxMegabytes"),
        ("minimum-text", "/x-rule-defaults/minimum/message"),
        ("no-subjects", "/components/schemas/CreateRequest/required"),
        ("code-1200", "/components/schemas/CreateRequest/properties/prompt/x-rules"),
        ("unknown-task-404", "/x-gateway-errors/task_not_exist/http"),
    ],
)
def test_a_contract_differs_in_one_place(name: str, place: str) -> None:
    changed = BY_NAME[name].make(0).simulator.contract.document

    assert differences(CONTRACT.document, changed) == [place]


def test_the_contract_of_the_kit_is_never_touched() -> None:
    before = copy.deepcopy(CONTRACT.document)

    for mutant in MUTANTS:
        mutant.make(0)

    assert CONTRACT.document == before
    assert CONTRACT.request.judge.__func__ is Contract(before).request.judge.__func__  # type: ignore[attr-defined]


def created_by(make: Callable[[int], SimulatorTarget], **fields: Any) -> Any:
    """The answer to a create."""
    return make(0).send(Request("POST", PATH, body(**fields), content_type="application/json"), KEY).body


def test_a_changed_answer_differs_in_one_place() -> None:
    changed = created_by(answers(created, "data", "task_id", to=int))
    as_it_was = created_by(right)

    assert differences(changed, as_it_was) == ["/data/task_id"]
    assert changed["data"]["task_id"] == int(as_it_was["data"]["task_id"])


def test_a_request_is_read_otherwise_only_where_the_row_says_so() -> None:
    text_is_number = reads("n", to=lambda value: 1 if value == "1" else value)

    assert created_by(text_is_number, n="1")["code"] == 0
    assert created_by(text_is_number, n="2") == {
        **created_by(right, n="2"),
        "request_id": created_by(text_is_number, n="2")["request_id"],
    }
    assert created_by(text_is_number) == created_by(right)


def test_another_behaviour_gets_the_right_one() -> None:
    seen = []

    def create(_: object, create: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        seen.append(arguments[1]["prompt"])
        return create(*arguments, **more)

    assert created_by(does("create", create), prompt="hello") == created_by(right, prompt="hello")
    assert seen == ["hello"]


def test_a_place_that_is_not_there() -> None:
    value = {"a": [{"b": 1}]}

    at("a", 0, "b", to=lambda old: old + 1)(value)
    at("a", 5, "b", to=lambda old: old + 1)(value)
    at("a", 0, "c", to=str)(value)
    at("x", "y", to=2)(value)
    at("z")(value)

    assert value == {"a": [{"b": 2}], "x": {"y": 2}}


# The kit itself


def test_a_mutant_of_no_row_is_caught_too() -> None:
    report = verified(contract("x-lifecycle", "submitted", to="queued")(0, CONTRACT), stop_early=True)

    assert {each.requirement for result in report.of(DEVIATES) for each in result.deviations} == {"answer.schema"}


def test_a_callback_that_is_repeated_as_it_was_is_no_deviation() -> None:
    def twice(_: object, send: Callable[..., int], *arguments: Any, **more: Any) -> int:
        send(*arguments, **more)
        return send(*arguments, **more)

    assert verified(does("callbacks.send", twice)(0, CONTRACT)).of(DEVIATES) == []


def test_a_run_that_stops_early_sends_nothing_after_the_first_deviation() -> None:
    late, early = hunt([BY_NAME["refused-calls-back"], BY_NAME["id-number"]], contract=CONTRACT)

    assert (early.requests, early.creates) == (1, 1)
    assert early.spent == CONTRACT.price_per_picture
    assert late.creates > 100


def test_a_boundary_that_is_refused_leaves_no_strangers_behind() -> None:
    """The parts of a pack that are tried one after the other make tasks, which call back."""
    report = verified(BY_NAME["no-empty-external-id"].make(0))
    found = [each for state in (DEVIATES, LEARNED) for result in report.of(state) for each in result.deviations]

    assert {each.requirement for each in found if each.kind == "refused"} == {"external_task_id.type"}
    assert "refusal.nothing" not in {each.requirement for each in found}


def test_what_everything_is_refused_for_is_named_by_its_text() -> None:
    report = verified(BY_NAME["minItems-higher"].make(0))
    refused = [each for result in report.of(DEVIATES) for each in result.deviations if each.kind == "refused"]

    assert {each.requirement for each in refused} == {"subject_image_list.minItems"}
    assert report.creates <= 120
