"""Where cases are sent: one request, one reply. `HttpTarget` is a service at a URL."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from ..addresses import is_loopback
from ..printable import printable
from ..strict_json import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import requests

    from .callback_receiver import Received
    from .http_library import Session

ANY_KEY = "any"
"""For a service that takes every key."""
TIMEOUT_S = 30.0
"""For one whole exchange with a service."""
LOCAL_TIMEOUT_S = 10.0
"""The same on this machine."""
SHORTEST_SECRET = 8
"""Characters; a shorter key, such as the `any` of an open simulator, is no secret."""
HIDDEN = "(the key)"
MAX_KEPT = 1024 * 1024
"""Bytes of an answer that are judged, and kept while a run lasts; of a longer one only so many are."""
MAX_PICTURE = 32 * 1024 * 1024
"""Bytes of a picture, which is kept whole while it is looked at."""
USUAL = 16 * 1024
"""Bytes of an answer that always may be kept."""
ROOM = 16 * 1024 * 1024
"""Bytes for what all the answers of a target have beyond USUAL each."""
READ_AT_ONCE = 64 * 1024
MAX_HEADER = 2000
"""Characters of a header that are kept."""
STATUSES = range(200, 600)
"""What a service can answer for good."""


class NoAnswerError(Exception):
    """A target gave no whole answer; the message says why, in a few words."""

    def __init__(self, why: str, *, arrived: bool = True) -> None:
        super().__init__(why)
        self.arrived = arrived
        """Whether the request may have come to the service, which may then have carried it out."""


@dataclass(frozen=True)
class Request:
    """An HTTP request. `{key}` in `authorization` stands for the key, which is never part of a case."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    """A JSON object, or None for a request without one."""
    raw: bytes | None = None
    """The bytes of a body that `body` cannot express; they win."""
    content_type: str | None = None
    authorization: str | None = "Bearer {key}"

    @cached_property
    def data(self) -> bytes:
        """The bytes of the body."""
        if self.raw is not None:
            return self.raw
        return b"" if self.body is None else json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers, with a key."""
        headers = {"Content-Type": self.content_type} if self.content_type else {}
        if self.authorization is not None:
            headers["Authorization"] = self.authorization.replace("{key}", key)
        return headers


@dataclass(frozen=True)
class Reply:
    """What a target answered."""

    http: int
    headers: Mapping[str, str]
    """Their names are in lower case."""
    content: bytes = field(repr=False)
    more: bool = False
    """Whether the body was longer than what of it is kept."""
    seconds: float = 0.0
    """How long the exchange took, by the clock of the target."""

    @cached_property
    def body(self) -> Any:
        """The JSON of the body; None if it is none."""
        try:
            return None if self.more else read_json(self.content)
        except ValueError:
            return None

    @property
    def data(self) -> dict[str, Any]:
        """`data` of a success; empty if there is none."""
        data = self.body.get("data") if isinstance(self.body, dict) else None
        return data if isinstance(data, dict) else {}


def without(secrets: Iterable[str | None], reply: Reply) -> Reply:
    """Return a reply in which nothing stands that is secret, though a service may have repeated it."""
    content, headers = reply.content, dict(reply.headers)
    for secret in secrets:
        if secret and len(secret) >= SHORTEST_SECRET:
            content = content.replace(secret.encode(), HIDDEN.encode())
            headers = {name: value.replace(secret, HIDDEN) for name, value in headers.items()}
    return (
        reply
        if content == reply.content and headers == reply.headers
        else replace(reply, headers=headers, content=content)
    )


class Target(Protocol):
    """Answers requests. `klingkit.mock_server.serving.in_process` has one without a socket."""

    name: str
    key: str
    """What it is asked with if nothing else is said."""
    local: bool
    """On this machine, so that nothing costs money."""
    parallel: int
    """Requests at a time."""
    callback_url: str | None
    """Where the target can call back to; None if it cannot."""
    received: list[Received]
    """The callbacks that came there."""

    def send(self, request: Request, key: str | None = None) -> Reply:
        """Return the reply; without a key the target takes its own. Raises NoAnswerError."""
        ...

    def fetch(self, url: str) -> Reply:
        """Get a result picture, without the key. Raises NoAnswerError."""
        ...

    def now(self) -> float:
        """Time in s from any fixed moment."""
        ...

    def wait(self, seconds: float) -> None:
        """Let so much time go by."""
        ...


