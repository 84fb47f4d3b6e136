"""Who may see and steer the simulator: the guard of the control API and of its page. Knows a request by its WSGI environ."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from ..foreign_pages import refusal_for_control
from .asking import ControlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..settings import Settings

PREFIX = "/_mock"
"""What is not of the API that is simulated lies below it."""
METRICS_PATH = f"{PREFIX}/metrics"


class TokenMissingError(ControlError):
    """The control token did not come with the request."""


def guard(environ: Mapping[str, Any], settings: Settings, cookies: Mapping[str, str] | None = None) -> None:
    """Let a request pass that may see and steer, by the token or by its cookie.

    Raises ControlError for pages of another origin and what a simulator sends, TokenMissingError for whoever has no token.
    """
    if refusal := refusal_for_control(environ, settings):
        raise ControlError(refusal, 403)
    token = settings.control_token
    if not token:
        return
    name, value = cookie_of(token)
    if _is((cookies or {}).get(name, ""), value):
        return
    given = environ.get("HTTP_KLINGKIT_TOKEN", "")
    if (
        environ["PATH_INFO"] == METRICS_PATH and not given
    ):  # what scrapes can send a bearer, and often no header of ours
        given = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
    if not _is(given, token):
        raise TokenMissingError("the control API wants its token in the header Klingkit-Token", 403)


def cookie_for(given: str, settings: Settings) -> tuple[str, str] | None:
    """Return name and value of the cookie for the token that was typed; None if that is wrong, or none is wanted."""
    token = settings.control_token
    return cookie_of(token) if token and _is(given, token) else None


def cookie_of(token: str) -> tuple[str, str]:
    """Return what stands in a browser for a token: it tells nobody the token.

    Cookies know no ports: two servers of one machine would take each other's away if the name were the same.
    """
    digest = hmac.new(token.encode(), b"the page of klingkit", hashlib.sha256).hexdigest()
    return f"klingkit-{digest[:8]}", digest[8:]


def _is(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())
