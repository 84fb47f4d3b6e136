"""Call the simulator's WSGI application without a socket: one request, and all of its answer."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from werkzeug.test import EnvironBuilder, run_wsgi_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIApplication


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
