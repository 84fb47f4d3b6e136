"""A thin client of Kling's Multi-Image to Image API, for the simulator and the real service alike.

It is written from the documentation of the API alone and shares no code with the simulator: a second, independent reading.
"""

from .callbacks import parse_callback
from .client import KlingClient
from .errors import (
    AccountError,
    ApiError,
    AuthenticationError,
    CallbackSignatureError,
    ConnectError,
    InputError,
    InvalidRequestError,
    KlingError,
    PolicyError,
    RateLimitError,
    ServiceError,
    TaskExistsError,
    TaskFailedError,
    TransportError,
    UnexpectedAnswerError,
    UnknownFateError,
    UnknownTaskError,
    WaitTimeoutError,
)
from .task import BalanceDeduction, Task

__all__ = [
    "AccountError",
    "ApiError",
    "AuthenticationError",
    "BalanceDeduction",
    "CallbackSignatureError",
    "ConnectError",
    "InputError",
    "InvalidRequestError",
    "KlingClient",
    "KlingError",
    "PolicyError",
    "RateLimitError",
    "ServiceError",
    "Task",
    "TaskExistsError",
    "TaskFailedError",
    "TransportError",
    "UnexpectedAnswerError",
    "UnknownFateError",
    "UnknownTaskError",
    "WaitTimeoutError",
    "parse_callback",
]
