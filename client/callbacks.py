"""Callbacks, as the service posts them to `callback_url`."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from .errors import CallbackSignatureError, InputError, UnexpectedAnswerError
from .reading import read_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .task import Task


def parse_callback(body: bytes | str, headers: Mapping[str, str], secret: str | None = None) -> Task:
    """Return the task that a callback describes, the same as a query would.

    With a `secret` (`whsec_...`) the Standard Webhooks signature is verified first: what is not signed with it, or is more than
    300 s off, raises CallbackSignatureError. Raises UnexpectedAnswerError if the body is no task. Expect callbacks twice, late,
    or not at all, and query the task in doubt.
    """
    if secret is not None:
        _verify(body, headers, secret)
    try:
        return read_task(json.loads(body))
    except ValueError:
        raise UnexpectedAnswerError("the callback's body is not JSON") from None


def _verify(body: bytes | str, headers: Mapping[str, str], secret: str) -> None:
    from standardwebhooks import Webhook, WebhookVerificationError  # noqa: PLC0415 - only signed callbacks need it

    key = decode_secret(secret)
    try:
        Webhook(key).verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        raise CallbackSignatureError(f"the callback's signature does not hold: {error}") from None


def decode_secret(secret: str) -> bytes:
    """Return the key in a secret (`whsec_` and Base64, or Base64 alone). Raises InputError if it is none."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise InputError("the secret must be Base64, with or without whsec_ before it")
    return key
