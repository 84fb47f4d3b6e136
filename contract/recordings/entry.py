"""An answer as a file of a recording has it: read with care, since people edit these files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..targets.target import STATUSES
from .recording import RecordedAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 10_000
"""Characters of a text; `record` writes shorter ones."""
LARGEST = 2**63 - 1
"""Of whole numbers: what every reader of JSON can hold."""
TYPES = {
    "case": str,
    "sent": str,
    "http": int,
    "headers": dict,
    "other": str,
    "blamed": str,
    "value": str,
    "task": list,
}
OPTIONAL = {"other", "blamed", "value", "task"}
NAMES = {str: "a text", int: "a whole number", dict: "a JSON object", list: "a list"}
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")


class WrongValueError(Exception):
    """A value that no recording has; the message says what is wrong with it."""


def read_answer(entry: Any) -> RecordedAnswer:
    """Return an answer. Raises WrongValueError."""
    if not isinstance(entry, dict):
        raise WrongValueError("is no JSON object")
    if strange := sorted(entry.keys() - TYPES.keys() - {"body"}):
        raise WrongValueError(f"has {strange[0][:100]!r}, which there is not in a recording")
    check_values(entry)
    values = {
        name: value_of(entry, name, kind) for name, kind in TYPES.items() if name in entry or name not in OPTIONAL
    }
    if values["http"] not in STATUSES:
        raise WrongValueError(f"'http' must be a status from {STATUSES[0]} to {STATUSES[-1]}")
    body = entry.get("body")
    if not (body is None or isinstance(body, dict)) or not all(
        isinstance(view, dict) for view in values.get("task", [])
    ):
        raise WrongValueError("'body' and each of 'task' must be JSON objects")
    for name, value in values["headers"].items():
        if not isinstance(value, str):
            raise WrongValueError("'headers' must be texts")
        if not (HEADER_NAME.fullmatch(name) and value.isprintable()):
            raise WrongValueError(
                "'headers' has what no header can be: a name of other letters, or a control character"
            )
    return RecordedAnswer(body=body, **values)


def value_of(entry: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return a value of the type that it must have. Raises WrongValueError."""
    value = entry.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise WrongValueError(f"{name!r} must be {NAMES[kind]}")
    return value


def check_values(node: Any) -> None:
    """Raise WrongValueError for a text or number, wherever it stands, that nobody could answer with."""
    if isinstance(node, dict):
        for name, child in node.items():
            check_values(name)
            check_values(child)
    elif isinstance(node, list):
        for child in node:
            check_values(child)
    elif isinstance(node, str):
        _check_text(node)
    elif isinstance(node, int) and abs(node) > LARGEST:
        raise WrongValueError(f"has a whole number beyond {LARGEST}")


def _check_text(text: str) -> None:
    if len(text) > LONGEST:
        raise WrongValueError(f"has a text of {len(text)} characters; {LONGEST} is the most")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise WrongValueError("has a text with half of a surrogate pair, which is no Unicode") from None
