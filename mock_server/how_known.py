"""How well an answer is known which no rule has refused: as well as the least known of what it rests on.

An answer of the same form is looked up, since this is asked for each request.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from klingkit.contract.behaviours import ERROR, LIFECYCLE, SHOWN, aspects_of
from klingkit.contract.evidence import INFERRED, UNKNOWN, weakest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from klingkit.contract import Contract
    from klingkit.contract.rule import ErrorSpec

ENVELOPE = ("code", "message", "request_id", "data")
MAX_FORMS = 256
"""Forms of an answer that are kept."""


def of_success(contract: Contract, operation_id: str, data: dict[str, Any] | list[dict[str, Any]]) -> str:
    """Say how well a success is known: its fields, and the time at which its task has come so far; of a list its first task."""
    task = data if isinstance(data, dict) else data[0] if data else {}
    images = task["task_result"].get("images") if "task_result" in task else None
    return _of_form(
        contract,
        f"{operation_id}.data" if isinstance(data, dict) else f"{operation_id}.data[]",
        task.get("task_status", ""),
        (tuple(task), tuple(task.get("task_info", ())), tuple(images[0]) if images else ()),
    )


@lru_cache(MAX_FORMS)
def _of_form(contract: Contract, place: str, status: str, fields: tuple[tuple[str, ...], ...]) -> str:
    """Say it of the fields of a task, of its `task_info` and of its first picture."""
    own, info, image = fields
    operation_id = place.partition(".")[0]
    shown = [f"{operation_id}.{field}" for field in ENVELOPE]
    shown += [f"{place}.{field}" for field in own]
    shown += [f"{place}.task_info.{field}" for field in info]
    shown += [f"{place}.task_result.images[].{field}" for field in image]
    return _told(
        contract, [f"{SHOWN} {field}" for field in shown] + [f"{LIFECYCLE} {contract.lifecycle.roles.get(status)}"]
    )


def of_error(contract: Contract, error: ErrorSpec) -> str:
    """Say how well an error of the catalogue is known; empty for one that somebody has given another text or status."""
    return _told(contract, [f"{ERROR} {error.key}"]) if error == contract.errors[error.key] else ""


def _told(contract: Contract, behaviours: Iterable[str]) -> str:
    wanted = set(behaviours)
    aspects = [aspect for aspect in aspects_of(contract) if aspect.behaviour in wanted]
    if not aspects:
        return ""
    grade = weakest(aspect.evidence for aspect in aspects).grade
    weak = dict.fromkeys(aspect.id for aspect in aspects if aspect.evidence.grade == grade)
    return f'{grade}; by="{"; ".join(weak)}"' if grade in {INFERRED, UNKNOWN} else grade
