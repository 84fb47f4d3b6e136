"""Who asks: a program, or a page of somebody else in a browser of this machine.

A page reaches whatever listens here, in two ways. It sends a request to another origin: then the browser names the page in `Origin`
(always with a POST) or in `Sec-Fetch-Site`. Or its own name is made to point to this machine after it was loaded (DNS rebinding):
then page and simulator are one origin for the browser, and only `Host` tells.

On the paths of the API a page is therefore refused by its origin, and as a page by a `Host` that is none of ours; a program may call
the simulator by any name (that of a container, of a proxy, of the service itself), since only browsers can be led here unawares.
An origin is compared by its host name there: a development server on another port of this machine passes the requests of its pages
on with their `Origin`. The control API, which no program has to call by a strange name, is stricter in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from klingkit.contract.addresses import is_loopback

from .outbound import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .settings import Settings


def refusal_for_api(environ: Mapping[str, Any], settings: Settings) -> str:
    """Return why a request for the API is refused; empty if it is not."""
    origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE", "none")
    if origin is None and site == "none":  # no page: a program, or a person who has typed the address
        return ""
    if "REMOTE_ADDR" not in environ:  # in this process, where nobody else can ask
        return ""
    if site == "cross-site" or (origin is not None and not _is_ours(_host_of(origin), settings)):
        return f"klingkit does not answer pages of another origin{_remedy(_host_of(origin or ''))}"
    host = _name(environ.get("HTTP_HOST", ""))
    return "" if _is_ours(host, settings) else f"klingkit does not answer a page as {host!r:.80}{_remedy(host)}"


def refusal_for_control(environ: Mapping[str, Any], settings: Settings) -> str:
    """Return why a request for the control API is refused; empty if it is not."""
    host, origin = _name(environ.get("HTTP_HOST", "")), environ.get("HTTP_ORIGIN")
    if not _is_ours(host, settings):
        return f"the control API does not answer as {host!r:.80}; --allow-host {host[:80] or 'HOST'} allows it"
    if environ.get("HTTP_SEC_FETCH_SITE") in {"cross-site", "same-site"} or (
        origin is not None and _netloc(origin) != environ.get("HTTP_HOST", "").lower()
    ):
        return "the control API does not answer pages of another origin"
    if environ.get("HTTP_USER_AGENT") == USER_AGENT:  # whoever creates a task chooses where its callbacks go
        return "the control API takes no callbacks"
    return ""


def _is_ours(host: str, settings: Settings) -> bool:
    public = _host_of(settings.public_url) if settings.public_url else ""
    return bool(host) and (is_loopback(host) or host in {settings.bound_host, public, *settings.allow_host})


def _remedy(host: str) -> str:
    return f"; --allow-host {host[:80]} allows it" if host else ""


def _host_of(url: str) -> str:
    return _name(_netloc(url))


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def _name(netloc: str) -> str:
    """Return the host of `HOST:PORT` in lower case; empty if it cannot be read."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""
