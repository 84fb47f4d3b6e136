"""Call the simulator's WSGI application without a socket: one request, and all of its answer.

`in_process_target` is a simulator that the contract kit can be run against.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from werkzeug.test import EnvironBuilder, run_wsgi_app

from klingkit.contract import targets
from klingkit.contract.receiver import Received

from .app import create_app
from .clock import START, Clock
from .settings import Settings
from .simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIApplication

    from klingkit.contract import Contract


@dataclass(frozen=True, slots=True)
class Reply:
    """What the application answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def call(app: WSGIApplication, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
    """Send a request to an absolute URL, which the application sees as if a server had passed it on.

    What the application raises comes through.
    """
    host, slash, path = url.partition("://")[2].partition("/")
    scheme = url.partition("://")[0]
    builder = EnvironBuilder(
        slash + path,
        f"{scheme}://{host}/",
        method=method,
        headers=list(headers.items()),
        input_stream=BytesIO(body),
        content_length=len(body) or None,
    )
    chunks, status, answered = run_wsgi_app(app, builder.get_environ(), buffered=True)
    return Reply(int(status.partition(" ")[0]), list(answered), b"".join(chunks))


class SimulatorTarget:
    """A simulator with a virtual clock as a target, without a socket."""

    def __init__(self, simulator: Simulator) -> None:
        self.name = "simulator"
        self.local = True
        self.parallel = 1
        self.callback_url: str | None = "http://127.0.0.1:9/"
        self.received: list[Received] = []
        self.simulator = simulator
        self.app: WSGIApplication = create_app(simulator).wsgi_app

    def send(self, request: targets.Request, key: str) -> targets.Reply:
        """Send a request to the application."""
        url = self.simulator.contract.server_url + request.path
        return self._call(request.method, url, request.headers(key), request.data)

    def fetch(self, url: str) -> targets.Reply:
        """Get a result picture, without the key."""
        return self._call("GET", url, {}, b"")

    def now(self) -> float:
        """Time of the simulator in s."""
        return self.simulator.clock.now() / 1000

    def wait(self, seconds: float) -> None:
        """Move the simulator's clock; what falls due on the way has happened when it returns."""
        self.simulator.traveller.advance(round(seconds * 1000))

    def _call(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> targets.Reply:
        reply = call(self.app, method, url, headers, body)
        return targets.Reply(reply.status, {name.lower(): value for name, value in reply.headers}, reply.body)


def in_process_target(contract: Contract | None = None, **settings: Any) -> SimulatorTarget:
    """Return a new simulator as a target, with a virtual clock; the target keeps its callbacks and answers them 204."""
    received: list[Received] = []

    def keep(url: str, body: bytes, headers: dict[str, str], *, timeout_ms: int) -> int:  # noqa: ARG001 - a Sender
        received.append(Received(headers["Content-Type"], body))
        return 204

    target = SimulatorTarget(Simulator(Settings(**settings), contract=contract, clock=Clock(START), send=keep))
    target.received = received
    return target
