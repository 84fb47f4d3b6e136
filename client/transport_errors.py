"""What the errors of requests mean: above all, whether anything was sent."""

from __future__ import annotations

import ssl

import requests
from urllib3.exceptions import LocationValueError, NewConnectionError, ReadTimeoutError, SSLError

from .errors import ConnectError, InputError, KlingError, TransportError

NO_HANDSHAKE = (
    "CERTIFICATE_VERIFY_FAILED",
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "UNEXPECTED_EOF_WHILE_READING",
)
"""What OpenSSL says when there was no handshake, so that nothing was sent."""

NO_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    LocationValueError,
    UnicodeError,  # a host name that cannot be one
    OverflowError,  # a port
)
"""What is raised for a URL to which nothing can be sent."""


def transport_error(where: str, error: Exception) -> KlingError:
    """Return what to raise for a request to a URL that got no whole answer."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    if isinstance(error, NO_URL):
        return InputError(f"{where}: nothing can be asked of this URL")
    if isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError):
        return ConnectError(f"{where}: no connection could be made; is the server running, and the address right?")
    tls = reason.args[0] if isinstance(reason, SSLError) and reason.args else None
    if isinstance(tls, ssl.SSLError) and tls.reason in NO_HANDSHAKE:
        return ConnectError(f"{where}: no TLS connection could be made ({tls.reason}); http:// or https://?")
    if isinstance(error, (requests.Timeout, TimeoutError)) or isinstance(cause, ReadTimeoutError):
        return TransportError(f"{where}: no answer in time")
    return TransportError(f"{where}: the connection broke off ({type(error).__name__})")
