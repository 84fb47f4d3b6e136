"""Where a contract says how a task is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..control.asking import ControlError

if TYPE_CHECKING:
    from collections.abc import Mapping


def create_operation(document: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the path at which tasks are made, and the schema of a request for one. Raises ControlError if there is none."""
    for path, item in document["paths"].items():
        for operation in item.values():
            if isinstance(operation, dict) and operation.get("operationId") == "create_task":
                reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                return path, document["components"]["schemas"][reference.rpartition("/")[2]]
    raise ControlError("this contract makes no tasks")
