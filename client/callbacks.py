"""Callbacks, as the service posts them to `callback_url`."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from .errors import CallbackSignatureError, InputError, UnexpectedAnswerError
from .hiding import Cleaner, Hidden, one_line
from .reading import parse_json, read_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .task import Task

MAX_CALLBACK = 10 * 1024 * 1024
"""Bytes or characters of a body."""


def parse_callback(body: bytes | str, headers: Mapping[str, str], secret: str | None = None) -> Task:
    """Return the task that a callback describes, the same as a query would.

    With a `secret` (`whsec_...`) the Standard Webhooks signature is verified first: what is not signed with it, or is more than
    300 s off, raises CallbackSignatureError. Raises UnexpectedAnswerError if the body is no task. Expect callbacks twice, late,
    or not at all, and query the task in doubt.
    """
    __tracebackhide__ = True
    secret = secret if secret is None else Hidden(secret)
    if len(body) > MAX_CALLBACK:
        raise UnexpectedAnswerError(f"the callback's body is longer than {MAX_CALLBACK // 1024 // 1024} MB")
    if secret is not None:
        _verify(body, headers, secret)
    said = parse_json(body)
    if said is None:
        raise UnexpectedAnswerError("the callback's body is not JSON")
    key = Hidden((secret or "").removeprefix("whsec_"))
    return read_task(said, Cleaner(lambda: (key,)))


def _verify(body: bytes | str, headers: Mapping[str, Any], secret: str) -> None:
    from standardwebhooks import Webhook, WebhookVerificationError  # noqa: PLC0415 - only signed callbacks need it

    __tracebackhide__ = True
    webhook = Webhook(decode_secret(secret))
    texts = {str(name): _header(value) for name, value in headers.items()}
    try:
        webhook.verify(body, texts, json_parse=False)
    except (WebhookVerificationError, ValueError, TypeError) as error:
        problem = one_line(error)
    else:
        return
    raise CallbackSignatureError(f"the callback's signature does not hold: {problem}")


def _header(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def decode_secret(secret: str) -> bytes:
    """Return the key in a secret (`whsec_` and Base64, or Base64 alone). Raises InputError if it is none."""
    __tracebackhide__ = True
    secret = Hidden(secret)
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise InputError("the secret must be Base64, with or without whsec_ before it")
    return key
