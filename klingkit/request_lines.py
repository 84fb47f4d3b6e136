"""What came, in lines for people."""

from __future__ import annotations

import json
from typing import Any

from klingkit.contract.printable import printable


def request_line(entry: dict[str, Any]) -> str:
    """Return a request of the journal in one line."""
    notes = [f"scenario {entry['scenario']}"] if entry["scenario"] else []
    notes += [entry["rule"]] if entry["rule"] else []
    body = f" {json.dumps(entry['request'])[:500]}" if entry["request"] is not None else ""
    line = f"{entry['number']}. {entry['method']} {entry['path']} {entry['status']} {', '.join(notes)}{body}"
    return printable(line.rstrip())


def titled(title: str, lines: list[str]) -> str:
    """Return lines under a title."""
    return "\n  ".join([title, *(lines or ["nothing"])])
