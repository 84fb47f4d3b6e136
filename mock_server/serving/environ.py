"""The WSGI environ of a request, from what httptools has read."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import httptools

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SAME: dict[str, Any] = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}
"""In the environ of every request."""
NAMES = {"HTTP_CONTENT_TYPE": "CONTENT_TYPE", "HTTP_CONTENT_LENGTH": "CONTENT_LENGTH"}
LONGEST_KEPT = 100
"""Characters of the name of a header that is kept in mind, of which there are 1000."""


def environ_of(connection: HttpToolsProtocol) -> dict[str, Any]:
    """Return the environ of the request whose head has come, without its body (PEP 3333)."""
    host, port = connection.server or ("", 0)
    path, query = _parts(connection.url)
    environ: dict[str, Any] = {
        **SAME,
        "REQUEST_METHOD": connection.parser.get_method().decode(),
        "PATH_INFO": (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{connection.parser.get_http_version()}",
        "REMOTE_ADDR": connection.client[0] if connection.client else "",
        "wsgi.url_scheme": connection.scheme,
        "wsgi.errors": sys.stderr,
    }
    for name, value in connection.headers:
        if b"_" in name:  # it would stand for the one with hyphens, which others in front have read and judged
            continue
        key = _variable(name) if len(name) <= LONGEST_KEPT else _variable.__wrapped__(name)
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ


def _parts(url: bytes) -> tuple[bytes, bytes]:
    """Return path and query of what a request names."""
    if url[:1] == b"/" and b"#" not in url:  # as nearly always
        path, _, query = url.partition(b"?")
        return path, query
    parsed = httptools.parse_url(url)
    return parsed.path or b"", parsed.query or b""


@lru_cache(1000)
def _variable(name: bytes) -> str:
    """Return the name that a header has in an environ."""
    variable = f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}"
    return NAMES.get(variable, variable)
