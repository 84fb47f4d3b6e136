"""Verify of a service that is written from the facts alone: no alarm while it is right, and each planted fault by its name."""

from __future__ import annotations

import ast
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.contract import load_contract
from klingkit.contract.verify.run import verify
from klingkit.contract.verify.selection import Options
from tests import stand_in
from tests.stand_in import AS_INFERRED, OTHERWISE, Habits, by_chance
from tests.stand_in_faults import FAULTS
from tests.stand_in_target import stand_in_target

if TYPE_CHECKING:
    from klingkit.contract.verify.results import Report

SEEDS = range(20)
KNOWN = {"documented", "recorded"}


def verified(habits: Habits, *faults: str, contract: str = "cometapi", **options: Any) -> Report:
    target = stand_in_target(contract, habits=habits)
    for fault in faults:
        plant, _ = FAULTS[fault]
        plant(target.service)
    return verify(target, load_contract(contract), Options(key="sk-first", other_key="sk-second", **options))


def alarms(report: Report) -> list[str]:
    """What the report holds against the service."""
    return [
        f"{result.case.id}: {deviation.requirement} {deviation.kind}: {deviation.expected}, but {deviation.got}"
        for result in report.of("deviates")
        for deviation in result.deviations
        if deviation.evidence in KNOWN
    ]


def test_it_reads_nothing_of_the_kit() -> None:
    files = list(Path(stand_in.__file__).parent.glob("*.py"))
    trees = [ast.parse(file.read_text()) for file in files]
    names = [
        name
        for tree in trees
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    ]

    assert len(files) > 5
    assert not [name for name in names if "klingkit" in name or name.startswith("tests")]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_service_that_is_right_in_all_that_is_known_raises_no_alarm(seed: int) -> None:
    for habits in (AS_INFERRED, OTHERWISE, by_chance(seed)):
        report = verified(habits, seed=seed)

        assert alarms(report) == []
        assert report.of("deviates") == []
        assert not report.bug


@pytest.mark.parametrize("contract", ["cometapi"])
@pytest.mark.parametrize("habits", [AS_INFERRED, OTHERWISE, by_chance(1), by_chance(2)])
def test_nor_with_a_budget(habits: Habits, contract: str) -> None:
    report = verified(habits, contract=contract, budget=Decimal(5))

    assert alarms(report) == []
    assert report.of("deviates") == []
    assert len(report.of("holds")) > 40
    assert not report.bug


@pytest.mark.parametrize("habits", [AS_INFERRED, OTHERWISE], ids=["as-inferred", "otherwise"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(fault: str, habits: Habits) -> None:
    """Also while all that is inferred is the other way round."""
    _, requirement = FAULTS[fault]
    report = verified(habits, fault, budget=Decimal(5), only=requirement)

    assert requirement in {deviation.requirement for result in report.of("deviates") for deviation in result.deviations}
