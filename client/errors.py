"""What can go wrong, as one tree.

KlingError
|-- InputError                 an argument is wrong; nothing was sent (a ValueError too)
|-- ApiError                   the service refused: code, message, request_id, http_status, retryable
|   |-- AuthenticationError    the key
|   |-- AccountError           balance, quota, permission
|   |-- InvalidRequestError    a rule of the API is broken; every other 4xx too
|   |   `-- UnknownTaskError   no task of this account has that id
|   |-- PolicyError            a policy
|   |-- RateLimitError         too many requests or tasks
|   `-- ServiceError           the service failed
|-- UnexpectedAnswerError      no answer of this API: a page, no JSON, a missing field, another task, too much
|-- TransportError             the exchange broke off: reset, timeout, a body that cannot be read
|   `-- ConnectError           no connection was made, so nothing was sent
|-- UnknownFateError           a create broke off: the task may exist and cost money
|   `-- TaskExistsError        it exists: its external_task_id is taken
|-- TaskFailedError            the task ended as failed: task
|-- WaitTimeoutError           the task did not end in time: task
`-- CallbackSignatureError     a callback was not signed with the secret

Which code of the API becomes which ApiError stands in `codes.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .task import Task


class KlingError(Exception):
    """Base of every error of this client."""


class InputError(KlingError, ValueError):
    """An argument is wrong; nothing was sent."""


class ApiError(KlingError):
    """The service refused the request.

    `code` is Kling's number or the gateway's word, `request_id` is for the vendor's support (empty if there was none),
    `retryable` tells whether the same request may succeed later, `retry_after` how many seconds the service asked to wait.
    """

    retry_after: float = 0.0

    def __init__(self, message: str, *, code: int | str, http_status: int, request_id: str, retryable: bool) -> None:
        super().__init__(f"{message} (HTTP {http_status}, code {code!r})")
        self.message = message
        self.code = code
        self.http_status = http_status
        self.request_id = request_id
        self.retryable = retryable


class AuthenticationError(ApiError):
    """The key is missing, unknown, disabled or expired."""


class AccountError(ApiError):
    """The account may not: no balance, no quota, no permission. Trying again does not help."""


class InvalidRequestError(ApiError):
    """The request breaks a rule of the API."""


class UnknownTaskError(InvalidRequestError):
    """No task of this account has the id that was asked for; its record may have expired."""


class PolicyError(ApiError):
    """The request was blocked by a policy."""


class RateLimitError(ApiError):
    """Too many requests, or too many tasks at a time."""


class ServiceError(ApiError):
    """The service failed."""


class UnexpectedAnswerError(KlingError):
    """The answer is none of this API; probably the base URL or the path is wrong."""


class TransportError(KlingError):
    """The exchange broke off."""


class ConnectError(TransportError):
    """No connection was made, so nothing was sent."""


class UnknownFateError(KlingError):
    """A create broke off after it was sent: the task may exist and cost money, and its id is not known."""


class TaskExistsError(UnknownFateError):
    """A create that broke off was repeated, and its external_task_id is taken: the task exists, nothing was paid twice."""


class TaskFailedError(KlingError):
    """The task ended as failed; `task.message` is the reason."""

    def __init__(self, task: Task) -> None:
        super().__init__(f"task {task.task_id} failed: {task.message or 'the service gave no reason'}")
        self.task = task


class WaitTimeoutError(KlingError):
    """The task did not end in time; it goes on, and can be waited for again. `task` is as last seen, None if never."""

    def __init__(self, task_id: str, timeout: float, task: Task | None, error: KlingError | None = None) -> None:
        status = task.status if task else "never seen"
        last = f"; the last query failed: {error}" if error else ""
        super().__init__(f"task {task_id} did not end within {timeout:g} s (last status: {status}{last})")
        self.task_id = task_id
        self.task = task


class CallbackSignatureError(KlingError):
    """A callback is not signed with the secret, or too old."""
