"""Signed tokens (JWT) that are wrong in one way each, and at no time right: so they may be shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..spec import Contract

PAST = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
FUTURE = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
NOT_SIGNED = "none"


def wrong_tokens(contract: Contract, pair: tuple[str, str]) -> Iterator[tuple[str, str, bool, dict[str, Any]]]:
    """Yield the case of each wrong token: its rule and label, the token, whether `pair` has signed it, and what its text tells."""
    spec = contract.jwt
    if spec is None:
        return
    access_key, secret_key = pair

    def token(
        secret: str = secret_key, *, algorithm: str = spec["algorithm"], name: str = access_key, **times: int
    ) -> str:
        return _encode({spec["accessKeyClaim"]: name, "exp": FUTURE, "nbf": PAST, **times}, secret, algorithm)

    yield "authorization.form/two-parts", token().rpartition(".")[0], False, {"parts": "2"}
    yield "authorization.token/no-json", "klingkit.klingkit.klingkit", False, {}
    yield "authorization.access_key/unknown-key", token("klingkit", name="klingkit-unknown"), False, {}
    yield "authorization.signature/none", token("", algorithm=NOT_SIGNED), False, {}
    yield "authorization.signature/other-secret", token("klingkit"), True, {}
    # It expires before it is valid, and so is valid never.
    yield "authorization.not_before/future", token(nbf=FUTURE + 1), True, {"date": _date(FUTURE + 1)}
    yield "authorization.expiry/past", token(exp=PAST + 1), True, {"date": _date(PAST + 1)}


def _encode(claims: dict[str, Any], secret: str, algorithm: str) -> str:
    from jwt import encode  # noqa: PLC0415 - only a contract with tokens waits for it

    # HMAC fills a short key up with zeros itself; done here, PyJWT does not warn of one.
    return encode(claims, None if algorithm == NOT_SIGNED else secret.encode().ljust(32, b"\0"), algorithm)


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
