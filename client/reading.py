"""From what the service sends to the data and the task in it, or to the exception that it stands for."""

from __future__ import annotations

import json
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from .codes import Retry, meaning_of
from .errors import ApiError, KlingError, UnexpectedAnswerError
from .task import BalanceDeduction, Task

if TYPE_CHECKING:
    from .exchange import Reply
    from .hiding import Cleaner

TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What can be a task id. It becomes a part of paths and file names."""
MAX_PICTURES = 100
"""Of one task; the API makes 9 at most."""
LONGEST_ID = 10_000
"""Characters of an id that the submitter gave."""
LONGEST_URL = 8000
"""Characters."""


def read_answer(reply: Reply, clean: Cleaner) -> Any:
    """Return `data` of a successful answer.

    Reads Kling's envelope and both of the gateway's, with `code` as number or string, and a non-zero code under HTTP 200.
    Raises ApiError for a refusal and UnexpectedAnswerError for what is no answer of this API, HTML above all. `clean` makes
    every message fit to be shown.
    """
    __tracebackhide__ = True
    read = _read_answer(reply, clean)
    if isinstance(read, KlingError):
        raise read
    return read


def _read_answer(reply: Reply, clean: Cleaner) -> Any:
    """Return `data`, or what is to be raised: out here would be variables with all that the service has said."""
    status = reply.status
    body = parse_json(reply.content)
    if not isinstance(body, dict) and status >= 500:
        return _api_error(reply, f"the service failed with HTTP {status}", status, "")
    if not isinstance(body, dict) or _names_a_wrong_path(status, body):
        return UnexpectedAnswerError(_describe(reply, body, clean))
    if isinstance(error := body.get("error"), dict):
        return _api_error(reply, _message(error, clean), _code(error.get("code"), clean), "")
    code = _code(body.get("code", 0), clean)
    if code == 0 and status < 300 and "data" in body:
        return body["data"]
    if "code" not in body and status < 400:
        return UnexpectedAnswerError(f"HTTP {status} with JSON that is no answer of this API; check the base URL")
    return _api_error(reply, _message(body, clean), code, clean(body.get("request_id"), 200))


def parse_json(content: bytes | str) -> Any:
    """Return what JSON says; None if it is none, or nested too deeply to be read."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def read_tasks(data: Any, clean: Cleaner) -> list[Task]:
    """Read the tasks of a list's `data`. Raises UnexpectedAnswerError if it is none."""
    __tracebackhide__ = True
    if not isinstance(data, list):
        raise UnexpectedAnswerError("this is no list of tasks: it is not a JSON array")
    return [read_task(item, clean) for item in data]


def read_task(data: Any, clean: Cleaner, wanted: str | None = None) -> Task:
    """Read a task from an answer's `data` or a callback's body; `wanted` is the id that was asked for.

    Raises UnexpectedAnswerError if it is no task, or another.
    """
    __tracebackhide__ = True
    data = _read_task(data, clean)  # the same name, so that no frame shows what was said
    if not isinstance(data, Task):
        raise UnexpectedAnswerError(f"this is no task: {data}")
    if wanted is not None and data.task_id != wanted:
        raise UnexpectedAnswerError(f"this is task {data.task_id}, and not {wanted}, which was asked for")
    return data


def _read_task(data: Any, clean: Cleaner) -> Task | str:
    """Return a task, or why it is none."""
    if not isinstance(data, dict):
        return "it is not a JSON object"
    if missing := [name for name in ("task_id", "task_status") if name not in data]:
        return f"it has no {missing[0]}"
    given = data["task_id"]
    task_id = str(given) if type(given) in {str, int} else ""
    if not TASK_ID.fullmatch(task_id) or clean.hide(task_id) != task_id:
        return f"its id is {clean(given, 200)!r}"
    try:
        images = [image for image in _object(data.get("task_result")).get("images") or [] if image.get("url")]
        urls = [image["url"] for image in images]
        if len(urls) > MAX_PICTURES or max(map(len, urls), default=0) > LONGEST_URL:
            return "it has too many pictures, or too long a URL of one"
        marked = [_watermark_url(image, clean) for image in images]
        return Task(
            task_id=task_id,
            status=clean(_text(data["task_status"]), 200),
            image_urls=tuple(clean(url.strip(), None) for url in urls),
            message=clean(_text(data.get("task_status_msg") or "")),
            external_task_id=clean.beginning(
                str(_text(_object(data.get("task_info")).get("external_task_id") or "")), LONGEST_ID
            ),
            created_at=_milliseconds(data.get("created_at")),
            updated_at=_milliseconds(data.get("updated_at")),
            watermark_urls=tuple(marked) if any(marked) else (),
            final_unit_deduction=clean(data.get("final_unit_deduction"), 100),
            final_balance_deduction=_balance_deduction(data.get("final_balance_deduction"), clean),
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return "a field has another type than documented"


def _object(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise TypeError
    return value or {}


def _watermark_url(image: dict[str, Any], clean: Cleaner) -> str:
    url = image.get("watermark_url")
    return clean(url.strip(), None) if isinstance(url, str) and len(url) <= LONGEST_URL else ""


def _balance_deduction(value: Any, clean: Cleaner) -> BalanceDeduction | None:
    """Return what was taken; what is of another form than documented makes no task unreadable that was paid for."""
    if not isinstance(value, dict):
        return None
    return BalanceDeduction(clean(value.get("quota"), 100), clean(value.get("list_price"), 100))


def _text(value: Any) -> str | float:
    """Return a text, or a number that is to be one."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError
    return value


def _milliseconds(value: Any) -> int:
    number = int(value or 0)
    if not 0 <= number < 2**63:
        raise ValueError
    return number


def _api_error(reply: Reply, message: str, code: int | str, request_id: str) -> ApiError:
    meaning = meaning_of(code, reply.status, message)
    error = meaning.error(
        message,
        code=code,
        http_status=reply.status,
        request_id=request_id or reply.request_id,
        retryable=meaning.retry is not Retry.NOTHING,
    )
    error.retry_after = _retry_after(reply.retry_after)
    return error


def _names_a_wrong_path(status: int, body: dict[str, Any]) -> bool:
    """Tell whether this is how the vendor's own API answers on a path that it does not have."""
    return status == 404 and "code" not in body and isinstance(body.get("path"), str)


def _describe(reply: Reply, body: object, clean: Cleaner) -> str:
    if isinstance(body, dict):
        return f"HTTP 404: the service has no path {clean(body['path'], 200)!r}; check the base URL and the contract"
    if 300 <= reply.status < 400:
        return f"HTTP {reply.status}, a redirect; check the base URL and the path"
    if body is not None:
        return f"HTTP {reply.status} with JSON that is no object; check the base URL"
    kind = reply.content_type.partition(";")[0] or "no content type"
    return f"HTTP {reply.status} with {kind[:60]} instead of JSON; check the base URL and the path"


def _code(code: Any, clean: Cleaner) -> int | str:
    """Return Kling's code as a number however it was sent; the gateway's words stay words."""
    text = clean(code, 100)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _message(body: dict[str, Any], clean: Cleaner) -> str:
    return clean(body.get("message")) or "no message"


def _retry_after(value: str) -> float:
    """Return s; the header holds seconds or a date (RFC 9110)."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (
        ValueError,
        TypeError,
        IndexError,
        AttributeError,
        OverflowError,
        OSError,
    ):  # whatever a broken date leads to
        return 0.0
