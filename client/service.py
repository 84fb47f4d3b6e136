"""One service, asked with one credential: again after a pause where that is safe, until there is an answer, or a deadline."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from .errors import ApiError, AuthenticationError, KlingError, TransportError
from .hiding import Hidden
from .reading import read_answer, read_task
from .retrying import Attempts, CreateAttempts

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    import requests

    from .credentials import Credential
    from .exchange import Exchanger
    from .task import Task

REQUEST_TIMEOUT = 60.0
EXPIRED = 1004


class Service:
    """Asks at one URL; what it gives is `data` of an answer, and everything else it raises."""

    def __init__(
        self,
        url: str,
        credential: Credential,
        exchanger: Exchanger,
        *,
        sleep: Callable[[float], None] | None,
        monotonic: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self.url = url
        self._credential = credential
        self._exchanger = exchanger
        self._sleep = sleep
        self._monotonic = monotonic
        self._rng = rng

    def query(self, path: str, deadline: float) -> Any:
        """Ask until there is an answer, or an error that will not pass."""
        __tracebackhide__ = True
        return self.repeat(partial(self._call, "GET", path, deadline), deadline)

    def create(self, path: str, body: bytes, external_task_id: str | None, deadline: float) -> Task:
        """Submit a task, once at most."""
        __tracebackhide__ = True
        attempts = CreateAttempts(external_task_id, deadline, self._monotonic, self._rng)
        while True:
            try:
                return read_task(self._call("POST", path, deadline, body), self._exchanger.clean)
            except KlingError as error:
                pause = attempts.pause_after(error)
            self.pause(pause)

    def repeat(self, ask: Callable[[], Any], deadline: float) -> Any:
        """Call what changes nothing, again after errors that may pass, until the deadline."""
        __tracebackhide__ = True
        attempts = self.attempts(deadline)
        while True:
            try:
                return ask()
            except (TransportError, ApiError) as error:
                pause = attempts.pause_after(error)
            self.pause(pause)

    def attempts(self, deadline: float) -> Attempts:
        """Return the pauses until a deadline."""
        return Attempts(deadline, self._monotonic, self._rng)

    def pause(self, pause: float) -> None:
        """Sleep some seconds."""
        (self._sleep or time.sleep)(pause)  # looked up now: tests replace it at any time

    def _call(self, method: str, path: str, deadline: float, data: bytes | None = None) -> Any:
        """Send one request; a token that has expired is replaced once."""
        __tracebackhide__ = True
        send = partial(self._send, method, path, deadline, data)
        try:
            return send()
        except AuthenticationError as error:
            if error.code != EXPIRED or not self._credential.renew():
                raise
        return send()

    def _send(self, method: str, path: str, deadline: float, data: bytes | None) -> Any:
        __tracebackhide__ = True
        seconds = max(1.0, min(REQUEST_TIMEOUT, deadline - self._monotonic()))
        reply = self._exchanger.exchange(method, self.url + path, seconds=seconds, auth=self._authorize, data=data)
        return read_answer(reply, self._exchanger.clean)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the key; as `auth`, since requests lets a .netrc file override a header."""
        request.headers["Authorization"] = Hidden("Bearer " + self._credential.bearer())
        return request
