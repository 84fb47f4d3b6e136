"""Where requests go: the base URL of a service, and the paths of its tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from .errors import InputError
from .reading import TASK_ID
from .request_body import is_unicode

if TYPE_CHECKING:
    from .hiding import Cleaner


def check_base_url(base_url: str, clean: Cleaner) -> None:
    """Raise InputError for what is not the URL of a service."""
    __tracebackhide__ = True
    shown = clean(base_url, 200)
    if not base_url.lower().startswith(("http://", "https://")):
        raise InputError(f"the base URL {shown!r} does not begin with http:// or https://")
    try:
        parts = urlsplit(base_url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError(f"the base URL {shown!r} is not the URL of a service")
    if parts.username is not None:
        raise InputError("leave user and password out of the base URL, since it is shown: the key is an argument")


def check_task_id(task_id: object) -> None:
    """Raise InputError for what cannot be a task id."""
    __tracebackhide__ = True
    if not isinstance(task_id, str) or not TASK_ID.fullmatch(task_id):
        raise InputError(f"{task_id!r:.60} is not a task id, which is a string of digits")


def segment_of(external_task_id: object) -> str:
    """Return an external_task_id as the last segment of a path. Raises InputError for one that no path can hold."""
    __tracebackhide__ = True
    usable = isinstance(external_task_id, str) and is_unicode(external_task_id)
    if not usable or "/" in str(external_task_id) or external_task_id in {"", ".", ".."}:
        raise InputError(f"a task with the external_task_id {external_task_id!r:.60} cannot be asked for by it")
    return quote(str(external_task_id), safe="")
