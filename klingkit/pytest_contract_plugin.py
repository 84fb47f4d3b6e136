"""The pytest plugin for contract tests: the suite `pytest --pyargs klingkit.contract`, and a target for tests of your own."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.contract import Contract
    from klingkit.contract.targets.target import HttpTarget, Target
    from klingkit.contract.verify.results import Report
    from klingkit.contract.verify.selection import Options

CASE = "klingkit_verdict"
"""The fixture that the suite's one test takes."""
INCOMPLETE_RUN = pytest.StashKey[bool]()
"""Whether a case was not tested that was to be."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say where the cases go and what they may cost."""
    group = parser.getgroup("klingkit")
    group.addoption("--klingkit-target", metavar="URL", help="The service that contract tests are about.")
    group.addoption("--klingkit-budget", metavar="USD", default="0", help="What contract tests may spend (0).")
    group.addoption("--klingkit-real", action="store_true", help="Needed for a target that is not on this machine.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each case."""
    if CASE in metafunc.fixturenames:
        from klingkit.contract.cases.catalogue import build_cases

        if not metafunc.config.getoption("klingkit_target"):
            raise pytest.UsageError("the contract suite needs a service: give --klingkit-target URL")
        if hasattr(metafunc.config, "workerinput"):
            raise pytest.UsageError("the contract suite spends one budget: run it without -n")
        metafunc.parametrize(CASE, [case.id for case in build_cases(_contract(metafunc.config))], indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a run in which not all was tested that was to be end with 3, as `klingkit verify` does, if nothing failed."""
    if session.exitstatus == pytest.ExitCode.OK and INCOMPLETE_RUN in session.config.stash:
        from .run_options import INCOMPLETE

        session.exitstatus = INCOMPLETE


@pytest.fixture(scope="session")
def klingkit_report(request: pytest.FixtureRequest) -> Report:
    """What came of the cases whose tests were chosen; they are sent when the first of them runs."""
    import click

    from .ending import BUG, Signals
    from .run_options import INTERRUPTED, receiver, run

    config, signals = request.config, Signals()
    chosen = {item.callspec.params[CASE] for item in request.session.items if CASE in getattr(item, "fixturenames", ())}  # type: ignore[attr-defined]
    try:
        target, options = _service(config, cases=frozenset(chosen))
        with receiver(target), signals.heard():
            report = run(target, _contract(config), options, signals)
    except click.ClickException as error:
        pytest.exit(error.format_message(), returncode=error.exit_code)
    if report.interrupted:
        pytest.exit(f"interrupted: {report.total}", returncode=INTERRUPTED + report.signal)
    if report.bug:
        pytest.exit(f"{report.bug}; {report.total}", returncode=BUG)
    return report


@pytest.fixture(scope="session")
def _klingkit_simulators(pytestconfig: pytest.Config) -> Callable[[str | None], Target]:
    """The simulators of this session, by the recording that they answer by; they serve what --klingkit-contract names."""
    from klingkit.contract import load_contract
    from klingkit.contract.choice import CONTRACTS, UnknownChoiceError
    from klingkit.mock_server.serving.in_process import in_process_target

    try:
        contract = load_contract(pytestconfig.getoption("klingkit_contract", None) or CONTRACTS[0])
    except UnknownChoiceError as error:
        pytest.exit(f"--klingkit-contract: {error}", returncode=pytest.ExitCode.USAGE_ERROR)
    return cache(lambda recording: in_process_target(contract, recording=recording))


@pytest.fixture(scope="session")
def klingkit_target(
    request: pytest.FixtureRequest, _kling_where: str | None, _klingkit_simulators: Callable[[str | None], Target]
) -> Target:
    """Where contract tests send requests: a simulator in this process with a virtual clock, or what --klingkit-target names.

    All tests share it, as they would share an account of the service.
    """
    import click

    from klingkit.contract.verify.budget import BudgetedTarget

    config = request.config
    if not config.getoption("klingkit_target"):
        return _klingkit_simulators(_kling_where)
    if hasattr(config, "workerinput"):
        pytest.fail("tests that take klingkit_target spend one budget: run them without -n", pytrace=False)
    try:
        service, options = _service(config)
    except click.ClickException as error:
        pytest.exit(error.format_message(), returncode=error.exit_code)
    return BudgetedTarget(service.url, options.key, _contract(config), options.budget)


def _contract(config: pytest.Config) -> Contract:
    """Return the contract that the service is to keep. Raises UsageError, which names the valid ones."""
    import click

    from .contract_option import contract_of

    try:
        return contract_of(config.getoption("klingkit_contract", None) or "cometapi", "--klingkit-contract")
    except click.ClickException as error:
        raise pytest.UsageError(error.format_message()) from None


def _service(config: pytest.Config, **options: Any) -> tuple[HttpTarget, Options]:
    """Return what --klingkit-target names, and how it is to be used. Raises ClickException for what cannot be used."""
    from .command_errors import money
    from .run_options import keys_of, prepare

    contract = _contract(config)
    return prepare(
        config.getoption("klingkit_target"),
        contract,
        real=config.getoption("klingkit_real"),
        real_option="--klingkit-real",
        **keys_of(contract),
        other_key=os.environ.get("KLINGKIT_OTHER_KEY"),
        budget=money(config.getoption("klingkit_budget")),
        **options,
    )


@pytest.fixture
def klingkit_verdict(request: pytest.FixtureRequest, klingkit_report: Report) -> str:
    """What deviates in one case, with commands that show it; empty if it holds."""
    from klingkit.contract.verify.report import case_text

    result = next(result for result in klingkit_report.results if result.case.id == request.param)
    if result.state == "skipped" and not result.planned:
        request.config.stash[INCOMPLETE_RUN] = True
        pytest.skip(f"not tested, though it was to be: it {result.reason}")
    if result.state == "skipped":
        pytest.skip(result.reason)
    if learned := case_text(klingkit_report, result, learned=True):
        request.node.add_report_section("setup", "learned", learned)
    return case_text(klingkit_report, result)
