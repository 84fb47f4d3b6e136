from __future__ import annotations

import base64
import gc
import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import zlib
from contextlib import closing, contextmanager
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import aiohttp  # noqa: F401 - see below
import httpcore  # noqa: F401
import httpx  # noqa: F401
import pytest
from hypothesis import HealthCheck, settings
from openapi_core import OpenAPI
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIRequest, WerkzeugOpenAPIResponse
from PIL import Image
from werkzeug.test import EnvironBuilder

from klingkit.contract import Contract, load_contract
from klingkit.mock_server.app import create_app
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from werkzeug.test import TestResponse

    from tests.states import States

# A pytest run inside of this one takes out of `sys.modules` what it was the first to import. A library that is imported again
# afterwards does not know the exceptions of its first copy, so these are imported before, also where others import them late.

settings.register_profile("klingkit", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("klingkit")

# Looking for cycles took a tenth of the suite and more: tests make much and keep little, beside thousands of tests that stay.
gc.set_threshold(20_000, 20, 20)


FEW_PLUGINS = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_PLUGINS": "klingkit.pytest_plugin,klingkit.pytest_contract_plugin,xdist.plugin",
}
"""Environment of a pytest in a process of its own, and of its workers: with all plugins that are installed it starts six times as
slowly, most of all for the summary of Hypothesis', which imports all of it."""

PATH = "/kling/v1/images/generations"
URL = "https://example.com/a.png"


def png(width: int = 300, height: int = 300, colour: str = "red") -> bytes:
    """A PNG file of one colour."""
    out = BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


def png_header(width: int, height: int, rest: bytes = b"") -> bytes:
    """A PNG file that is right up to its pixel data, which are `rest`."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header)) + b"\x7f\xff\xff\xffIDAT" + rest
    )


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def subjects(*pictures: Any) -> list[dict[str, Any]]:
    return [{"subject_image": picture} for picture in pictures]


def body(**fields: Any) -> dict[str, Any]:
    """A valid create request with some fields of its own; a field of Ellipsis is left out."""
    full = {"subject_image_list": subjects(URL, URL), **fields}
    return {name: value for name, value in full.items() if value is not ...}


class Api:
    """Sends requests to a simulator in process, and checks every answer of the API against openapi.yaml."""

    def __init__(self, simulator: Simulator, referee: OpenAPI) -> None:
        self.simulator = simulator
        self._client = create_app(simulator).test_client()
        self._referee = referee
        self._server = simulator.contract.server_url

    def send(self, method: str, path: str, *, key: str | None = "key", **request: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        headers |= request.pop("headers", {})
        response = self._client.open(path, method=method, base_url=self._server, headers=headers, **request)
        if path.startswith(PATH) and response.mimetype == "application/json" and response.data:
            known = method in {"POST", "GET"} and (method == "POST") == (path == PATH)
            if known:
                asked = EnvironBuilder(path, self._server, method=method).get_request()
                self._referee.validate_response(WerkzeugOpenAPIRequest(asked), WerkzeugOpenAPIResponse(response))
        return response

    def send_unchecked(self, method: str, path: str, *, key: str = "key", **request: Any) -> TestResponse:
        """Send a request whose answer is not to be one of the contract."""
        headers = {"Authorization": f"Bearer {key}", **request.pop("headers", {})}
        return self._client.open(path, method=method, base_url=self._server, headers=headers, **request)

    def create(self, request: Any = None, *, key: str | None = "key") -> TestResponse:
        return self.send("POST", PATH, key=key, json=body() if request is None else request)

    def query(self, task_id: str, *, key: str | None = "key") -> TestResponse:
        return self.send("GET", f"{PATH}/{task_id}", key=key)


@pytest.fixture(scope="session")
def contract() -> Contract:
    return load_contract()


@pytest.fixture(scope="session")
def referee(contract: Contract) -> OpenAPI:
    """openapi-core, as the independent judge."""
    return OpenAPI.from_dict(contract.document)


class Clock:
    """The server's clock of every simulator that a test makes."""

    def __init__(self) -> None:
        self.simulators: list[Simulator] = []

    def now(self) -> int:
        return self.simulators[-1].clocks.now() if self.simulators else START

    def move_to(self, moment: int) -> None:
        for simulator in self.simulators:
            simulator.clocks.move_to(moment)


