"""Requests that the simulator sends: only to loopback and private addresses, or to hosts that were allowed by name.

The address is resolved once, checked, and connected to, so that a name cannot change its mind in between.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from klingkit.contract.addresses import is_private
from klingkit.contract.import_lock import importing

if TYPE_CHECKING:
    from collections.abc import Callable

    from urllib3 import BaseHTTPResponse, HTTPConnectionPool
    from urllib3.util.url import Url

MAX_REDIRECTS = 3


class NotAllowedError(Exception):
    """The URL cannot or must not be requested; trying again would not help."""


class OutboundError(Exception):
    """The request was allowed and failed."""


def host_and_path(url: str) -> str:
    """Return what of a URL can stand in a log: no user, password, query or control characters."""
    parts = _parse(url)
    return (
        f"{parts.scheme}://{parts.netloc}{parts.path or ''}"[:200]
        if parts and parts.scheme and parts.host
        else "(not a URL)"
    )


class Outbound:
    """Sends requests to allowed addresses; `option` is the one that allows a host, to be named in errors."""

    def __init__(
        self, allowed_hosts: frozenset[str], option: str, resolve: Callable[[str, int], list[str]] | None = None
    ) -> None:
        self._option = option
        self._allowed_hosts = {host.lower() for host in allowed_hosts}
        self._resolve = resolve or _resolve

    def post(self, url: str, body: bytes, headers: dict[str, str], *, timeout_ms: int) -> int:
        """Send a POST and return the HTTP status; redirects are not followed.

        Raises NotAllowedError and OutboundError.
        """
        response = self._send("POST", url, body, headers, timeout_ms)
        response.close()
        return int(response.status)

    def get(self, url: str, *, max_bytes: int, timeout_ms: int) -> bytes:
        """Fetch a file, following a few redirects, each of which must be allowed too.

        Raises NotAllowedError; OutboundError if the answer is not 2xx, is larger than `max_bytes` or takes too long.
        """
        for _ in range(MAX_REDIRECTS + 1):
            response = self._send("GET", url, None, {}, timeout_ms)
            try:
                if not (location := response.get_redirect_location()):
                    return _read(response, max_bytes)
            finally:
                response.close()
            url = urljoin(url, location)
        raise OutboundError("too many redirects")

    def _send(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str], timeout_ms: int
    ) -> BaseHTTPResponse:
        with importing:
            import urllib3  # noqa: PLC0415 - start-up does not wait for it

        parts = _parse(url)
        if parts is None or parts.scheme not in {"http", "https"} or not parts.host:
            raise NotAllowedError("it is not an http(s) URL")
        host = parts.host.strip("[]")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = self._allowed_address(host, port)
        timeout = urllib3.Timeout(total=timeout_ms / 1000)
        pool: HTTPConnectionPool = (
            urllib3.HTTPSConnectionPool(address, port, timeout=timeout, server_hostname=host, assert_hostname=host)
            if parts.scheme == "https"
            else urllib3.HTTPConnectionPool(address, port, timeout=timeout)
        )
        headers = {"Host": parts.netloc or host, "User-Agent": "klingkit", **headers}
        try:
            return pool.urlopen(
                method, parts.request_uri, body, headers, retries=False, redirect=False, preload_content=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise OutboundError(type(error).__name__) from error

    def _allowed_address(self, host: str, port: int) -> str:
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise OutboundError(f"host {host} is not known; if it is public, it needs {self._option}") from error
        if host.lower() in self._allowed_hosts:
            return addresses[0]
        for address in addresses:
            if is_private(address):
                return address
        raise NotAllowedError(f"host {host} is neither loopback nor private; {self._option} HOST allows a host")


def _resolve(host: str, port: int) -> list[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _parse(url: str) -> Url | None:
    with importing:
        from urllib3.exceptions import LocationParseError  # noqa: PLC0415
        from urllib3.util import parse_url  # noqa: PLC0415

    try:
        return parse_url(url)
    except LocationParseError:
        return None


def _read(response: BaseHTTPResponse, max_bytes: int) -> bytes:
    with importing:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

    if not 200 <= response.status < 300:
        raise OutboundError(f"HTTP status {response.status}")
    try:
        data = response.read(max_bytes + 1)
    except (HTTPError, OSError) as error:
        raise OutboundError(type(error).__name__) from error
    if len(data) > max_bytes:
        raise OutboundError(f"more than {max_bytes} bytes")
    return bytes(data)
