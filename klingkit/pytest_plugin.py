"""The pytest plugin: fixtures `kling_mock`, `kling_server` and `kling_client`, its markers, coverage of behaviour.

Every test run of every project that has klingkit loads this file: what a test needs is imported when it needs it.
"""

from __future__ import annotations

import inspect
import json
from collections import Counter
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from klingkit.client import KlingClient

    from .kling import Kling
    from .kling_kinds import InProcess, OnPort
    from .kling_on_server import OnServer

OPTIONS = {
    "scenario": "Default scenario of creates; `klingkit scenarios` lists them.",
    "progression": "What moves tasks along: polls (the default), time or manual.",
    "balance": "What each account has, in USD; of the contract kling in units.",
    "seed": "All random choices follow from it.",
    "contract": "What is served: cometapi (the default), cometapi-2026, kling, or all of them.",
    "plain_generation": "True: a create without subject pictures makes a plain picture, as on CometAPI.",
    "assume": "Answers to open questions: {id: alternative}, in the ini file ID=ALTERNATIVE ID=...; `klingkit assumptions` lists them.",
    "answers": "File of `klingkit probe`: open questions are answered as that service did.",
}
"""Arguments of the marker, and ini options with klingkit_ before the name."""
NO_REAL_SERVICE = "klingkit_no_real_service"
SIMULATOR = "simulator"
WHERE = "_kling_where"
KLING = pytest.StashKey["Kling"]()
MET = pytest.StashKey["Counter[tuple[str, str]]"]()
"""How often each behaviour was met, by kind and name."""
MET_BY_TEST = pytest.StashKey["dict[str, set[tuple[str, str]]]"]()
"""The same of each test, without how often."""
SUMMARY = pytest.StashKey[dict[str, Any]]()
CLOSED = pytest.StashKey[str]()
"""What the head of a run says of `klingkit_no_real_service`."""


class UnusedScenarioWarning(pytest.PytestWarning):
    """A test has queued a scenario that no request has met, so that it has not tested what it means to."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options and ini options."""
    for name, help_text in OPTIONS.items():
        parser.addini(f"klingkit_{name}", f"kling_mock and kling_server: {help_text}", default="")
    parser.addini(
        NO_REAL_SERVICE,
        "In the whole run, not only while a test has kling_mock or kling_server, no connection leaves for the real service. This "
        "holds in pytest and its workers, not in other processes, and not for addresses by number.",
        type="bool",
        default=False,
    )
    group = parser.getgroup("klingkit", "klingkit, a simulator of Kling's API")
    group.addoption(
        "--klingkit-contract",
        metavar="NAME",
        help="The contract of kling_mock and kling_server in this run, where no marker names another: over klingkit_contract.",
    )
    group.addoption(
        "--klingkit-server",
        metavar="URL",
        help="A running `klingkit serve` that kling_server uses, in place of one of its own: each test has an account of its own there, "
        "with its own clock. Its token, if it has one, is taken from KLINGKIT_CONTROL_TOKEN.",
    )
    group.addoption(
        "--klingkit-coverage",
        action="store_true",
        help="Print which behaviour of the service the tests met, and which never.",
    )
    group.addoption(
        "--klingkit-coverage-min", type=float, metavar="PERCENT", help="Fail if they met less than this part of it."
    )
    group.addoption("--klingkit-coverage-json", metavar="FILE", help="Write the same as JSON.")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and close the way to the real service if that is asked for."""
    arguments = ", ".join(f"{name}=..." for name in OPTIONS)
    config.addinivalue_line("markers", f"kling({arguments}): how kling_mock or kling_server begins for this test.")
    config.addinivalue_line(
        "markers", f"klingkit_targets({SIMULATOR!r}, FOLDER, ...): run this test on each, a folder being a recording."
    )
    config.stash[MET], config.stash[MET_BY_TEST] = Counter(), {}
    file = config.getoption("klingkit_coverage_json")
    if file and not Path(file).parent.is_dir():
        raise pytest.UsageError(
            f"--klingkit-coverage-json {file}: there is no folder {Path(file).parent}; make it first"
        )
    if file and Path(file).is_dir():
        raise pytest.UsageError(f"--klingkit-coverage-json {file}: that is a folder; name a file")
    minimum = config.getoption("klingkit_coverage_min")
    if minimum is not None and not 0 <= minimum <= 100:  # nan is neither
        raise pytest.UsageError(f"--klingkit-coverage-min {minimum}: give a percentage from 0 to 100")
    if config.getoption("klingkit_server"):
        _check_server(config)
    try:
        closed = config.getini(NO_REAL_SERVICE)
    except (ValueError, pytest.UsageError) as error:  # by the version of pytest
        raise pytest.UsageError(f"{NO_REAL_SERVICE}: {error}; write true or false") from None
    if closed:
        _close_the_real_service(config)


def _check_server(config: pytest.Config) -> None:
    """Raise UsageError for a server that cannot be used."""
    if _wants_coverage(config):
        raise pytest.UsageError("--klingkit-coverage looks into simulators of its own: leave out --klingkit-server")
    from .kling_on_server import NoServerError, served_at

    problem = ""
    try:
        served_at(config.getoption("klingkit_server"))
    except NoServerError as error:
        problem = str(error)
    if problem:
        raise pytest.UsageError(f"--klingkit-server {problem}")


def _close_the_real_service(config: pytest.Config) -> None:
    """Let no connection leave for it until the run ends, unless the run is meant for it."""
    from urllib.parse import urlsplit

    from .no_connection import every_host, no_connection_to

    hosts = every_host()
    names = " or ".join(sorted(hosts))
    opened = urlsplit(config.getoption("klingkit_target", None) or "").hostname
    if opened in hosts and config.getoption("klingkit_real", default=False):
        config.stash[CLOSED] = f"{NO_REAL_SERVICE} does not hold in this run, since --klingkit-real opens {opened}"
        return
    stack = ExitStack()
    config.add_cleanup(stack.close)
    stack.enter_context(no_connection_to(hosts))
    config.stash[CLOSED] = f"no connection leaves for {names} ({NO_REAL_SERVICE})"


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say whether the way to the real service is closed."""
    closed = config.stash.get(CLOSED, None)
    return closed and f"klingkit: {closed}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each of its `klingkit_targets`."""
    marker = metafunc.definition.get_closest_marker("klingkit_targets")
    if not marker or WHERE not in metafunc.fixturenames or _goes_to_a_service(metafunc):
        return
    targets = marker.args
    if not targets or marker.kwargs or not all(isinstance(target, str) for target in targets):
        raise pytest.Collector.CollectError(
            f"@pytest.mark.klingkit_targets of {metafunc.definition.nodeid} takes {SIMULATOR!r} and folders of recordings"
        )
    metafunc.parametrize(WHERE, targets, indirect=True, scope="session")


