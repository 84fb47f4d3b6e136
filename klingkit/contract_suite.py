"""The pytest plugin for `pytest --pyargs klingkit.contract --klingkit-target URL`: the cases, one test each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from klingkit.contract.verify import Report

CASE = "klingkit_verdict"
"""The fixture that the suite's one test takes."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say where the cases go and what they may cost."""
    group = parser.getgroup("klingkit")
    group.addoption("--klingkit-target", metavar="URL", help="The service that the contract suite tests.")
    group.addoption("--klingkit-budget", metavar="USD", default="0", help="What the contract suite may spend (0).")
    group.addoption("--klingkit-real", action="store_true", help="Needed for a target that is not on this machine.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each case."""
    if CASE in metafunc.fixturenames:
        from klingkit.contract import load_contract
        from klingkit.contract.cases import build_cases

        if not metafunc.config.getoption("klingkit_target"):
            raise pytest.UsageError("the contract suite needs a service: give --klingkit-target URL")
        if hasattr(metafunc.config, "workerinput"):
            raise pytest.UsageError("the contract suite spends one budget: run it without -n")
        metafunc.parametrize(CASE, [case.id for case in build_cases(load_contract())], indirect=True)


@pytest.fixture(scope="session")
def klingkit_report(request: pytest.FixtureRequest) -> Iterator[Report]:
    """What came of the cases whose tests were chosen; they are sent when the first of them runs."""
    import click

    from klingkit.contract import load_contract
    from klingkit.contract_commands import prepare, receiver, run

    from .common import money

    config = request.config
    chosen = {item.callspec.params[CASE] for item in request.session.items if CASE in getattr(item, "fixturenames", ())}  # type: ignore[attr-defined]
    try:
        target, options = prepare(
            config.getoption("klingkit_target"),
            real=config.getoption("klingkit_real"),
            key=os.environ.get("COMETAPI_KEY"),
            other_key=os.environ.get("KLINGKIT_OTHER_KEY"),
            budget=money(config.getoption("klingkit_budget")),
            cases=frozenset(chosen),
        )
        with receiver(target):
            yield run(target, load_contract(), options, lambda _: None)
    except click.ClickException as error:
        pytest.exit(error.format_message(), returncode=error.exit_code)


@pytest.fixture
def klingkit_verdict(request: pytest.FixtureRequest, klingkit_report: Report) -> str:
    """What deviates in one case, with commands that show it; empty if it holds."""
    from klingkit.contract.report import case_text

    result = next(each for each in klingkit_report.results if each.case.id == request.param)
    if result.state == "skipped":
        pytest.skip(result.reason)
    return case_text(klingkit_report, result)
