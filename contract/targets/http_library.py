"""What `requests` needs to be told, and what its errors mean. Only who sends something waits for its import."""

from __future__ import annotations

from http.client import HTTPException

from ..import_lock import importing

with importing:
    import requests
    from requests import exceptions
    from urllib3.exceptions import HTTPError, LocationValueError, NewConnectionError

ERRORS = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)
"""What an exchange can raise, as long as nothing is wrong here."""
UNASKED = (
    exceptions.MissingSchema,
    exceptions.InvalidSchema,
    exceptions.InvalidURL,
    LocationValueError,  # this and the next: a host that no name server can be asked for
    UnicodeError,
)


class Session(requests.Session):
    """A session that follows no redirect."""

    def get_redirect_target(self, _: requests.Response) -> None:
        """Say that there is none: looking for one reads the body to its end, however long it is."""


def why_none(error: Exception, timeout: float) -> tuple[str, bool]:
    """Say in words why there was no answer, and whether the request may have arrived; in doubt it has."""
    if isinstance(error, exceptions.SSLError):
        return "no TLS connection, or a certificate that is not trusted", True
    if isinstance(error, (exceptions.ConnectionError, exceptions.ChunkedEncodingError)):
        # If there was no connection, nothing has arrived; requests has one class for that and for one that breaks off.
        refused = never_connected(error)
        return "nothing answers there" if refused else "the connection broke off", not refused
    if isinstance(error, exceptions.Timeout):
        return f"no answer within {timeout:g} s", True
    if isinstance(error, exceptions.ContentDecodingError):
        return "a body that is not encoded as its Content-Encoding says", True
    if isinstance(error, UNASKED):
        return "its URL is none that can be asked", True
    return "what answers does not speak HTTP", True


def never_connected(error: Exception) -> bool:
    """Tell whether an exchange ended before it had a connection: by what was raised, since its text may be the service's."""
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", cause), NewConnectionError)
