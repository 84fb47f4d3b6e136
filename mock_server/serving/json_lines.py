"""A log line as one JSON object."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

LONGEST = 3800
"""Bytes of a line: so that it goes whole into a pipe (POSIX: 4096), also behind a line that tells of dropped ones."""


def json_line(created: float, level: str, message: str, fields: dict[str, Any], traceback: str = "") -> str:
    """Return a line of ASCII for what happened at `created` (Unix s); what is empty is left out, what is too long cut."""
    moment = datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry = {"time": moment, "level": level.lower(), "message": message}
    entry |= {name: value for name, value in fields.items() if value or value == 0}
    if traceback:
        entry["traceback"] = traceback
    line = json.dumps(entry)
    return (line if len(line) <= LONGEST else json.dumps(_fitting(entry))) + "\n"


def _fitting(entry: dict[str, Any]) -> dict[str, Any]:
    """Return so much of an entry that its line is not too long: the half of what takes most, until it is short enough."""
    while len(json.dumps(entry)) > LONGEST:
        name = max(entry, key=lambda name: len(json.dumps(entry[name])))
        entry = {**entry, name: _half(name, entry[name])}
    return entry


def _half(name: str, value: Any) -> Any:
    """Return the half of a text or a list that says more: of a trace its end."""
    if isinstance(value, list) and len(value) == 1:
        return [_half(name, value[0])]
    middle = len(value) // 2
    return value[middle:] if name == "traceback" else value[:middle]
