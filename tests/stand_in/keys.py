"""Who is asking: a key of CometAPI, an API key of the vendor, or a JWT that is signed with a secret."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from .habits import Habits
from .refusals import Refusals


class Keys:
    """The accounts of one service by what opens them."""

    def __init__(
        self, keys: tuple[str, ...], access_keys: Mapping[str, str], habits: Habits, refusals: Refusals
    ) -> None:
        self.keys, self.access_keys, self.habits, self.refusals = keys, access_keys, habits, refusals

    def account(self, header: str | None) -> str:
        """Whose the header is; `Refused` if nobody's."""
        if not header:
            raise self.refusals.key(1001, "Authorization is empty")
        token = self.token(header)
        if token in self.keys:
            return token
        parts = token.split(".")
        if self.refusals.contract != "kling" or len(parts) != 3:
            got = 0 if len(parts) == 1 else len(parts)
            raise self.refusals.key(1002, f"The token was expected to have 3 parts, but got {got}")
        return self.issuer(parts)

    def token(self, header: str) -> str:
        scheme, _, token = header.partition(" ")
        if self.habits.bare_key and header in self.keys:
            return header
        if (scheme.lower() if self.habits.any_case_of_bearer else scheme) not in {
            "bearer",
            "Bearer",
        } or not token.strip():
            raise self.refusals.key(1002, self.habits.says("the Authorization header is not a bearer token"))
        return token.strip()

    def issuer(self, parts: list[str]) -> str:
        """Who signed the JWT, checked against real time."""
        head, claims = _json_of(parts[0]), _json_of(parts[1])
        issuer = claims.get("iss")
        if head.get("alg") != "HS256" or not isinstance(issuer, str):
            raise self.refusals.key(1002, self.habits.says("the token cannot be used"))
        if issuer not in self.access_keys:
            text = (
                "access key not found" if self.habits.inferred_texts else self.habits.says("who signed this is unknown")
            )
            raise self.refusals.key(1002, text)
        right = hmac.new(self.access_keys[issuer].encode(), ".".join(parts[:2]).encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(right, _bytes_of(parts[2])):
            raise self.refusals.key(1002, self.habits.says("the signature does not fit"))
        self.times(claims)
        return issuer

    def times(self, claims: dict[str, Any]) -> None:
        """`exp` and `nbf`, in seconds."""
        now, end, begin = time.time(), claims.get("exp"), claims.get("nbf", 0)
        if not isinstance(end, int | float) or not isinstance(begin, int | float):
            raise self.refusals.key(1002, self.habits.says("the times of the token are missing"))
        if now >= end:
            raise self.refusals.key(1004, self.moment("The Token has expired on {}.", end))
        if now < begin:
            raise self.refusals.key(1003, self.moment("The Token can't be used before {}.", begin))

    def moment(self, text: str, when: float) -> str:
        if not self.habits.inferred_texts:
            return self.habits.says("it is not the time of this token")
        return text.format(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when)))


def _bytes_of(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def _json_of(part: str) -> dict[str, Any]:
    try:
        found = json.loads(_bytes_of(part))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
