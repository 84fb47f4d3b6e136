"""From the bytes of a request to the JSON object that they mean, strictly or as well as can be."""

import json
from typing import Any

from .habits import Habits
from .refusals import Refusals


class Reader:
    """Reads bodies by the habits of one service."""

    def __init__(self, habits: Habits, refusals: Refusals) -> None:
        self.habits = habits
        self.refusals = refusals

    def read(self, content_type: str, raw: bytes) -> dict[str, Any]:
        """The object; `Refused` where there is none."""
        if (
            self.habits.content_type_matters
            and content_type.split(";", maxsplit=1)[0].strip().lower() != "application/json"
        ):
            raise self.refusals.unreadable()
        if len(raw) > self.habits.body_megabytes * 1_000_000:
            raise self.refusals.too_big()
        try:
            body = self._parse(raw)
        except (ValueError, RecursionError):
            raise self.refusals.unreadable() from None
        if not isinstance(body, dict) or _depth(body) > self.habits.nesting:
            raise self.refusals.unreadable()
        return body

    def _parse(self, raw: bytes) -> Any:
        strict = self.habits.strict_json
        text = raw.decode() if strict else raw.decode("utf-8-sig", "replace")
        body = json.loads(
            text,
            parse_constant=_refuse if strict else None,
            parse_int=_whole,
            object_pairs_hook=dict if self.habits.last_key_wins else _first_wins,
        )
        if strict and "\\ud" in text.lower():
            json.dumps(body, ensure_ascii=False).encode()  # raises for half of a pair
        if not self.habits.nul_allowed and "\\u0000" in text:
            raise ValueError("a NUL")
        return body


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _whole(digits: str) -> int | float:
    """A number of any length: one that is too long to count with is no whole number."""
    return int(digits) if len(digits) < 1000 else float("inf")


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return deepest
