"""Secrets that must not be written: what is one, and whether one stands in a text, in whatever form."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from ..targets.target import SHORTEST_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOOKS_SECRET = re.compile(r"(?<![A-Za-z0-9])(?i:sk-)[\w*-]{6,}|(?<![\w-])eyJ[\w-]{10,}\.[\w-]{10,}")
"""What keys and JSON Web Tokens look like."""
SECRET_NAMES = ("KEY", "TOKEN", "SECRET")


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret, and what it is called without being told."""

    name: str
    value: str = field(repr=False)

    @property
    def long(self) -> bool:
        """Whether it can be told from ordinary text."""
        return len(self.value) >= SHORTEST_SECRET


def secrets_of(environ: Mapping[str, str]) -> list[Secret]:
    """Return the values of environment variables that are secret by their name."""
    found = [
        Secret(name, value) for name, value in environ.items() if any(word in name.upper() for word in SECRET_NAMES)
    ]
    return [secret for secret in found if secret.long]


def find_secret(texts: Iterable[str], secrets: Iterable[Secret]) -> str:
    """Return the name of a secret that stands in one of the texts, in whatever form; empty if there is none."""
    forms = [(secret.name, form) for secret in secrets if secret.long for form in _forms(secret.value)]
    for text in texts:
        for name, form in forms:
            if form in text:
                return name
        if LOOKS_SECRET.search(text):
            return "something that looks like a key"
    return ""


@cache
def _forms(secret: str) -> tuple[str, ...]:
    """Return a secret as it is, URL-encoded and in Base64, where its place in the encoded text gives three forms."""
    data = secret.encode("utf-8", "surrogateescape")
    forms = {secret, quote(secret, safe=""), quote_plus(secret), quote(secret)}
    forms |= {re.sub("%..", lambda match: match[0].lower(), form) for form in forms}
    # Base64 packs three bytes into four characters: how a secret looks depends on its place within such a group.
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + data).decode().rstrip("=")
        core = encoded[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]  # what its neighbours have no part in
        forms |= {core, core.replace("+", "-").replace("/", "_")}
    return tuple(sorted(forms))
