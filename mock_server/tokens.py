"""Signed tokens: what a JWT says, and whether it holds (api-facts 6.3). What is sent as one may be anything at all."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from klingkit.contract import ApiError
from klingkit.contract.import_lock import importing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from klingkit.contract import Contract

LONGEST = 8 * 1024
"""Characters of a token; one of the client's has 200."""
REMEMBERED = 256
"""Tokens that need not be read again: a client sends one for half an hour."""
START = datetime(1970, 1, 1)  # noqa: DTZ001 - in UTC, without the offset that would be printed
FIRST, LAST = -62_135_596_800, 253_402_300_799
"""The seconds in which a date has four digits for its year."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a JWT says; nothing of it is verified."""

    algorithm: str
    """Empty if it is no text."""
    access_key: str
    """Empty if it names none."""
    not_before: float | None
    """Unix time in s; None if it does not say."""
    expires: float | None
    """The same."""
    signed: bytes
    signature: bytes


class _BrokenTokenError(ValueError):
    """It is no JWT."""


def read_token(text: str) -> Token | None:
    """Return what a JWT says; None for what is none."""
    return _read(text) if len(text) <= LONGEST and text.count(".") == 2 else None


@lru_cache(REMEMBERED)
def _read(text: str) -> Token | None:
    with importing:
        import jwt  # noqa: PLC0415 - only tokens need it
    try:
        parts = jwt.decode_complete(text, options={"verify_signature": False})
        claims = parts["payload"]
        return Token(
            algorithm=algorithm if isinstance(algorithm := parts["header"].get("alg"), str) else "",
            access_key=_text(claims.get("iss")),
            not_before=_seconds(claims.get("nbf")),
            expires=_seconds(claims.get("exp")),
            signed=text.rpartition(".")[0].encode(),
            signature=parts["signature"],
        )
    except (jwt.PyJWTError, ValueError, RecursionError):  # a UnicodeError is a ValueError
        return None


def _text(claim: Any) -> str:
    if claim is None:
        return ""
    if not isinstance(claim, str):
        raise _BrokenTokenError
    return claim


def _seconds(claim: Any) -> float | None:
    if claim is None:
        return None
    if isinstance(claim, bool) or not isinstance(claim, (int, float)) or claim != claim:  # noqa: PLR0124 - NaN
        raise _BrokenTokenError
    return float(max(FIRST, min(claim, LAST)))  # bounded before it becomes a float, which a long number cannot


def check_form(text: str, contract: Contract) -> Token:
    """Return what a token says. Raises ApiError for what is no JWT, or is not signed as the contract says."""
    dots = text.count(".")
    if dots != 2:  # counted as the library does whose text it is: without a dot there is no first part either
        raise ApiError(contract.rules["authorization.form"], parts={0: "0", 1: "2"}.get(dots, "> 3"))
    token = read_token(text)
    if token is None:
        raise ApiError(contract.rules["authorization.token"])
    if contract.jwt and token.algorithm != contract.jwt["algorithm"]:
        raise ApiError(contract.rules["authorization.signature"])
    if not token.access_key:
        raise ApiError(contract.rules["authorization.access_key"])
    return token


def check_signed(token: Token, contract: Contract, secrets: Mapping[str, str]) -> None:
    """Raise ApiError unless a token is of one of the access keys, signed with its secret, and valid now, in the machine's time."""
    secret = secrets.get(token.access_key)
    if secret is None:
        raise ApiError(contract.rules["authorization.access_key"])
    if not _algorithm(token.algorithm).verify(token.signed, secret.encode(), token.signature):
        raise ApiError(contract.rules["authorization.signature"])
    now = time.time()
    if token.not_before is not None and token.not_before > now:
        raise ApiError(contract.rules["authorization.not_before"], date=_date(token.not_before))
    if token.expires is not None and token.expires <= now:
        raise ApiError(contract.rules["authorization.expiry"], date=_date(token.expires))


@lru_cache(1)
def _algorithm(name: str) -> Any:
    """Return what verifies a signature; by itself, since `jwt.decode` warns of secrets that are short, as those of tests are."""
    import jwt  # noqa: PLC0415 - only tokens need it

    return jwt.PyJWS().get_algorithm_by_name(name)


def _date(seconds: float) -> str:
    return f"{(START + timedelta(seconds=math.floor(seconds))).isoformat()}Z"
