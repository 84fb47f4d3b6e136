"""The two simulators that a test can hold: in this process, and on a port."""

from __future__ import annotations

import itertools
import warnings
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from klingkit.mock_server.contracts import create_path
from klingkit.mock_server.outbound import Outbound, host_and_path
from klingkit.mock_server.serving.in_process import call

from .kling import Kling

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from klingkit.contract import Contract
    from klingkit.mock_server.deliveries import Reply
    from klingkit.mock_server.serving.in_process import WsgiAnswer


def key_of(name: str) -> str:
    """Return what in a key stands for the name of a test."""
    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class InProcess(Kling):
    """Behind requests, httpx and aiohttp in this process, for the hosts of what it serves; nothing goes through a socket."""

    def __init__(self, recording: str | None = None, contract: str | None = None) -> None:
        super().__init__(recording, contract)
        self.url = self.simulator.contract.server_url

    def _url_of(self, contract: Contract) -> str:
        return contract.server_url

    def _open(self) -> AbstractContextManager[object]:
        from klingkit.mock_server.serving.intercept import intercepted

        return intercepted(self._answer, self._hosts, self._passes)

    def _answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> WsgiAnswer:
        reply = call(self._app, method, url, headers, body)
        if reply.crash:
            self._errors.add(reply.crash)
        return reply

    def _passes(self, method: str, url: str) -> None:
        """Tell of a request that has the path of the service, and not its host."""
        path = urlsplit(url).path
        found = next((each for each in self.simulator.contracts.served if path.startswith(create_path(each))), None)
        if found:
            self._elsewhere.append(f"{method} {host_and_path(url)}")
            warnings.warn(
                f"a request to {host_and_path(url)} was let through: kling_mock answers only as {found.server_url}, which "
                f"{'KLING_BASE_URL' if found.jwt else 'COMETAPI_BASE_URL'} names",
                stacklevel=2,
            )


class OnPort(Kling):
    """On a port of 127.0.0.1, in a thread, until it is stopped; each test has an account of its own."""

    def __init__(self, recording: str | None = None, contract: str | None = None) -> None:
        from klingkit.mock_server.serving.thread_server import ThreadServer

        self._numbers = itertools.count(1)
        super().__init__(recording, contract)
        self._outbound = Outbound(frozenset(), "deliver_callbacks_to(app)", own_ports=self.simulator.own_ports)
        self.simulator.callbacks.run_in_background()
        self._server = ThreadServer(self._app, self.simulator, self._errors.add)
        self.url = self._server.url

    def _begin(self, name: str) -> None:
        self.key = f"klingkit-test-{key_of(name) if name else next(self._numbers)}"
        super()._begin(name)

    @property
    def _account_key(self) -> str | None:
        return self.key

    def stop(self) -> None:
        """Stop the server."""
        self._server.stop()

    def _send_outside(self, url: str, body: bytes, headers: dict[str, str], timeout_ms: int) -> Reply:
        return self._outbound.post(url, body, headers, timeout_ms=timeout_ms)
