"""Who sends a request: the key is the account."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from klingkit.contract import ApiError

if TYPE_CHECKING:
    from klingkit.contract import Contract


def authenticate(header: str | None, keys: frozenset[str], contract: Contract) -> str:
    """Return the account of an `Authorization` header: a name derived from the key, which does not reveal it.

    `keys` restricts the keys; empty accepts every one. Raises ApiError for a header that is missing or malformed and
    for an unknown key; the scheme word is case-insensitive (api-facts 6.4).
    """
    scheme, _, key = (header or "").strip().partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key or " " in key or (keys and key not in keys):
        raise ApiError(contract.rules["authorization.bearer"])
    return "acct-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]
