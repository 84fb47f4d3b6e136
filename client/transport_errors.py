"""What the errors of requests mean: above all, whether anything was sent."""

from __future__ import annotations

import ssl

import requests
import urllib3
from urllib3.exceptions import NewConnectionError

from .errors import ConnectError, TransportError

NO_HANDSHAKE = (
    "CERTIFICATE_VERIFY_FAILED",
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "UNEXPECTED_EOF_WHILE_READING",
)
"""What OpenSSL says when there was no handshake, so that nothing was sent."""


def transport_error(where: str, error: requests.RequestException) -> TransportError:
    """Return what to raise for a request to a URL that got no whole answer."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError):
        return ConnectError(f"{where}: no connection could be made; is the server running, and the address right?")
    tls = reason.args[0] if isinstance(reason, urllib3.exceptions.SSLError) and reason.args else None
    if isinstance(tls, ssl.SSLError) and tls.reason in NO_HANDSHAKE:
        return ConnectError(f"{where}: no TLS connection could be made ({tls.reason}); http:// or https://?")
    if isinstance(error, requests.Timeout):
        return TransportError(f"{where}: no answer in time")
    return TransportError(f"{where}: the connection broke off ({type(error).__name__})")
