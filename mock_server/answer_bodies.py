"""A task as the wire spells it: bodies in the documented order of keys (api-facts, sections 3 and 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.contract import Lifecycle

    from .tasks import Snapshot

PICTURE_PATH = "/_mock/pictures/{task_id}/{index}.png"


SHAPES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "string-code": lambda body: {**body, "code": str(body["code"])} if "code" in body else body,
    "shape-no-code": lambda body: {name: value for name, value in body.items() if name != "code"},
    "shape-flat": lambda body: {
        **{name: value for name, value in body.items() if name != "data"},
        **(body.get("data") or {}),
    },
    "shape-nested": lambda body: {**body, "data": {"data": body["data"]}} if "data" in body else body,
}
"""Other shapes of an answer, seen in public on older versions: from the body of today."""


def create_data(view: Snapshot) -> dict[str, Any]:
    """Return `data` of a create's answer."""
    task = view.task
    return {
        "task_id": task.task_id,
        "task_status": view.status,
        "task_info": _task_info(view),
        "created_at": task.created_at,
        "updated_at": view.updated_at,
    }


def query_data(view: Snapshot, lifecycle: Lifecycle, base_url: str) -> dict[str, Any]:
    """Return `data` of a query's answer; result URLs begin with `base_url`."""
    task = view.task
    data = {
        "task_id": task.task_id,
        "task_info": _task_info(view),
        "created_at": task.created_at,
        "updated_at": view.updated_at,
        "task_result": _task_result(view, lifecycle, base_url),
        "task_status": view.status,
    }
    if view.ended:
        data["task_status_msg"] = task.plan.message
    return data


def callback_body(view: Snapshot, lifecycle: Lifecycle) -> dict[str, Any]:
    """Return the body of a callback: the bare task; result URLs begin with the host that the submitter used."""
    task = view.task
    return {
        "task_id": task.task_id,
        "task_status": view.status,
        "task_status_msg": task.plan.message if view.ended else "",
        "created_at": task.created_at,
        "updated_at": view.updated_at,
        "task_info": _task_info(view),
        "task_result": _task_result(view, lifecycle, task.base_url),
    }


def _task_info(view: Snapshot) -> dict[str, str]:
    external_task_id = view.task.external_task_id
    return {"external_task_id": external_task_id} if external_task_id else {}


def _task_result(view: Snapshot, lifecycle: Lifecycle, base_url: str) -> dict[str, Any]:
    if view.status != lifecycle.succeeded:
        return {}
    task = view.task
    paths = (PICTURE_PATH.format(task_id=task.task_id, index=index) for index in range(task.n))
    if task.scenario and task.scenario.urls == "none":
        return {"images": [{"index": index, "url": ""} for index in range(task.n)]}
    return {"images": [{"index": index, "url": base_url + path} for index, path in enumerate(paths)]}
