"""Call the simulator's WSGI application without a socket: one request, and all of its answer.

`in_process_target` is a simulator that the contract kit can be run against.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from klingkit.contract.targets import target as targets
from klingkit.contract.targets.callback_receiver import Received

from ..app import create_app
from ..clock import START, ClockState
from ..request_state import CRASH, FAULT
from ..settings import Settings
from ..simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed.wsgi import WSGIApplication

    from klingkit.contract import Contract

    from ..scenario import Fault


@dataclass(frozen=True, slots=True)
class WsgiAnswer:
    """What the application answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    fault: Fault | None = None
    """What the scenario does to the answer on the wire; `body` is whole all the same."""
    crash: Exception | None = None
    """The exception of a bug in klingkit, which the answer does not show."""


def call(app: WSGIApplication, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> WsgiAnswer:
    """Send a request to an absolute URL, which the application sees as if a server had passed it on.

    What the application raises comes through.
    """
    environ = _environ(method, url, headers, body)
    head: list[Any] = []

    def start_response(status: str, answered: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], object]:
        head[:] = [int(status.partition(" ")[0]), answered]
        return written.append

    written: list[bytes] = []
    chunks = app(environ, start_response)
    try:
        rest = list(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    return WsgiAnswer(head[0], list(head[1]), b"".join([*written, *rest]), environ.get(FAULT), environ.get(CRASH))


def _environ(method: str, url: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return what a server would pass on; werkzeug's EnvironBuilder takes as long as the answer."""
    parts = urlsplit(url)
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path or "/").decode("latin-1"),
        "QUERY_STRING": parts.query,
        "SERVER_NAME": parts.hostname or "",
        "SERVER_PORT": str(parts.port or (443 if parts.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": parts.netloc.rpartition("@")[2],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        text = value.decode("latin-1") if isinstance(value, bytes) else value  # requests takes both
        environ["HTTP_" + name.upper().replace("-", "_")] = text
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ.pop("HTTP_CONTENT_LENGTH", None)
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ


class SimulatorTarget:
    """A simulator with a virtual clock as a target, without a socket."""

    def __init__(self, simulator: Simulator) -> None:
        self.name = "simulator"
        self.key = targets.ANY_KEY
        self.local = True
        self.parallel = 1
        self.callback_url: str | None = "http://127.0.0.1:9/"
        self.received: list[Received] = []
        self.simulator = simulator
        self.app: WSGIApplication = create_app(simulator).wsgi_app

    def send(self, request: targets.Request, key: str | None = None) -> targets.Reply:
        """Send a request to the application."""
        url = self.simulator.contract.server_url + request.path
        return self._call(request.method, url, request.headers(key or self.key), request.data)

    def fetch(self, url: str) -> targets.Reply:
        """Get a result picture, without the key."""
        try:
            return self._call("GET", url, {}, b"")
        except ValueError as error:
            raise targets.NoAnswerError(f"{url!r:.80} is not a URL") from error

    def now(self) -> float:
        """Time of the simulator in s."""
        return self.simulator.clocks.now() / 1000

    def wait(self, seconds: float) -> None:
        """Move the simulator's clock; what falls due on the way has happened when it returns."""
        self.simulator.traveller.advance(round(seconds * 1000))

    def _call(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> targets.Reply:
        reply = call(self.app, method, url, headers, body)
        return targets.Reply(reply.status, {name.lower(): value for name, value in reply.headers}, reply.body)


def in_process_target(contract: Contract | None = None, **settings: Any) -> SimulatorTarget:
    """Return a new simulator as a target, with a virtual clock; the target keeps its callbacks and answers them 204."""
    received: list[Received] = []

    def keep(url: str, body: bytes, headers: dict[str, str], *, timeout_ms: int) -> int:  # noqa: ARG001 - a SendCallback
        received.append(Received(headers["Content-Type"], body, url))
        return 204

    target = SimulatorTarget(Simulator(Settings(**settings), contract=contract, clock=ClockState(START), send=keep))
    target.received = received
    return target