class HttpTarget:
    """A service at a URL. Redirects are not followed; an exchange takes `timeout` s at most, however slowly bytes drip.

    What is kept of its answers is bounded: each by MAX_KEPT, all together by ROOM besides USUAL for each; a picture by MAX_PICTURE.
    Proxies and certificates come from the environment, as `requests` reads it, except for this machine.
    """

    def __init__(self, url: str, key: str = ANY_KEY, *, timeout: float | None = None) -> None:
        self.key = key
        self.url = url.rstrip("/")
        self.name = self.url
        self.local = is_local(url)
        self.parallel = 8 if self.local else 4
        self.callback_url: str | None = None
        self.received: list[Received] = []
        self._timeout = timeout or (LOCAL_TIMEOUT_S if self.local else TIMEOUT_S)
        self._sessions = threading.local()
        self._room = ROOM  # that two threads take of it at once matters little

    def send(self, request: Request, key: str | None = None) -> Reply:
        """Send a request to the service."""
        __tracebackhide__ = True  # pytest would show the key among the variables
        headers = request.headers(key or self.key)

        def authorize(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
            prepared.headers.update(headers)  # as `auth`, since requests lets a .netrc file win over a header
            return prepared

        return self._exchange(request.method, self.url + request.path, request.data or None, authorize, 0)

    def fetch(self, url: str) -> Reply:
        """Get a result picture, without the key."""
        __tracebackhide__ = True
        return self._exchange("GET", url, None, lambda prepared: prepared, MAX_PICTURE)

    def now(self) -> float:
        """Time of the machine in s."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def _exchange(self, method: str, url: str, data: bytes | None, auth: Callable[..., Any], most: int) -> Reply:
        """Exchange in a thread that is left behind when the time is up: no timeout of a socket covers a drip.

        Of a picture `most` bytes are kept; 0 stands for what an answer may have.
        """
        __tracebackhide__ = True
        outcome: list[Reply | NoAnswerError] = []
        session = self._session()
        started = self.now()

        def ask() -> requests.Response:
            return session.request(
                method, url, data=data, auth=auth, timeout=self._timeout, allow_redirects=False, stream=True
            )

        thread = threading.Thread(target=lambda: outcome.append(self._answer(ask, most)), daemon=True)
        thread.start()
        thread.join(self._timeout)
        if not outcome:
            self._sessions.session = None
            raise NoAnswerError(f"no whole answer within {self._timeout:g} s")
        if isinstance(outcome[0], NoAnswerError):
            raise outcome[0]
        return replace(outcome[0], seconds=self.now() - started)

    def _answer(self, ask: Callable[[], requests.Response], most: int) -> Reply | NoAnswerError:
        from .http_library import ERRORS, why_none  # noqa: PLC0415 - only who sends something waits for it

        try:
            with ask() as response:
                if response.status_code not in STATUSES:
                    return NoAnswerError(f"the status {response.status_code}, which HTTP does not have")
                return self._read(response, most)
        except ERRORS as error:
            words, arrived = why_none(error, self._timeout)
            return NoAnswerError(words, arrived=arrived)

    def _read(self, response: requests.Response, picture: int) -> Reply | NoAnswerError:
        """Read an answer as far as it is kept; a picture of so many bytes is read whole or not at all."""
        end = time.monotonic() + self._timeout
        most = picture or (MAX_KEPT if self._room > 0 else USUAL)
        kept, size = bytearray(), 0
        for chunk in response.iter_content(READ_AT_ONCE):
            size += len(chunk)
            kept += chunk[: most - len(kept)]
            if size > most or time.monotonic() > end:  # after the end nobody waits for it
                break
        if size > picture > 0:
            return NoAnswerError(f"a picture of more than {picture // 1024**2} MB")
        if not picture:
            self._room -= max(0, len(kept) - USUAL)
        headers = {name.lower(): printable(value[:MAX_HEADER]) for name, value in response.headers.items()}
        return Reply(response.status_code, headers, bytes(kept), more=size > len(kept))

    def _session(self) -> Session:
        """Return the session of this thread."""
        from .http_library import Session  # noqa: PLC0415

        session: Session | None = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = Session()
            session.trust_env = not self.local
        return session


def is_local(url: str) -> bool:
    """Tell whether a URL is of this machine."""
    return is_loopback(urlsplit(url).hostname or "")
