"""Result pictures, as their host serves them: without the key, and within a size."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin

from .errors import InputError, InvalidRequestError, ServiceError, UnexpectedAnswerError

if TYPE_CHECKING:
    import requests

    from .exchange import Exchanger

MAX_PICTURE = 100 * 1024 * 1024
"""Bytes of a picture, if nothing else is said."""
SECONDS = 300.0
"""For one picture, however slowly it comes."""
MAX_REDIRECTS = 5


def download(exchanger: Exchanger, url: str, max_bytes: int = MAX_PICTURE) -> bytes:
    """Return the bytes at a URL, or where that leads.

    Raises TransportError; ServiceError and InvalidRequestError for what the host refuses; UnexpectedAnswerError for a URL that
    is none, too many redirects, and more than `max_bytes`.
    """
    __tracebackhide__ = True
    for _ in range(MAX_REDIRECTS + 1):
        shown = exchanger.clean(url, 200)
        if not url.lower().startswith(("http://", "https://")):
            raise UnexpectedAnswerError(f"{shown!r} is not the http(s) URL of a picture")
        try:
            reply = exchanger.exchange("GET", url, seconds=SECONDS, auth=as_it_is, max_bytes=max_bytes)
            problem = ""
        except InputError as error:
            problem = str(error)
        if problem:
            raise UnexpectedAnswerError(problem)
        if reply.status == 200:
            return reply.content
        if not (reply.location and reply.status in {301, 302, 303, 307, 308}):
            raise _refused(shown, reply.status)
        url = _joined(url, reply.location)
    raise UnexpectedAnswerError(f"{shown}: more than {MAX_REDIRECTS} redirects")


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no key, and none of a .netrc file."""
    return request


def _refused(shown: str, status: int) -> ServiceError | InvalidRequestError:
    """Return what the status of a host means that is none of the API's."""
    expired = "; results expire after 30 days" if status == 403 else ""
    family = ServiceError if status >= 500 else InvalidRequestError
    return family(
        f"{shown}: the picture was not served{expired}",
        code=status,
        http_status=status,
        request_id="",
        retryable=status >= 500,
    )
