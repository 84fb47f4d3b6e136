"""The OpenAPI document of the control API: `control.yaml`, and in what is served the names that the tables of the simulator hold."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from klingkit.contract.behaviours import KINDS
from klingkit.contract.choice import CONTRACTS
from klingkit.contract.resolving import read_yaml

from ..advice import REMEDIES
from ..handlers import HANDLERS
from ..progressions import PROGRESSIONS
from ..scenario import FaultKind
from ..scenarios import scenario_table

if TYPE_CHECKING:
    from klingkit.contract import Contract

DOCUMENT = Path(__file__).with_name("control.yaml")


@cache
def control_document() -> dict[str, Any]:
    """Return the document as it is written: `x-names` stands where names of a table do."""
    return read_yaml(DOCUMENT)


@cache
def control_parameters() -> dict[str, dict[str, dict[str, Any]]]:
    """Return the schema of each parameter of each operation by its name."""
    shared = control_document()["components"]["parameters"]
    return {
        operation_id: {
            found["name"]: found["schema"]
            for parameter in operation.get("parameters", ())
            for found in [shared[parameter["$ref"].rpartition("/")[2]] if "$ref" in parameter else parameter]
        }
        for operation_id, (_, _, operation) in control_operations().items()
    }


@cache
def control_operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Return method, path and description of each operation by its id."""
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, item in control_document()["paths"].items()
        for method, operation in item.items()
    }


@lru_cache(maxsize=8)
def described(contracts: tuple[Contract, ...]) -> dict[str, Any]:
    """Return the document with the names that a simulator of these contracts knows, one for each family of paths."""
    contract = contracts[0]
    scenarios = list(dict.fromkeys(name for each in contracts for name in scenario_table(each)))
    chosen = "|".join(map(re.escape, scenarios))
    names: dict[str, dict[str, Any]] = {
        "contracts": {"enum": list(CONTRACTS)},
        "operations": {"enum": list(dict.fromkeys(name for each in contracts for name in each.routes))},
        "journal_operations": {"enum": list(HANDLERS)},
        "rules": {"enum": list(dict.fromkeys(rule for each in contracts for rule in each.rules))},
        "statuses": {"enum": list(contract.lifecycle.transitions)},
        "scenarios": {"enum": scenarios},
        "chosen_scenarios": {"anyOf": [{"enum": scenarios}, {"pattern": f"^({chosen})(:.*)?(@.*)?$"}]},
        "progressions": {"enum": list(PROGRESSIONS)},
        "assumptions": {"properties": _alternatives(contracts), "additionalProperties": False},
        "retry_schedules": {"enum": list(contract.callbacks.retry_after_ms)},
        "kinds": {"enum": list(KINDS)},
        "mistakes": {"enum": list(REMEDIES)},
        "faults": {"enum": ["", *get_args(FaultKind)]},
    }
    document: dict[str, Any] = _filled(control_document(), names)
    return document


def _alternatives(contracts: tuple[Contract, ...]) -> dict[str, dict[str, Any]]:
    """Return the schema of each open question by its id: the alternatives that it has in some contract."""
    found: dict[str, dict[str, Any]] = {}
    for question in (each for contract in contracts for each in contract.assumptions):
        known = found.setdefault(question.id, {"enum": [], "description": question.question})
        known["enum"] += [name for name in question.alternatives if name not in known["enum"]]
    return found


def _filled(value: Any, names: dict[str, dict[str, Any]]) -> Any:
    if isinstance(value, list):
        return [_filled(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    filled = {name: _filled(item, names) for name, item in value.items() if name != "x-names"}
    return {**filled, **names[value["x-names"]]} if "x-names" in value else filled
