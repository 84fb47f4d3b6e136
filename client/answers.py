"""From an HTTP answer to the data in it, or to the exception that it stands for."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from .errors import (
    AccountError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    PolicyError,
    RateLimitError,
    ServiceError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    import requests

FAMILIES: tuple[tuple[range, type[ApiError]], ...] = (
    (range(1000, 1005), AuthenticationError),
    (range(1100, 1104), AccountError),
    (range(1200, 1204), InvalidRequestError),
    (range(1302, 1304), RateLimitError),
    (range(1300, 1305), PolicyError),
    (range(5000, 5003), ServiceError),
)
BY_STATUS: dict[int, type[ApiError]] = {401: AuthenticationError, 403: AccountError, 429: RateLimitError}
RATE_CODES = (1302, 1303)


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


def _api_error(response: requests.Response, message: str, code: int | str, request_id: str) -> ApiError:
    status = response.status_code
    family = next((error for codes, error in FAMILIES if code in codes), None)
    if family is None:
        family = ServiceError if status >= 500 else BY_STATUS.get(status, InvalidRequestError)
    error = family(
        message,
        code=code,
        http_status=status,
        request_id=request_id or response.headers.get("x-cometapi-request-id", ""),
        retryable=code in RATE_CODES or family is ServiceError,
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