def _goes_to_a_service(metafunc: pytest.Metafunc) -> bool:
    return "klingkit_target" in metafunc.fixturenames and bool(metafunc.config.getoption("klingkit_target"))


@pytest.fixture(scope="session")
def _kling_where(request: pytest.FixtureRequest) -> str | None:
    """Folder of the recording by which a test's simulator answers; None: by the contract alone."""
    where = getattr(request, "param", SIMULATOR)
    if where == SIMULATOR:
        return None
    from klingkit.contract import load_contract
    from klingkit.contract.recordings.files import BrokenRecordingError, OtherContractError, load

    folder = request.config.rootpath / where
    try:
        load(folder, load_contract())
    except OtherContractError:
        pass  # whether a test has that contract is seen when its simulator is made
    except BrokenRecordingError as error:
        pytest.fail(f"klingkit_targets: {where!r} is neither {SIMULATOR!r} nor a recording: {error}", pytrace=False)
    return str(folder)


@pytest.fixture(scope="session")
def _kling_in_process() -> Callable[[str | None, str | None], InProcess]:
    """One simulator for all tests of a contract, or one for each recording, forgotten after each: to make one takes longer than a test."""
    from .kling_kinds import InProcess

    return cache(InProcess)


@pytest.fixture(scope="session")
def _kling_on_port() -> Iterator[Callable[[str | None, str | None], OnPort]]:
    from .kling_kinds import OnPort

    with ExitStack() as stack:

        @cache
        def make(recording: str | None, contract: str | None) -> OnPort:
            kling = OnPort(recording, contract)
            stack.callback(kling.stop)
            return kling

        yield make


@pytest.fixture(scope="session")
def _kling_on_server(request: pytest.FixtureRequest) -> Callable[[str | None, str | None], OnServer]:
    from .kling_on_server import OnServer

    url = request.config.getoption("klingkit_server")

    @cache
    def make(recording: str | None, contract: str | None) -> OnServer:
        if recording:
            raise ValueError("a recording answers in a simulator of its own: leave out --klingkit-server")
        return OnServer(url, contract)

    return make


