"""Verify of a service that is written from the facts alone: no alarm while it is right, and each planted fault by its name."""

from __future__ import annotations

import ast
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.contract import load_contract
from klingkit.contract.cases.catalogue import build_cases
from klingkit.contract.choice import CONTRACTS
from klingkit.contract.verify.run import verify
from klingkit.contract.verify.selection import EXPLORED, Options, explored_cases
from tests import stand_in
from tests.stand_in import AS_INFERRED, OTHERWISE, Habits, by_chance
from tests.stand_in_faults import FAULTS
from tests.stand_in_target import stand_in_target
from tests.wrong_targets import light

if TYPE_CHECKING:
    from klingkit.contract.verify.results import Report

ENOUGH = Decimal(900)
TOGETHER = (
    "wrong-ratio prompt-2400 ids-used-twice json-for-a-wrong-path data-url callback-as-text other-reason",
    "cut-off prompt-2600 ids-of-everybody any-model external-id-forgotten any-key",
    "jpeg any-ratio status-for-prompt code-for-duplicate text-for-base64 backwards callback-elsewhere request-id-of-digits",
    "text-for-duplicate no-updated-at callback-with-another-picture",
    "reason-in-another-place five-subjects other-word-of-success no-21-9",
    "other-spelling callback-in-an-envelope seconds",
    "id-as-number callback-of-another-time",
    "unknown-field pixels-of-250",
)
"""Faults that do not hide each other."""


def verified(habits: Habits, *faults: str, contract: str = "cometapi", **options: Any) -> Report:
    """Verify a service whose pictures may have 1 MB, and the kit knows it: those of 10 MB would take most of the time."""
    target = stand_in_target(contract, habits=habits, megabytes=1)
    for fault in faults:
        plant, _ = FAULTS[fault]
        plant(target.service)
    return verify(target, light(contract), Options(key="sk-first", other_key="sk-second", **options))


def alarms(report: Report) -> list[str]:
    """What the report holds against the service."""
    return [
        f"{result.case.id}: {deviation.requirement} {deviation.kind}: {deviation.expected}, but {deviation.got}"
        for result in report.of("deviates")
        for deviation in result.deviations
    ]


def named(report: Report) -> set[str]:
    """The requirements that a service is found to break, as it is known."""
    return {
        deviation.requirement
        for result in report.of("deviates")
        for deviation in result.deviations
        if deviation.evidence.grade in {"documented", "recorded"}
    }


def test_it_reads_nothing_of_the_kit() -> None:
    files = list(Path(stand_in.__file__).parent.glob("*.py"))
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    imported = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    imported += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]

    assert len(files) > 5
    assert not [name for name in imported if name.partition(".")[0] in {"klingkit", "tests", "contract", "mock_server"}]


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("budget", [Decimal(0), ENOUGH], ids=["free", "paid"])
@pytest.mark.parametrize("habits", [AS_INFERRED, OTHERWISE], ids=["as-inferred", "otherwise"])
def test_a_service_that_is_right_in_all_that_is_known_raises_no_alarm(
    contract: str, budget: Decimal, habits: Habits
) -> None:
    report = verified(habits, contract=contract, budget=budget)

    assert alarms(report) == []
    assert not report.bug
    if habits == AS_INFERRED:
        assert {result.state for result in report.results} <= {"holds", "skipped", "learned"}
        assert len(report.of("learned")) < 10
    elif budget:
        assert len(report.of("learned")) > 60


def test_nor_does_one_that_takes_pictures_of_10_megabytes() -> None:
    contract = load_contract()
    large = frozenset(case.id for case in build_cases(contract) if len(case.request.data) > 10_000_000)

    report = verify(stand_in_target(), contract, Options(key="sk-first", budget=ENOUGH, cases=large))

    assert [result.state for result in report.results] == ["holds"] * len(large)
    assert len(large) > 3


@pytest.mark.parametrize("seed", range(9))
def test_nor_does_any_other_that_may_be_the_real_one(seed: int) -> None:
    contract = CONTRACTS[seed % 3]
    report = verified(by_chance(seed), contract=contract, budget=ENOUGH, seed=seed)

    assert alarms(report) == []
    assert not report.bug


@pytest.mark.parametrize("seed", range(3))
def test_a_drawn_request_is_refused_for_nothing_else_than_its_rule(seed: int) -> None:
    """Whether `callback_url` may be any text is an open question: a service that refuses it first may say so in any words."""
    contract = load_contract(CONTRACTS[seed])
    cases = [case for each in range(20) for case in explored_cases(contract, 20 * seed + each, EXPLORED)]
    drawn = [case for case in cases if case.rule and not case.rule.id.startswith("callback_url.")]

    assert len(drawn) > 100
    assert not [case.id for case in drawn if (case.request.body or {}).get("callback_url")]


def test_every_fault_is_tried() -> None:
    assert sorted(" ".join(TOGETHER).split()) == sorted(FAULTS)
    assert len(FAULTS) > 30


@pytest.mark.parametrize("habits", [AS_INFERRED, OTHERWISE], ids=["as-inferred", "otherwise"])
@pytest.mark.parametrize("faults", TOGETHER)
def test_faults_are_found_and_named(faults: str, habits: Habits) -> None:
    """Each of several, and nothing else: also while all that is inferred is the other way round."""
    report = verified(habits, *faults.split(), budget=ENOUGH)

    assert named(report) == {name for fault in faults.split() for name in FAULTS[fault][1].split()}
