"""Requests that the simulator sends: only to loopback and private addresses, or to hosts that were allowed by name.

The address is resolved once, checked, and connected to, so that a name cannot change its mind in between. A request has one
deadline for all of it. The simulator never sends one to itself: whoever may create a task could steer it so.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from contextlib import suppress
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from klingkit.contract.addresses import METADATA_NAMES, is_private, without_mapping
from klingkit.contract.import_lock import importing

from .deliveries import ANSWER_KEPT, Reply
from .task_bodies import PICTURE_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from urllib3 import BaseHTTPResponse
    from urllib3.util.url import Url

    from .limited_connections import Limits

MAX_REDIRECTS = 3
BODY_S = 0.25
"""For how long the beginning of the answer's body is waited for, of which only a person will see anything."""
HIDDEN = "?..."
"""In place of the query of a URL."""
USER_AGENT = "klingkit"
"""By which a control API knows a callback: it takes none, also not from another simulator."""


class _CausedError(Exception):
    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause
        """A key of `attempt_words.CAUSES`."""


class NotAllowedError(_CausedError):
    """The URL cannot or must not be requested; trying again would not help."""


class OutboundError(_CausedError):
    """The request was allowed and failed."""


def without_secrets(url: str) -> str:
    """Return `host_and_path` of a URL, with a sign that it goes on where it has a query, which may be a signature."""
    parts = _parse(url)
    return host_and_path(url) + HIDDEN * bool(parts and parts.query)


def host_and_path(url: str) -> str:
    """Return what of a URL can stand in a log: no user, password, query or control characters."""
    parts = _parse(url)
    return (
        f"{parts.scheme}://{parts.netloc}{parts.path or ''}"[:200]
        if parts and parts.scheme and parts.host
        else "(not a URL)"
    )


class Outbound:
    """Sends requests to allowed addresses; `option` is the one that allows a host, to be named in errors.

    `own_ports` are those on which this simulator listens itself, and one may come later; `own_url` leads to it too.
    """

    def __init__(
        self,
        allowed_hosts: frozenset[str],
        option: str,
        resolve: Callable[[str, int], list[str]] | None = None,
        *,
        own_ports: Collection[int] = (),
        own_url: str | None = None,
    ) -> None:
        self._option = option
        self._allowed_hosts = {host.lower() for host in allowed_hosts}
        self._resolve = resolve or _resolve
        self._own_ports = own_ports
        self._own = _host_and_port(own_url) if own_url else None

    def post(self, url: str, body: bytes, headers: dict[str, str], *, timeout_ms: int) -> Reply:
        """Send a POST and return the answer; redirects are not followed, and no more than the beginning of the body is read.

        Raises NotAllowedError; OutboundError, also when it takes longer than `timeout_ms`.
        """
        limits = _limits(timeout_ms, ANSWER_KEPT + 1)
        response = self._send("POST", url, body, headers, limits)
        try:
            limits.hasten(BODY_S)
            data, more = _beginning(response)
            given = tuple((name, str(value)) for name, value in response.headers.items())
            return Reply(int(response.status), given, data[:ANSWER_KEPT], more)
        finally:
            response.close()

    def get(self, url: str, *, max_bytes: int, timeout_ms: int) -> bytes:
        """Fetch a file, following a few redirects, each of which must be allowed too.

        Raises NotAllowedError; OutboundError if the answer is not 2xx, is larger than `max_bytes`, or all of it takes longer
        than `timeout_ms`.
        """
        limits = _limits(timeout_ms, max_bytes)
        for _ in range(MAX_REDIRECTS + 1):
            response = self._send("GET", url, None, {}, limits)
            try:
                if not (location := response.get_redirect_location()):
                    return _read(response, max_bytes)
            finally:
                response.close()
            try:
                url = urljoin(url, location)
            except ValueError as error:
                raise OutboundError("a redirect to no URL") from error
        raise OutboundError("too many redirects")

    def _send(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str], limits: Limits
    ) -> BaseHTTPResponse:
        with importing:
            from urllib3.exceptions import HTTPError  # noqa: PLC0415 - start-up does not wait for it

            from .limited_connections import pool  # noqa: PLC0415

        parts = _parse(url)
        if parts is None or not (target := _host_and_port(url)):
            raise NotAllowedError("it is not an http(s) URL", "no-url")
        host, port = target
        try:
            address = self._allowed_address(host, port, limits)
            own = target == self._own or (port in self._own_ports and _is_of_this_machine(address))
            if own and not _is_result(method, parts):
                raise NotAllowedError("it is this simulator, which sends nothing to itself", "itself")
            headers = {"Host": parts.netloc or host, "User-Agent": USER_AGENT, **headers}
            return pool(str(parts.scheme), host, address, port, limits).urlopen(
                method, parts.request_uri, body, headers, retries=False, redirect=False, preload_content=False
            )
        except (HTTPError, OSError) as error:
            raise OutboundError(type(error).__name__, _cause(error)) from error

    def _allowed_address(self, host: str, port: int, limits: Limits) -> str:
        refusal = NotAllowedError(
            f"host {host[:100]} is neither loopback nor private; {self._option} HOST allows a host", "not-allowed"
        )
        allowed = host in self._allowed_hosts
        if not allowed and host.rstrip(".") in METADATA_NAMES:
            raise refusal
        try:
            addresses = _within(limits.left(), lambda: self._resolve(host, port))
        except TimeoutError:
            raise
        except (OSError, UnicodeError) as error:
            text = f"host {host[:100]} is not known; if it is public, it needs {self._option}"
            raise OutboundError(text, "unknown-host") from error
        for address in addresses:
            if allowed or is_private(address):
                return address
        raise refusal


