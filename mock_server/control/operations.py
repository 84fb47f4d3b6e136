"""The operations of the control API (`control.yaml`), validated and dispatched; each is a function of that name in a file of its resource.

They know nothing of Flask. `account` is whose key the request carries; None: the server. A wrong value raises ControlError and
changes nothing.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from klingkit.contract.choice import CONTRACTS

from . import about, accounts, callbacks, clock, journal, knowledge, scenarios, tasks
from .asking import ControlError
from .document import control_document, control_operations, control_parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..simulator import Simulator

RESOURCES = (about, accounts, tasks, scenarios, clock, journal, callbacks, knowledge)


class Operations:
    """What the control API does with one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._validators: dict[str, Any] = {}

    def call(self, operation_id: str, account: str | None, arguments: dict[str, Any], body: Any = None) -> Any:
        """Carry out an operation with its path and query arguments and its body; return JSON.

        Raises ControlError.
        """
        _, _, operation = control_operations()[operation_id]
        known = control_parameters()[operation_id]
        for name, value in arguments.items():
            if name not in known:
                raise ControlError(f"unknown parameter {name[:60]!r}; the valid ones: {', '.join(known) or 'none'}")
            if known[name]["type"] == "integer":
                arguments[name] = _integer(name, value, known[name])
            elif known[name]["type"] == "boolean":
                arguments[name] = _boolean(name, value)
            elif not _is_text(value):
                raise ControlError(f"{name}: {value[:60]!r} has a character that nothing here has")
            if (valid := known[name].get("enum")) and arguments[name] not in valid:
                raise ControlError(f"{name}: {str(value)[:60]!r} is none of {', '.join(map(str, valid))}")
        if "requestBody" in operation:
            arguments = {**arguments, **self._valid(operation_id, operation, body)}
        self._simulator.store.refresh()
        return functions()[operation_id](self._simulator, account, **arguments)

    def _valid(self, operation_id: str, operation: dict[str, Any], body: Any) -> dict[str, Any]:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        components = control_document()["components"]
        validator = self._validators.get(operation_id)
        if validator is None:
            validator = jsonschema_rs.Draft202012Validator({**schema, "components": components})
            self._validators[operation_id] = validator
        for error in validator.iter_errors(body):
            place = ".".join(map(str, error.instance_path)) or "the body"
            known = schema if "properties" in schema else components["schemas"][schema["$ref"].rpartition("/")[2]]
            hint = f"; the fields are {', '.join(known['properties'])}" if place == "the body" else ""
            raise ControlError(f"{place}: {_said(error)[:300]}{hint}")
        fields: dict[str, Any] = body
        return fields


@cache
def functions() -> dict[str, Callable[..., Any]]:
    """Return the function of each operation."""
    return {
        operation_id: function
        for operation_id in control_operations()
        for file in RESOURCES
        if (function := getattr(file, operation_id, None))
    }


def _said(error: jsonschema_rs.ValidationError) -> str:
    """Say in plain words what the schema says in a pattern or in alternatives."""
    value = f"{error.instance!r:.60}"
    if "pattern" in error.schema_path:
        return f"{value} is no amount, such as 0.50"
    if "anyOf" in error.schema_path:
        return f"{value} is no name of a contract; give one of {', '.join(CONTRACTS)}, or null"
    return str(error.message)


def _is_text(value: Any) -> bool:
    """Tell whether a database takes a value: neither NUL nor half of a pair of surrogates."""
    return not isinstance(value, str) or ("\0" not in value and value.encode(errors="ignore").decode() == value)


def _boolean(name: str, text: str | bool) -> bool:
    found = {"true": True, "false": False}.get(str(text).lower())
    if found is None:
        raise ControlError(f"{name}: {str(text)[:60]!r} is neither true nor false")
    return found


def _integer(name: str, text: str | int, schema: dict[str, Any]) -> int:
    try:
        number = int(text)
    except ValueError:
        raise ControlError(f"{name}: {str(text)[:60]!r} is not a whole number") from None
    least, most = schema.get("minimum", number), schema.get("maximum", number)
    if not least <= number <= most:
        raise ControlError(f"{name}: {str(text)[:60]} is not from {least} to {most}")
    return number
