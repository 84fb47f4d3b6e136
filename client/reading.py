"""From what the service sends to the data and the task in it, or to the exception that it stands for."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from .codes import Retry, meaning_of
from .errors import ApiError, UnexpectedAnswerError
from .task import Task

if TYPE_CHECKING:
    import requests


def read_answer(response: requests.Response, key: str) -> Any:
    """Return `data` of a successful answer.

    Reads Kling's envelope and both of the gateway's, with `code` as number or string, and a non-zero code under HTTP 200.
    Raises ApiError for a refusal and UnexpectedAnswerError for what is no answer of this API, HTML above all. `key` is cut
    out of every message.
    """
    status = response.status_code
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        if status >= 500:
            raise _api_error(response, f"the service failed with HTTP {status}", status, "")
        raise UnexpectedAnswerError(_describe(response, body))
    if isinstance(error := body.get("error"), dict):
        code = error.get("code")
        raise _api_error(response, _text(error.get("message"), key), _number(code), "")
    code = _number(body.get("code", 0))
    if code == 0 and status < 300 and "data" in body:
        return body["data"]
    if "code" not in body and status < 400:
        raise UnexpectedAnswerError(f"HTTP {status} with JSON that is no answer of this API; check the base URL")
    raise _api_error(response, _text(body.get("message"), key), code, str(body.get("request_id") or ""))


def read_task(data: Any) -> Task:
    """Read a task from an answer's `data` or a callback's body.

    Raises UnexpectedAnswerError if it is no task.
    """
    if not isinstance(data, dict):
        raise UnexpectedAnswerError("this is no task: it is not a JSON object")
    if missing := [name for name in ("task_id", "task_status") if name not in data]:
        raise UnexpectedAnswerError(f"this is no task: it has no {missing[0]}")
    try:
        images = (data.get("task_result") or {}).get("images") or []
        return Task(
            task_id=str(data["task_id"]),
            status=str(data["task_status"]),
            image_urls=tuple(str(image["url"]) for image in images if image.get("url")),
            message=str(data.get("task_status_msg") or ""),
            external_task_id=str((data.get("task_info") or {}).get("external_task_id") or ""),
            created_at=int(data.get("created_at") or 0),
            updated_at=int(data.get("updated_at") or 0),
        )
    except (AttributeError, TypeError, ValueError):
        raise UnexpectedAnswerError("this is no task: a field has another type than documented") from None


def _api_error(response: requests.Response, message: str, code: int | str, request_id: str) -> ApiError:
    status = response.status_code
    meaning = meaning_of(code, status)
    error = meaning.error(
        message,
        code=code,
        http_status=status,
        request_id=request_id or response.headers.get("x-cometapi-request-id", ""),
        retryable=meaning.retry is not Retry.NOTHING,
    )
    error.retry_after = _retry_after(response.headers.get("Retry-After", ""))
    return error


def _describe(response: requests.Response, body: object) -> str:
    status = response.status_code
    if 300 <= status < 400:
        return f"HTTP {status}, a redirect; check the base URL and the path"
    if body is not None:
        return f"HTTP {status} with JSON that is no object; check the base URL"
    kind = response.headers.get("Content-Type", "no content type").partition(";")[0]
    return f"HTTP {status} with {kind[:60]} instead of JSON; check the base URL and the path"


def _number(code: Any) -> int | str:
    """Return Kling's code as a number however it was sent; the gateway's words stay words."""
    text = str(code)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _text(message: Any, key: str) -> str:
    return str(message or "no message").replace(key, "***")[:2000]


def _retry_after(value: str) -> float:
    """Return s; the header holds seconds or a date (RFC 9110)."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0
