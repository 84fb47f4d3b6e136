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


def fits_header(text: str) -> bool:
    """Tell whether a header can carry a text."""
    return bool(text) and text.isascii() and text.isprintable()


def is_key(text: str) -> bool:
    """Tell whether a text can be a key: one word of ASCII characters."""
    return fits_header(text) and " " not in text


def is_accepted(key: str, keys: frozenset[str]) -> bool:
    """Tell whether a simulator takes a key; without keys of its own it takes every one."""
    return not keys or key in keys


def account_name(key: str) -> str:
    """Return the account of a key."""
    return "acct-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def authenticate(header: str | None, simulator: Simulator) -> str:
    """Return the account that sends a request.

    Raises ApiError for a header that is missing or malformed, and for a key that is unknown, disabled or expired.
    """
    if found := account_of(header):
        key, account = found
        settings = simulator.store.settings(account)
        if is_accepted(key, simulator.settings.keys) and not settings.disabled and not settings.expired:
            return account
    raise ApiError(simulator.contract.rules["authorization.bearer"])
