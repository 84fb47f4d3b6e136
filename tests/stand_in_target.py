"""The stand-in as a target of the kit: without a socket, on a clock that moves only when the kit waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from klingkit.contract.targets.callback_receiver import Received
from klingkit.contract.targets.target import NoAnswerError, Reply, Request
from klingkit.mock_server.serving.in_process import call
from tests.stand_in import Delivery, StandIn

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "https://api.example.com"
PACE = 20
"""Seconds of the service that go by while the kit waits for one: what it asks meanwhile is asked less often."""


class StandInTarget:
    """A service that answers requests in process."""

    def __init__(self, service: StandIn, key: str = "sk-first") -> None:
        self.name = "stand-in"
        self.key = key
        self.local = True
        self.parallel = 1
        self.callback_url: str | None = "https://callbacks.example.com/kit/"
        self.received: list[Received] = []
        self.service = service
        service.deliver = self._receive

    def send(self, request: Request, key: str | None = None) -> Reply:
        return self._call(request.method, HOST + request.path, request.headers(key or self.key), request.data)

    def fetch(self, url: str) -> Reply:
        if not url.startswith(self.service.pictures_at):
            raise NoAnswerError(f"nothing is at {url!r:.80}", arrived=False)
        return self._call("GET", url, {}, b"")

    def now(self) -> float:
        return self.service.clock.now()

    def wait(self, seconds: float) -> None:
        self.service.clock.advance(seconds * PACE)
        self.service.call_back()

    def _call(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        answer = call(self.service, method, url, headers, body)
        return Reply(answer.status, {name.lower(): value for name, value in answer.headers}, answer.body)

    def _receive(self, delivery: Delivery) -> None:
        self.received.append(Received(delivery.headers["Content-Type"], delivery.body, delivery.url))


def stand_in_target(contract: str = "cometapi", **options: Any) -> StandInTarget:
    """A new stand-in as a target."""
    return StandInTarget(StandIn(contract, **options))
