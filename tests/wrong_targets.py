"""Simulators without a socket that answer otherwise than the right one, and runs whose answers are kept."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from klingkit.contract import Contract, load_contract
from klingkit.contract.recordings.from_run import record
from klingkit.contract.verify.run import verify
from klingkit.contract.verify.selection import Options
from klingkit.mock_server.app import create_app
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.mutants.making import SPEED
from klingkit.mock_server.serving.in_process import SimulatorTarget, in_process_target
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from klingkit.contract.recordings.recording import Recording
    from klingkit.contract.targets.target import Reply, Request, Target
    from klingkit.contract.verify.results import Report

KEY, OTHER_KEY = "sesame-open-1234", "sesame-open-5678"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@cache
def light(choice: str = "cometapi") -> Contract:
    """A contract, but for smaller pictures."""
    document = copy.deepcopy(load_contract(choice).document)
    document["x-image"]["maxMegabytes"] = 1
    return Contract(document)


CONTRACT = light()
"""The contract, but for smaller pictures: those of 10 MB take half of the time of a run. Both sides of one keep it."""


class AlteredExchange:
    """One request on its way: what was sent, and the answer, which a test may change."""

    def __init__(self, environ: dict[str, Any], raw: bytes) -> None:
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ["PATH_INFO"]
        self.raw = raw
        self.status = ""
        self.headers: dict[str, str] = {}
        self.content = b""

    @property
    def sent(self) -> dict[str, Any]:
        try:
            body = json.loads(self.raw)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    @property
    def body(self) -> dict[str, Any]:
        try:
            body = json.loads(self.content)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    @property
    def text(self) -> str:
        return str(self.body.get("error", self.body).get("message", ""))

    def answer(self, body: dict[str, Any], status: str = "") -> None:
        self.content = json.dumps(body).encode()
        self.status = status or self.status

    def say(self, message: str) -> None:
        """Answer with another text."""
        body = self.body
        body.get("error", body)["message"] = message
        self.answer(body)


def wrong_target(
    change: Callable[[AlteredExchange], object] = lambda _: None,
    before: Callable[[AlteredExchange], object] = lambda _: None,
    contract: Contract = CONTRACT,
    **settings: Any,
) -> SimulatorTarget:
    """Return a simulator whose answers, or whose requests, go through the hands of a test."""
    settings = {"keys": frozenset({KEY, OTHER_KEY}), "speed": SPEED, **settings}
    simulator = Simulator(Settings(**settings), contract=contract, clock=ClockState(START), send=lambda *_, **__: 204)
    right = create_app(simulator).wsgi_app

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        exchange = AlteredExchange(environ, environ["wsgi.input"].read())
        before(exchange)
        environ = {**environ, "wsgi.input": BytesIO(exchange.raw), "CONTENT_LENGTH": str(len(exchange.raw))}

        def keep(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
            exchange.status, exchange.headers = status, {name.lower(): value for name, value in headers}

        exchange.content = b"".join(right(environ, keep))
        change(exchange)
        exchange.headers["content-length"] = str(len(exchange.content))
        start_response(exchange.status, list(exchange.headers.items()))
        return [exchange.content]

    target = SimulatorTarget(simulator)
    target.app = app
    target.callback_url = None
    return target


def report_of(target: Target, contract: Contract = CONTRACT, **options: Any) -> Report:
    """Send the cases as `klingkit record` does."""
    given = {"key": KEY, "other_key": OTHER_KEY, "budget": Decimal(9), "run": "klingkit-0a1b2c", **options}
    return verify(target, contract, Options(keep=True, **given))


def recording_of(target: Target | None = None, **options: Any) -> Recording:
    return record(report_of(target or wrong_target(), **options), NOW)


FREE = Options(key="key", any_key=True)
PAID = Options(key="key", other_key="other", budget=Decimal(5), any_key=True)
PRICE = CONTRACT.price_per_picture


def right_target(**settings: Any) -> SimulatorTarget:
    """A simulator with nothing wrong, whose tasks are soon seen in each status: most of a run is asking for them."""
    return in_process_target(CONTRACT, **{"speed": SPEED, **settings})


class Wrong:
    """A simulator whose replies are changed on their way."""

    def __init__(self, change: Callable[[Request, Reply], Reply], parallel: int = 1) -> None:
        self._inner = right_target()
        self.parallel = parallel
        self.callback_url = self._inner.callback_url
        self._change = change
        self.sent: list[Request] = []

    def send(self, request: Request, key: str | None = None) -> Reply:
        self.sent.append(request)
        return self._change(request, self._inner.send(request, key))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def rewritten(reply: Reply, **changes: Any) -> Reply:
    """A reply with another JSON body."""
    return replace(reply, content=json.dumps({**reply.body, **changes}).encode())


def run(target: Any, options: Options = PAID) -> Report:
    return verify(target, CONTRACT, options)
