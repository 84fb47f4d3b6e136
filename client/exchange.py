"""One exchange: a request, and the whole of its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import requests
from urllib3.exceptions import HTTPError

from .deadline import Bounds, OverlongError, current
from .errors import UnexpectedAnswerError
from .transport_errors import transport_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from .hiding import Cleaner

    Authorize = Callable[[requests.PreparedRequest], requests.PreparedRequest]

MAX_ANSWER = 10 * 1024 * 1024
"""Bytes of an answer of the API."""
CHUNK = 64 * 1024
BROKEN = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError, OverflowError)
"""What requests, urllib3 and what is below them raise for whatever a service does, and for addresses that are none."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came, read whole; of the headers those that are used, fit to be shown."""

    status: int
    content: bytes = field(repr=False)
    content_type: str = ""
    location: str = ""
    request_id: str = ""
    retry_after: str = ""


class Exchanger:
    """Exchanges requests for replies, or for what the client raises: a request takes its time, and no more."""

    def __init__(self, session: requests.Session, clean: Cleaner, monotonic: Callable[[], float]) -> None:
        self.session = session
        self.clean = clean
        self._monotonic = monotonic

    def exchange(
        self,
        method: str,
        url: str,
        *,
        seconds: float,
        auth: Authorize,
        data: bytes | None = None,
        max_bytes: int = MAX_ANSWER,
    ) -> Reply:
        """Send a request, to this URL alone: redirects are not followed.

        Raises TransportError; InputError for a URL that is none; UnexpectedAnswerError for more than `max_bytes`.
        """
        __tracebackhide__ = True
        bounds = Bounds(seconds, max_bytes, self._monotonic)
        token = current.set(bounds)
        failure: BaseException
        try:
            return self._exchange(method, url, bounds, auth, data)
        except OverlongError:
            failure = UnexpectedAnswerError(
                f"{self.clean(url, 200)}: the answer is longer than {max_bytes / 1024 / 1024:g} MB"
            )
        except BROKEN as error:
            failure = transport_error(self.clean(url, 200), error)
        except BaseException as error:  # noqa: BLE001 - goes on below, without the frames in which the key stands
            failure = error.with_traceback(None)
        finally:
            current.reset(token)
        try:
            raise failure from None
        finally:
            del failure  # else it holds this frame, which holds it

    def _exchange(self, method: str, url: str, bounds: Bounds, auth: Authorize, data: bytes | None) -> Reply:
        headers = None if data is None else {"Content-Type": "application/json"}
        options: dict[str, Any] = {"allow_redirects": False, "stream": True, "timeout": bounds.left()}
        with self.session.request(method, url, data=data, headers=headers, auth=auth, **options) as response:
            content = bytearray()
            for chunk in response.iter_content(CHUNK):
                content += chunk
                bounds.left()
                if len(content) > bounds.max_bytes:
                    raise OverlongError
            header = response.headers.get
            return Reply(
                response.status_code,
                bytes(content),
                content_type=self.clean(header("Content-Type", "")),
                location=self.clean(header("Location", ""), 8000),
                request_id=self.clean(header("x-cometapi-request-id", "")),
                retry_after=self.clean(header("Retry-After", "")),
            )
