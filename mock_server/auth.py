"""Who sends a request: the key is the account."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from klingkit.contract import ApiError

if TYPE_CHECKING:
    from .simulator import Simulator


def account_of(header: str | None) -> tuple[str, str] | None:
    """Return key and account of an `Authorization` header; None if it is missing or malformed.

    The account's name is derived from the key and does not reveal it. The scheme word is case-insensitive (api-facts 6.4).
    """
    scheme, _, key = (header or "").strip().partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key or " " in key:
        return None
    return key, account_name(key)


def account_name(key: str) -> str:
    """Return the account of a key."""
    return "acct-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def authenticate(header: str | None, simulator: Simulator) -> str:
    """Return the account that sends a request.

    Raises ApiError for a header that is missing or malformed, and for a key that is unknown, disabled or expired.
    """
    found = account_of(header)
    if found and (not simulator.settings.keys or found[0] in simulator.settings.keys):
        limits = simulator.store.settings(found[1])
        if not limits.disabled and not limits.expired:
            return found[1]
    raise ApiError(simulator.contract.rules["authorization.bearer"])
