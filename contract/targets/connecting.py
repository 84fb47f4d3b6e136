"""Whether there was a connection at all; only then a request may have arrived."""

from __future__ import annotations


def never_connected(error: Exception) -> bool:
    """Tell whether an exchange of `requests` ended before it had a connection.

    By the type of what was raised: its text may be that of the service.
    """
    from urllib3.exceptions import NewConnectionError  # noqa: PLC0415 - only who sends something waits for it

    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", cause), NewConnectionError)