@pytest.fixture
def kling_mock(request: pytest.FixtureRequest, _kling_where: str | None) -> Iterator[Kling]:
    """Let a simulator in this process answer what the code under test asks of the service with requests, httpx or aiohttp.

    What asks the service by another library fails. Other processes are not intercepted: for them there is kling_server.
    """
    yield from _lend(request, "_kling_in_process", _kling_where)


@pytest.fixture
def kling_server(request: pytest.FixtureRequest, _kling_where: str | None) -> Iterator[Kling]:
    """Run a simulator on a port, for subprocesses, or use that of --klingkit-server; COMETAPI_BASE_URL and COMETAPI_KEY lead there."""
    shared = request.config.getoption("klingkit_server")
    yield from _lend(request, "_kling_on_server" if shared else "_kling_on_port", _kling_where)


@pytest.fixture
def kling_client(request: pytest.FixtureRequest) -> Iterator[KlingClient]:
    """Our client on the simulator of this test: that of kling_server if the test takes it, else that of kling_mock."""
    name = "kling_server" if "kling_server" in request.fixturenames else "kling_mock"
    kling = request.node.stash.get(KLING, None) or request.getfixturevalue(name)
    with kling.client() as client:
        yield client


def _lend(request: pytest.FixtureRequest, fixture: str, recording: str | None) -> Iterator[Kling]:
    if KLING in request.node.stash:
        pytest.fail("a test takes kling_mock or kling_server, not both: each is a service of its own", pytrace=False)
    options = _options(request)
    contract = options.pop("contract")
    from klingkit.contract.recordings.files import BrokenRecordingError

    with ExitStack() as stack:
        problem = ""
        try:
            kling: Kling = request.getfixturevalue(fixture)(recording, contract)
            stack.enter_context(kling.used(**options, name=request.node.nodeid))
            if _wants_coverage(request.config):
                from .resting_on import questions_of

                kling.simulator.find_questions = questions_of
        except (ValueError, RuntimeError, OSError, BrokenRecordingError) as error:
            problem = str(error)
        if problem:  # here, since pytest shows what is being handled when something fails
            pytest.fail(f"{request.fixturename} of {request.node.nodeid}: {problem}", pytrace=False)
        request.node.stash[KLING] = kling
        yield kling
        if _wants_coverage(request.config):
            from .behaviour_coverage import met

            found = met(kling.simulator)
            request.config.stash[MET].update(found)
            request.config.stash[MET_BY_TEST].setdefault(request.node.nodeid, set()).update(found)


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the options of a test: of the ini file, overruled by the markers, of which the closest counts most."""
    options: dict[str, Any] = {name: request.config.getini(f"klingkit_{name}") or None for name in OPTIONS}
    if options["seed"] and options["seed"].removeprefix("-").isdecimal():
        options["seed"] = int(options["seed"])
    if options["plain_generation"] in {"true", "false"}:
        options["plain_generation"] = options["plain_generation"] == "true"
    if options["assume"]:
        options["assume"] = _assumed(options["assume"])
    options["contract"] = request.config.getoption("klingkit_contract") or options["contract"]
    named: set[str] = set()
    for marker in reversed(list(request.node.iter_markers("kling"))):
        if marker.args or marker.kwargs.keys() - OPTIONS.keys():
            wrong = ", ".join([*map(repr, marker.args), *(marker.kwargs.keys() - OPTIONS.keys())])
            valid = ", ".join(f"{name}=..." for name in OPTIONS)
            pytest.fail(
                f"@pytest.mark.kling of {request.node.nodeid} does not take {wrong}; it takes {valid}", pytrace=False
            )
        options |= marker.kwargs
        named |= marker.kwargs.keys()
    if "plain_generation" not in named and options["contract"]:
        options["plain_generation"] = _where_there_is_any(options["plain_generation"], options["contract"])
    return options


def _where_there_is_any(plain: Any, contract: str) -> Any:
    """Return what the ini file says of plain pictures, for all tests; nothing where the contract of this one has none."""
    from klingkit.contract.choice import CONTRACTS, WITH_PLAIN

    return None if contract in CONTRACTS and contract not in WITH_PLAIN else plain


def _assumed(text: str) -> dict[str, str]:
    """Read the ini option."""
    from klingkit.contract.choice import parse_assumptions

    problem = ""
    try:
        return dict(parse_assumptions(text.split()))
    except ValueError as error:
        problem = str(error)
    pytest.fail(f"klingkit_assume: {problem}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Refuse to run a test that has our marker and no simulator, and so would ask the real service."""
    __tracebackhide__ = True
    result = yield
    if not _may_still_take_one(item):
        _check_marker(item)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Let the test fail in which the simulator or a receiver of callbacks raised."""
    __tracebackhide__ = True
    result = yield
    if kling := item.stash.get(KLING, None):
        kling.raise_errors()
        _warn_of_unused(item, kling)
    _check_marker(item)
    return result


def _may_still_take_one(item: pytest.Item) -> bool:
    """Tell whether a test can ask for a fixture while it runs."""
    function = getattr(item, "function", None)
    return function is not None and "request" in inspect.signature(function).parameters


def _check_marker(item: pytest.Item) -> None:
    __tracebackhide__ = True
    if item.get_closest_marker("kling") and KLING not in item.stash:
        pytest.fail(
            f"@pytest.mark.kling of {item.nodeid} leads nowhere: the test takes none of kling_mock, kling_server and kling_client, so "
            "what it sends would go to the real service; let it take one, or put @pytest.mark.usefixtures('kling_mock') on it",
            pytrace=False,
        )


def _warn_of_unused(item: pytest.Item, kling: Kling) -> None:
    """Warn of queued scenarios of which not one turn was used; more turns than needed are a way to say "always".

    A warning and no failure: what is queued for a retry that does not come may be what the test is about. Who wants a failure has
    `filterwarnings = error::klingkit.pytest_plugin.UnusedScenarioWarning`.
    """
    __tracebackhide__ = True
    queued = kling.control.scenarios()["queued"]
    if not queued or not kling.keeps_all:  # what is not kept any more may have met it
        return
    from klingkit.mock_server.handlers import CREATES

    def asked(entry: dict[str, Any]) -> str:
        return "create_task" if entry["operation"] in CREATES else str(entry["operation"])

    met = {(asked(entry), entry["scenario"].partition("; source=")[0]) for entry in kling.journal}
    for entry in queued:
        if (entry["operation"], entry["scenario"]) not in met:
            requests = sum(asked(came) == entry["operation"] for came in kling.journal)
            item.warn(
                UnusedScenarioWarning(
                    f"the scenario {entry['scenario']!r} was queued for {entry['operation']} and never used; "
                    f"requests for that: {requests}"
                )
            )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show in the report of a test that failed what its simulator received."""
    report = yield
    kling = item.stash.get(KLING, None)
    if kling and call.when == "call" and report.failed:
        report.sections.append(("klingkit", kling.report(call.excinfo and call.excinfo.value)))
    if kling and call.when == "teardown":
        del item.stash[KLING]
    return report


