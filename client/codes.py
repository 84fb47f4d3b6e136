"""What each code of the API means: the exception that it becomes, and whether to try again."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from .errors import (
    AccountError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    PolicyError,
    RateLimitError,
    ServiceError,
    UnknownTaskError,
)


class Retry(Enum):
    """What may be sent again."""

    NOTHING = "nothing"
    """The same request would be refused again."""
    QUERIES = "queries"
    """It may succeed later, but a create may have been carried out."""
    ANYTHING = "anything"
    """It may succeed later, and a create has surely made nothing."""


class Meaning(NamedTuple):
    """What a refusal means."""

    error: type[ApiError]
    retry: Retry = Retry.NOTHING


CODES: dict[int | str, Meaning] = {
    1000: Meaning(AuthenticationError),
    1001: Meaning(AuthenticationError),
    1002: Meaning(AuthenticationError),
    1003: Meaning(AuthenticationError),
    1004: Meaning(AuthenticationError),
    1100: Meaning(AccountError),
    1101: Meaning(AccountError),
    1102: Meaning(AccountError),
    1103: Meaning(AccountError),
    1200: Meaning(InvalidRequestError),
    1201: Meaning(InvalidRequestError),
    1202: Meaning(InvalidRequestError),
    1203: Meaning(InvalidRequestError),
    1300: Meaning(PolicyError),
    1301: Meaning(PolicyError),
    1302: Meaning(RateLimitError, Retry.ANYTHING),
    1303: Meaning(RateLimitError, Retry.ANYTHING),
    1304: Meaning(PolicyError),
    5000: Meaning(ServiceError, Retry.QUERIES),
    5001: Meaning(ServiceError, Retry.ANYTHING),
    5002: Meaning(ServiceError, Retry.QUERIES),
    "task_not_exist": Meaning(UnknownTaskError),
}
STATUSES = {401: Meaning(AuthenticationError), 403: Meaning(AccountError), 429: Meaning(RateLimitError)}
"""What a status below 500 means where the code says nothing, as with the words of the gateway."""


UNKNOWN_TASK = "task not found by id"
"""How the vendor's own API begins to say that there is no such task, under the code of any illegal value."""


def meaning_of(code: int | str, http_status: int, message: str = "") -> Meaning:
    """Return what a refusal means: by its code, else by its status."""
    if code == 1201 and message.lower().startswith(UNKNOWN_TASK):
        return Meaning(UnknownTaskError)
    if code in CODES:
        return CODES[code]
    if http_status >= 500:
        return Meaning(ServiceError, Retry.QUERIES)
    return STATUSES.get(http_status, Meaning(InvalidRequestError))
