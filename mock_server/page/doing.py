"""A form becomes an operation of the control API: its fields are arguments and body, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..control.asking import ControlError
from ..control.document import control_document, control_operations, control_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

NULL = ".null"
"""Ends the name of a checkbox that makes a field null, whatever is filled in."""
OURS = ("account", "back")
"""Fields of every form that are no arguments."""


def call_of(operation_id: str, fields: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return arguments and body of an operation from the fields of a form; what is empty is left out.

    `NAME.null` makes a field null, `NAME.PART` is a part of an object. Raises ControlError for an operation that no form is for.
    """
    method, _, operation = control_operations().get(operation_id, ("GET", "", {}))
    if method == "GET":
        raise ControlError(f"there is no operation {operation_id[:60]!r} that a form is for", 404)
    given: dict[str, Any] = {name: value for name, value in fields.items() if name not in OURS and value != ""}
    if "requestBody" not in operation:
        return given, None
    parameters = control_parameters()[operation_id]
    arguments = {name: value for name, value in given.items() if name in parameters}
    schema = _resolved(operation["requestBody"]["content"]["application/json"]["schema"])
    return arguments, _body({name: value for name, value in given.items() if name not in parameters}, schema)


def _body(given: Mapping[str, str], schema: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name, value in given.items():
        whole, _, part = name.partition(".")
        if name.endswith(NULL):
            body[whole] = None
        elif part:
            if isinstance(known := body.setdefault(whole, {}), dict):
                known[part] = value
        elif name not in body:
            body[name] = _value(value, _resolved(schema["properties"].get(name, {})))
    return body


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    """Return a field as its schema wants it; as text if that cannot be, so that the operation says what is wrong."""
    types = schema.get("type", "string")
    if "boolean" in types and text in {"true", "false"}:
        return text == "true"
    if "integer" in types and "string" not in types:
        try:
            return int(text)
        except ValueError:
            return text
    return text


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = control_document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found