def _wants_coverage(config: pytest.Config) -> bool:
    if config.option.collectonly:
        return False
    options = ("klingkit_coverage", "klingkit_coverage_json", "klingkit_coverage_min")
    return any(config.getoption(option) not in {None, False} for option in options)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what a worker of pytest-xdist has met."""
    for test, kind, name, times in getattr(node, "workeroutput", {}).get("klingkit", ()):
        if test:
            node.config.stash[MET_BY_TEST].setdefault(test, set()).add((kind, name))
        else:
            node.config.stash[MET][kind, name] += times


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what was met to pytest-xdist, in a worker of it; else write it down, and let the run fail below the minimum."""
    config = session.config
    if not _wants_coverage(config):
        return
    if (output := getattr(config, "workeroutput", None)) is not None:
        output["klingkit"] = [
            *(("", *behaviour, times) for behaviour, times in config.stash[MET].items()),
            *((test, *each, 1) for test, behaviours in config.stash[MET_BY_TEST].items() for each in behaviours),
        ]
        return
    from .behaviour_coverage import summary

    result = config.stash[SUMMARY] = summary(config.stash[MET], config.stash[MET_BY_TEST])
    if file := config.getoption("klingkit_coverage_json"):
        Path(file).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if result["percent"] < (config.getoption("klingkit_coverage_min") or 0) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was met and what never."""
    if not (result := config.stash.get(SUMMARY, None)):
        return
    from .behaviour_coverage import lines

    minimum = config.getoption("klingkit_coverage_min")
    too_little = minimum and result["percent"] < minimum
    if config.getoption("klingkit_coverage") or too_little:
        terminalreporter.section("klingkit: behaviour of the service that the tests met")
    if config.getoption("klingkit_coverage"):
        for line in lines(result):
            terminalreporter.write_line(line)
    if too_little:
        terminalreporter.write_line(
            f"{result['percent']:g} % is less than --klingkit-coverage-min {minimum:g}", red=True
        )
