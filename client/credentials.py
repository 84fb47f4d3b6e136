"""Who asks: a key as it is, or a token that is signed with a pair of keys, anew before it expires."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .errors import InputError
from .hiding import Hidden

if TYPE_CHECKING:
    from collections.abc import Callable

LIFE = 1800
"""Seconds that a token is valid, as in the vendor's own example."""
EARLY = 5
"""Seconds that a token is valid before now, likewise: the clocks of two machines differ."""
RENEWED_BEFORE = 300
"""Seconds before its end at which a token is replaced."""
PAIR = "KLING_ACCESS_KEY and KLING_SECRET_KEY"


class KeyCredential:
    """A key that is sent as it is."""

    def __init__(self, key: str, variable: str) -> None:
        __tracebackhide__ = True
        key = self._key = Hidden(key)
        _check("key", key, f"pass key=... or set {variable}")

    def bearer(self) -> str:
        """Return what is sent."""
        return self._key

    def renew(self) -> bool:
        """Tell that there is no other."""
        return False

    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return (self._key,)


class SignedCredential:
    """Tokens (JWT, HS256) that name an access key and are signed with its secret key; `now` gives Unix s."""

    def __init__(self, access_key: str, secret_key: str, now: Callable[[], float]) -> None:
        __tracebackhide__ = True
        access_key, secret_key = Hidden(access_key), Hidden(secret_key)
        _check("access_key", access_key, f"pass access_key=... and secret_key=..., or key=..., or set {PAIR}")
        _check("secret_key", secret_key, "pass secret_key=... or set KLING_SECRET_KEY")
        self._access_key = access_key
        self._secret_key = secret_key
        self._now = now
        self._issued, self._token = self._sign()
        self._before = self._token

    def bearer(self) -> str:
        """Return a token that is valid for some minutes more."""
        __tracebackhide__ = True
        if not -EARLY <= self._now() - self._issued <= LIFE - RENEWED_BEFORE:
            self.renew()
        return self._token

    def renew(self) -> bool:
        """Sign another token, and tell that there is one."""
        __tracebackhide__ = True
        self._before = self._token  # which an answer that is on its way may still quote
        self._issued, self._token = self._sign()
        return True

    def secrets(self) -> tuple[str, ...]:
        """What must not be shown: of a token its signature, without which it is none."""
        return (self._secret_key, *(Hidden(token.rpartition(".")[2]) for token in (self._token, self._before)))

    def _sign(self) -> tuple[int, str]:
        from jwt import encode  # noqa: PLC0415 - only pairs of keys need it

        __tracebackhide__ = True
        issued = int(self._now())
        claims = {"iss": self._access_key, "exp": issued + LIFE, "nbf": issued - EARLY}
        try:
            # HMAC fills a short key up with zeros itself; done here, PyJWT does not warn of one.
            return issued, Hidden(encode(claims, self._secret_key.encode().ljust(32, b"\0"), "HS256"))
        except BaseException as error:  # noqa: BLE001 - goes on below, without the frames in which the secret stands
            failure = error.with_traceback(None)
        raise failure from None


Credential = KeyCredential | SignedCredential


def credential_of(
    contract: str, key: str | None, access_key: str | None, secret_key: str | None, now: Callable[[], float]
) -> Credential:
    """Return who asks: as the arguments say, else as the environment does. Raises InputError if neither says it, or both ways.

    An empty argument is a variable that was not set, and must not lead to another account.
    """
    __tracebackhide__ = True
    key, secret_key = _hidden(key), _hidden(secret_key)
    paired = access_key is not None or secret_key is not None
    if paired and contract != "kling":
        raise InputError(f"the contract {contract} takes a key; access_key and secret_key are for the contract kling")
    if paired and key is not None:
        raise InputError("pass a key, or access_key and secret_key, and not both")
    if contract != "kling":
        return KeyCredential(os.environ.get("COMETAPI_KEY", "") if key is None else key, "COMETAPI_KEY")
    if key is None and not paired and not os.environ.get("KLING_ACCESS_KEY"):
        key = _hidden(os.environ.get("KLING_API_KEY") or None)
    if key is not None:
        return KeyCredential(key, "KLING_API_KEY")
    access_key = os.environ.get("KLING_ACCESS_KEY", "") if access_key is None else access_key
    secret_key = _hidden(os.environ.get("KLING_SECRET_KEY", "") if secret_key is None else secret_key) or ""
    return SignedCredential(access_key, secret_key, now)


def _hidden(text: str | None) -> str | None:
    return None if text is None else Hidden(text)


def _check(name: str, text: str, where: str) -> None:
    __tracebackhide__ = True
    text = Hidden(text)
    if not text:
        raise InputError(f"no {name}: {where}")
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise InputError(f"the {name} has characters that no key has: check for a line break or a space")
