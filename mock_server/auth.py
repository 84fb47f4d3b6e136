"""Who sends a request: the key is the account; of a signed token it is the access key, so that a renewed one is the same account."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from klingkit.contract import ApiError

from .tokens import check_form, check_signed, read_token

if TYPE_CHECKING:
    from klingkit.contract import Contract

    from .account_settings import AccountSettings
    from .settings import Settings
    from .simulator import Simulator

NAMELESS = ("missing", "empty", "bare", "scheme")
"""What a header can be that holds no bearer token, and so names no account."""
LONGEST_KEPT = 200
"""Characters of a key whose account is kept in mind, of which there are 1000."""


def account_of(header: str | None) -> tuple[str, str] | None:
    """Return key and account of an `Authorization` header; None if it is missing or malformed.

    The account's name is derived from the key and does not reveal it. Nothing is verified.
    """
    text = _bearer(header)
    if text is None:
        return None
    token = read_token(text) if "." in text else None
    key = (token and token.access_key) or text
    return key, account_name(key)


def _bearer(header: str | None) -> str | None:
    """Return what stands after `Bearer`, in capitals or not (api-facts 6.4); None if that is not one word."""
    scheme, _, text = (header or "").strip().partition(" ")
    text = text.strip()
    return None if scheme.lower() != "bearer" or not text or " " in text else text


def fits_header(text: str) -> bool:
    """Tell whether a header can carry a text."""
    return bool(text) and text.isascii() and text.isprintable()


def is_key(text: str) -> bool:
    """Tell whether a text can be a key: one word of ASCII characters."""
    return fits_header(text) and " " not in text


def is_accepted(key: str, settings: Settings) -> bool:
    """Tell whether a simulator takes a key, or an access key; without any of its own it takes every one."""
    names = [name for name, _ in settings.access_keys]
    return not (settings.keys or names) or key in settings.keys or key in names


def account_name(key: str) -> str:
    """Return the account of a key."""
    return _name_of(key) if len(key) <= LONGEST_KEPT else _name_of.__wrapped__(key)


@lru_cache(1000)
def _name_of(key: str) -> str:
    return "acct-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def is_account_name(text: str) -> bool:
    """Tell whether a text can be the name of an account."""
    return re.fullmatch("acct-[0-9a-f]{12}", text, re.ASCII) is not None


def authenticate(header: str | None, simulator: Simulator, contract: Contract) -> str:
    """Return the account that sends a request. Raises ApiError for a header that is missing or malformed, and for an unknown key."""
    if contract.jwt is None:
        return _by_key(header, simulator, contract)
    text = _bearer(header)
    if text is None:
        given = "authorization.form" if (header or "").strip() else "authorization.bearer"
        raise _refusal(contract, given, _kind(header), parts="0")
    return account_name(_signed_or_key(text, simulator, contract))


def check_enabled(settings: AccountSettings, contract: Contract) -> None:
    """Raise ApiError for an account whose key is disabled or expired."""
    if settings.disabled or settings.expired:
        unknown = "bearer" if contract.jwt is None else "access_key"
        raise _refusal(contract, _named(contract, "disabled", unknown), "disabled")


def _by_key(header: str | None, simulator: Simulator, contract: Contract) -> str:
    keys = simulator.settings.keys
    if not (header or "").strip():
        raise _refusal(contract, _named(contract, "missing", "bearer"), "missing")
    if contract.takes("bare-key") == "accepted" and is_key((header or "").strip()):
        header = f"Bearer {header}"
    found = account_of(header)
    if found is None or (keys and _bearer(header) not in keys):
        raise _refusal(contract, "authorization.bearer", _kind(header))
    return found[1]


def _named(contract: Contract, name: str, otherwise: str) -> str:
    """Return the rule of that name, where the contract has one of its own for it; else the other."""
    rule_id = f"authorization.{name}"
    return rule_id if rule_id in contract.rules else f"authorization.{otherwise}"


def _refusal(contract: Contract, rule_id: str, kind: str, **details: object) -> ApiError:
    """Return a refusal as it is known for headers of a kind."""
    return ApiError(contract.questions.known(contract.rules[rule_id], kind), **details)


def _kind(header: str | None) -> str:
    """Name what a header is that holds no bearer token; empty for one that holds one."""
    scheme, _, text = (header or "").strip().partition(" ")
    if not scheme:
        return "missing"
    if scheme.lower() == "bearer":
        return "" if text else "empty"
    return "scheme" if text else "bare"


def _signed_or_key(text: str, simulator: Simulator, contract: Contract) -> str:
    """Return whose token or API key it is. Raises ApiError."""
    keys, secrets = simulator.settings.keys, simulator.secrets
    if text in keys or (text and "." not in text and not keys and not secrets):
        return text
    token = check_form(text, contract)
    if keys or secrets:
        check_signed(token, contract, secrets)
    return token.access_key