@pytest.fixture
def clock() -> Clock:
    return Clock()


EVERYWHERE = ("memory", "sqlite", "postgresql")
"""Where a state can be kept."""


@pytest.fixture(scope="session")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[States]:
    from tests.states import States

    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    with closing(States(tmp_path_factory.mktemp("states"), worker)) as found:
        yield found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that are marked `everywhere` with the state in each place where it can be kept."""
    if "kept_in" in metafunc.fixturenames and metafunc.definition.get_closest_marker("everywhere"):
        metafunc.parametrize("kept_in", EVERYWHERE, indirect=True)


@pytest.fixture
def kept_in(request: pytest.FixtureRequest) -> str:
    """Where the state of the simulators of a test lies."""
    return getattr(request, "param", "memory")


@pytest.fixture
def new_state(kept_in: str, request: pytest.FixtureRequest) -> Iterator[Callable[..., str | None]]:
    """Return what gives a new state at each call: `Settings.state`."""
    if kept_in == "memory":
        yield lambda *_, **__: None
        return
    states: States = request.getfixturevalue("states")
    yield lambda *arguments, **named: states.new(kept_in, *arguments, **named)
    states.take_back()


@pytest.fixture
def make_api(clock: Clock, referee: OpenAPI, new_state: Callable[..., str | None]) -> Iterator[Callable[..., Api]]:
    """Make an Api over a simulator with settings of its own and a virtual clock."""

    def make(send: Any = None, start: int | None = START, **options: Any) -> Api:
        options.setdefault("state", new_state(options.get("seed", 0), ClockState(start)))
        simulator = Simulator(Settings(**options), clock=ClockState(start), send=send)
        clock.simulators.append(simulator)
        return Api(simulator, referee)

    yield make
    for simulator in clock.simulators:
        if simulator.settings.state:
            simulator.close()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()


class Running:
    """A `klingkit serve` in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], banner: str, log: IO[str]) -> None:
        self.process = process
        self.banner = banner
        self._log = log
        match = re.search(r"http://[^ /]+", banner)
        assert match, banner
        self.url = match[0]
        self.host, _, port = self.url.removeprefix("http://").rpartition(":")
        self.port = int(port)

    def wait_for_creates(self, number: int, key: str = "") -> None:
        """Wait until a key, or anybody, has made so many tasks; to ask again and again costs what those who make them need."""
        control, last = Control.over_http(self.url, key=key or None), 0
        for _ in range(number):
            found = control.wait_for_request(operation="create_task", status=200, after=last, timeout="20s")
            last = found["number"]

    def stop(self, number: int = signal.SIGINT) -> str:
        """Send a signal, wait for the end, and return the log."""
        self.process.send_signal(number)
        self.process.communicate(timeout=20)
        self._log.seek(0)
        return self._log.read()


@contextmanager
def serving(*arguments: str, **env: str) -> Iterator[Running]:
    """Run `klingkit serve` on a free port."""
    command = [sys.executable, "-m", "klingkit", "serve", "--port", "0", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KLINGKIT", "COMETAPI"))}
    # A file for the log: a pipe that nobody reads fills up, and then the server waits for ever.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, env={**environment, **env}, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8"
        )
        assert process.stdout
        banner = ""
        while banner.count("curl ") < 2:
            line = process.stdout.readline()
            assert line, f"the server did not start: {process.communicate()}"
            banner += line
        running = Running(process, banner, log)
        try:
            yield running
        finally:
            if process.poll() is None:
                running.stop()


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    """One server for all tests that need a socket; each test uses keys of its own."""
    with serving("--instant", "--seed", "1", "--max-body", "2MB") as running:
        yield running


def data_of(response: TestResponse) -> dict[str, Any]:
    """`data` of a successful answer."""
    assert response.status_code == 200, response.text
    answer = json.loads(response.data)
    assert answer["code"] == 0
    data: dict[str, Any] = answer["data"]
    return data