def _limits(timeout_ms: int, max_bytes: int) -> Limits:
    with importing:
        from .limited_connections import Limits  # noqa: PLC0415

    return Limits(timeout_ms, max_bytes)


def _within(seconds: float, resolve: Callable[[], list[str]]) -> list[str]:
    """Look a name up in a thread of its own, since nothing ends a lookup that hangs. Raises TimeoutError, and what it raises."""
    found: Future[list[str]] = Future()

    def look_up() -> None:
        try:
            found.set_result(resolve())
        except Exception as error:  # noqa: BLE001 - it is raised where somebody waits
            found.set_exception(error)

    threading.Thread(target=look_up, name="lookup", daemon=True).start()
    return found.result(seconds)


def _resolve(host: str, port: int) -> list[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _is_of_this_machine(address: str) -> bool:
    """Tell whether an IP address is one of this machine's: only those can be bound, and nothing is sent by that."""
    plain = without_mapping(address)
    try:
        with socket.socket(socket.AF_INET6 if ":" in plain else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((plain, 0))
    except OSError:
        return False
    return True


def _is_result(method: str, parts: Url) -> bool:
    """Tell whether a URL is that of a result picture, which may be the input of the next task, and steers nothing."""
    return method == "GET" and (parts.path or "").startswith(PICTURE_PATH.partition("{")[0])


def _host_and_port(url: str) -> tuple[str, int] | None:
    """Return where an http(s) URL leads, the host in lower case; None for any other."""
    parts = _parse(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.host:
        return None
    return parts.host.strip("[]").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def _parse(url: str) -> Url | None:
    with importing:
        from urllib3.exceptions import LocationParseError  # noqa: PLC0415
        from urllib3.util import parse_url  # noqa: PLC0415

    try:
        return parse_url(url)
    except LocationParseError:
        return None


def _cause(error: Exception) -> str:
    """Return for what `attempt_words.py` has words."""
    with importing:
        from urllib3 import exceptions  # noqa: PLC0415

    if isinstance(error, (exceptions.NewConnectionError, ConnectionRefusedError)):
        return "no-connection"
    if isinstance(error, (exceptions.TimeoutError, TimeoutError)):
        return "timeout"
    if isinstance(error, exceptions.SSLError):
        return "tls"
    return "no-http"


def _beginning(response: BaseHTTPResponse) -> tuple[bytes, bool]:
    """Return what comes at once of a body, undecoded, up to one byte more than is kept; and whether there was more."""
    with importing:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

    data = b""
    with suppress(HTTPError, HTTPException, OSError, ValueError):
        while len(data) <= ANSWER_KEPT:
            chunk = response.read1(ANSWER_KEPT + 1 - len(data), decode_content=False)
            if not chunk:
                return data, False
            data += chunk
    return data, True


def _read(response: BaseHTTPResponse, max_bytes: int) -> bytes:
    with importing:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

    if not 200 <= response.status < 300:
        raise OutboundError(f"HTTP status {response.status}")
    try:
        data = response.read(max_bytes + 1)
    except (HTTPError, HTTPException, OSError, ValueError) as error:
        raise OutboundError(type(error).__name__) from error
    if len(data) > max_bytes:
        raise OutboundError(f"more than {max_bytes} bytes")
    return bytes(data)
