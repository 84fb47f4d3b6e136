"""A task as the wire spells it: bodies in the documented order of keys (api-facts, sections 3 and 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.contract import Contract, Lifecycle

    from .tasks import Snapshot

PICTURE_PATH = "/_mock/pictures/{task_id}/{index}.png"
WATERMARKED_PATH = "/_mock/watermarked/{task_id}/{index}.png"
"""The same picture with a watermark."""


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
CALLBACK_ORDER = (
    "task_id",
    "task_status",
    "task_info",
    "task_result",
    "task_status_msg",
    "created_at",
    "updated_at",
)
"""Keys of a recorded callback."""
NO_MEDIA: dict[str, Any] = {"videos": [], "audios": []}


def _without(value: dict[str, Any], left_out: str) -> dict[str, Any]:
    return {name: item for name, item in value.items() if name != left_out}


def _with_media(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "task_result": {**data["task_result"], **NO_MEDIA}}


def _each_image(data: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    images = [change(image) for image in data["task_result"]["images"]]
    return {**data, "task_result": {**data["task_result"], "images": images}}


def _no_index(data: dict[str, Any]) -> dict[str, Any]:
    return _each_image(data, lambda image: _without(image, "index"))


def _watermarked(data: dict[str, Any]) -> dict[str, Any]:
    return _each_image(data, lambda image: {**image, "watermark_url": _watermark_url(image["url"])})


def _watermark_url(url: str) -> str:
    """Return the URL of a result with a watermark, from that without one."""
    beginning = PICTURE_PATH.partition("{")[0]
    base, _, rest = url.rpartition(beginning)
    return base + WATERMARKED_PATH.partition("{")[0] + rest


def _with_units(data: dict[str, Any], units: str) -> dict[str, Any]:
    return {**data, "final_unit_deduction": units}


def _in_callback_order(data: dict[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in CALLBACK_ORDER if name in data}


SUCCESS_SHAPES: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
    "shape-units": _with_units,
    "shape-no-message": lambda data, _: _without(data, "task_status_msg"),
    "shape-no-index": lambda data, _: _no_index(data),
    "shape-watermark": lambda data, _: _watermarked(data),
    "shape-page": lambda data, units: _with_units(_without(_no_index(data), "task_status_msg"), units),
    "shape-callback": lambda data, _: _in_callback_order(_with_media(data)),
}
"""Other shapes of a task that has succeeded, in answers and callbacks alike, seen in public (api-facts, section 3)."""


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


def query_data(view: Snapshot, contract: Contract, base_url: str) -> dict[str, Any]:
    """Return `data` of a query's answer by the contract of the task; result URLs begin with `base_url`."""
    task, lifecycle = view.task, contract.lifecycle
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
    return _shaped({**data, **_extras(view, contract)}, view, lifecycle)


def _extras(view: Snapshot, contract: Contract) -> dict[str, Any]:
    """Return what the answers of a contract carry beside what each has: what was asked for, and of a success what it cost."""
    task = view.task
    extras: dict[str, Any] = {"watermark_info": {"enabled": task.watermark}}
    if view.status == contract.lifecycle.succeeded:
        extras["final_unit_deduction"] = f"{task.cost.normalize():f}"
        # Units of a pack pay for it, so that nothing is taken of a balance in money (inferred).
        extras["final_balance_deduction"] = {"quota": "0", "list_price": "0"}
    return {name: extras[name] for name in contract.answer_extras if name in extras}


def callback_body(view: Snapshot, contract: Contract) -> dict[str, Any]:
    """Return the body of a callback: the bare task; result URLs begin with the host that the submitter used."""
    task, lifecycle = view.task, contract.lifecycle
    data = {
        "task_id": task.task_id,
        "task_status": view.status,
        "task_status_msg": task.plan.message if view.ended else "",
        "created_at": task.created_at,
        "updated_at": view.updated_at,
        "task_info": _task_info(view),
        "task_result": _task_result(view, lifecycle, task.base_url),
    }
    return _shaped(data, view, lifecycle)


def _shaped(data: dict[str, Any], view: Snapshot, lifecycle: Lifecycle) -> dict[str, Any]:
    """Return a task in the shape that its scenario gives to a success."""
    scenario = view.task.scenario
    if scenario is None or not scenario.success_shape or view.status != lifecycle.succeeded:
        return data
    return SUCCESS_SHAPES[scenario.success_shape](data, scenario.units)


def _task_info(view: Snapshot) -> dict[str, str]:
    external_task_id = view.task.external_task_id
    return {"external_task_id": external_task_id} if external_task_id else {}


def _task_result(view: Snapshot, lifecycle: Lifecycle, base_url: str) -> dict[str, Any]:
    if view.status != lifecycle.succeeded:
        return {}
    task, scenario = view.task, view.task.scenario
    number = task.n
    if scenario and scenario.most_pictures is not None:
        number = min(number, scenario.most_pictures)
    paths = (PICTURE_PATH.format(task_id=task.task_id, index=index) for index in range(number))
    if scenario and scenario.urls == "none":
        return {"images": [_without_url(index, scenario.no_url) for index in range(number)]}
    images = [{"index": index, "url": base_url + path} for index, path in enumerate(paths)]
    if task.watermark:
        images = [{**image, "watermark_url": _watermark_url(str(image["url"]))} for image in images]
    return {"images": images}


def _without_url(index: int, form: str) -> dict[str, Any]:
    if form == "missing":
        return {"index": index}
    return {"index": index, "url": None if form == "null" else ""}
