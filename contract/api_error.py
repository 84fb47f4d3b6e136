"""The refusal of a request, and the one place that turns it into an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .rule import ErrorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .rule import Rule


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer ready to be sent: HTTP status, and a JSON body or an HTML page."""

    http: int
    body: dict[str, Any] | str


class ApiError(Exception):
    """The service refuses a request: raise it anywhere below the HTTP layer, with a rule or a row of the catalogue.

    `details` fill the message of the rule (`value`, `limit`, ...).
    """

    def __init__(self, reason: Rule | ErrorSpec, **details: object) -> None:
        self.rule = None if isinstance(reason, ErrorSpec) else reason
        self.error = reason if isinstance(reason, ErrorSpec) else reason.require_error()
        self.message = reason.message if isinstance(reason, ErrorSpec) else reason.text(**details)
        super().__init__(self.message)


def render(
    error: ApiError,
    gateway: Mapping[str, str],
    *,
    request_id: str,
    gateway_request_id: str,
    path: str = "",
    at: datetime | None = None,
) -> Answer:
    """Put an error into the envelope that the contract names for it.

    `gateway` is `x-gateway` of the contract; `path` and time belong to the envelope `unrouted` alone. Envelopes: api-facts 6.1
    (Kling, no `data`) and 6.2 (the gateway's two, and the vendor's answer to an unrouted path).
    """
    spec = error.error
    if spec.envelope == "html":
        return Answer(spec.http, error.message)
    if spec.envelope == "unrouted":
        timestamp = at.isoformat(timespec="milliseconds") if at else ""
        named = {
            "timestamp": timestamp,
            "status": spec.http,
            "error": spec.code,
            "message": error.message,
            "path": path,
        }
        return Answer(spec.http, named)
    if spec.envelope == "task":
        return Answer(spec.http, {"code": spec.code, "message": error.message, "data": None})
    if spec.envelope == "gateway":
        message = error.message + gateway["messageSuffix"].format(gateway_request_id=gateway_request_id)
        return Answer(spec.http, {"error": {"message": message, "type": gateway["type"], "code": str(spec.code)}})
    return Answer(spec.http, {"code": spec.code, "message": error.message, "request_id": request_id})
