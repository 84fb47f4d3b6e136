"""Faults to plant into the stand-in: each contradicts something that is documented or recorded, and says what the kit must name."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from tests.stand_in.checks import RATIOS, size_of
from tests.stand_in.refusals import Refused
from tests.stand_in.tasks import draw

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stand_in import Delivery, StandIn
    from tests.stand_in.tasks import Task

    Plant = Callable[[StandIn], None]

FAULTS: dict[str, tuple[Plant, str]] = {}
"""By name: what plants it, and the requirements that the kit must name, with a space between."""


def _breaks(requirements: str) -> Callable[[Plant], Plant]:
    def note(plant: Plant) -> Plant:
        FAULTS[plant.__name__.replace("_", "-")] = plant, requirements
        return plant

    return note


def _instead(owner: object, name: str, new: Callable[..., Any]) -> None:
    """Let a method be answered by another, which is given the right one first."""
    right = getattr(owner, name)
    setattr(owner, name, lambda *given: new(right, *given))


# Pictures


@_breaks("task.picture")
def wrong_ratio(service: StandIn) -> None:
    _instead(
        service, "drawn", lambda right, task, index: draw((800, 600) if task.ratio != "4:3" else (600, 800), "any")
    )


@_breaks("task.picture")
def cut_off(service: StandIn) -> None:
    _instead(service, "drawn", lambda right, task, index: right(task, index)[:-400])


@_breaks("task.picture")
def jpeg(service: StandIn) -> None:
    def drawn(right: Callable[..., bytes], task: Task, index: int) -> bytes:
        file = io.BytesIO()
        Image.open(io.BytesIO(right(task, index))).save(file, "JPEG")
        return file.getvalue()

    _instead(service, "drawn", drawn)


# What is asked


@_breaks("prompt.maxLength")
def prompt_2400(service: StandIn) -> None:
    _instead(service.checks, "prompt", lambda right, given, longest: right(given, longest - 100))


@_breaks("prompt.maxLength")
def prompt_2600(service: StandIn) -> None:
    _instead(service.checks, "prompt", lambda right, given, longest: right(given, longest + 100))


@_breaks("aspect_ratio.enum")
def no_21_9(service: StandIn) -> None:
    def ratio(right: Callable[..., str], given: dict[str, Any]) -> str:
        asked = right(given)
        if asked == "21:9":
            raise service.refusals.not_in_enum("aspect_ratio", asked, ("16:9",))
        return asked

    _instead(service.checks, "ratio", ratio)


@_breaks("aspect_ratio.enum")
def any_ratio(service: StandIn) -> None:
    def ratio(right: Callable[..., str], given: dict[str, Any]) -> str:
        return right(given if given.get("aspect_ratio") in RATIOS or not _is_text(given, "aspect_ratio") else {})

    _instead(service.checks, "ratio", ratio)


def _is_text(given: dict[str, Any], name: str) -> bool:
    return isinstance(given.get(name), str)


@_breaks("model_name.enum")
def any_model(service: StandIn) -> None:
    _instead(service.checks, "model", lambda right, given: right({} if _is_text(given, "model_name") else given))


@_breaks("external_task_id.unique")
def ids_used_twice(service: StandIn) -> None:
    _instead(service, "unique", lambda right, account, external_id: None)


@_breaks("account.isolation")
def ids_of_everybody(service: StandIn) -> None:
    _instead(service, "unique", lambda right, account, external_id: right("everybody", external_id))
    _instead(service, "take", lambda right, account, external_id: right("everybody", external_id))


@_breaks("subject_image_list.items.subject_image.base64 scence_image.base64 style_image.base64")
def data_url(service: StandIn) -> None:
    _instead(service.checks, "decode", lambda right, picture: right(picture.rpartition(",")[2]))


@_breaks("subject_image_list.items.subject_image.pixels scence_image.pixels style_image.pixels")
def pixels_of_250(service: StandIn) -> None:
    def reason(right: Callable[..., str], picture: str) -> str:
        why = right(picture)
        size = size_of(service.checks.decode(picture) or b"") if why.startswith("Image pixel") else None
        return "" if size and 250 <= min(size) < 300 else why

    _instead(service.checks, "reason", reason)


@_breaks("request.unknown_fields")
def unknown_field(service: StandIn) -> None:
    def wish(right: Callable[..., Any], body: dict[str, Any]) -> Any:
        known = {"subject_image_list", "model_name", "prompt", "style_image", "n", "aspect_ratio", "callback_url"}
        odd = body.keys() - known - {"external_task_id", service.checks.terms.scene}
        if odd:
            raise service.refusals.known(f"{min(odd)} is unknown")
        return right(body)

    _instead(service.checks, "wish", wish)


@_breaks("subject_image_list.maxItems")
def five_subjects(service: StandIn) -> None:
    def subjects(right: Callable[..., Any], given: dict[str, Any]) -> Any:
        items = given.get("subject_image_list")
        return right(given | {"subject_image_list": items[:4]} if isinstance(items, list) else given)

    _instead(service.checks, "subjects", subjects)


# What is answered


@_breaks("prompt.maxLength")
def status_for_prompt(service: StandIn) -> None:
    _other_refusal(service, "prompt: size", lambda right: Refused(422, right.code, right.text))


@_breaks("external_task_id.unique")
def code_for_duplicate(service: StandIn) -> None:
    _other_refusal(service, "External_task_id", lambda right: Refused(400, 1203, right.text))


@_breaks("external_task_id.unique")
def text_for_duplicate(service: StandIn) -> None:
    _other_refusal(service, "External_task_id", lambda right: Refused(400, 1201, "this id is in use"))


@_breaks("subject_image_list.items.subject_image.base64 scence_image.base64 style_image.base64")
def text_for_base64(service: StandIn) -> None:
    _other_refusal(service, "File is not", lambda right: Refused(400, 1201, "The file is not Base64"))


def _other_refusal(service: StandIn, begins: str, other: Callable[[Refused], Refused]) -> None:
    def refused(right: Callable[..., Any], refusal: Refused, *rest: Any) -> Any:
        return right(other(refusal) if refusal.text.startswith(begins) else refusal, *rest)

    _instead(service, "refused", refused)


@_breaks("authorization.bearer")
def any_key(service: StandIn) -> None:
    _instead(service.keys, "token", lambda right, header: right("Bearer sk-first" if "unknown" in header else header))


@_breaks("path.known")
def json_for_a_wrong_path(service: StandIn) -> None:
    _instead(service.refusals, "wrong_path", lambda right: Refused(404, 404, "not found"))


@_breaks("answer.schema")
def other_word_of_success(service: StandIn) -> None:
    _changed_answer(service, lambda body: body | {"message": "SUCCESS"})


@_breaks("answer.schema")
def request_id_of_digits(service: StandIn) -> None:
    _changed_answer(service, lambda body: body | {"request_id": "20260205132859798638387"})


def _changed_answer(service: StandIn, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    def succeeded(right: Callable[..., Any], data: Any) -> Any:
        response = right(data)
        response.data = json.dumps(change(response.json))
        return response

    _instead(service, "succeeded", succeeded)


# Tasks


def _changed(service: StandIn, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    _instead(service.bodies, name, lambda right, *given: change(right(*given)))


@_breaks("answer.schema")
def no_updated_at(service: StandIn) -> None:
    _changed(service, "queried", lambda body: {name: value for name, value in body.items() if name != "updated_at"})


@_breaks("answer.schema callback.body")
def seconds(service: StandIn) -> None:
    for name in ("created", "queried", "told"):
        _changed(service, name, lambda body: body | {at: body[at] // 1000 for at in ("created_at", "updated_at")})


@_breaks("answer.schema")
def id_as_number(service: StandIn) -> None:
    _changed(service, "created", lambda body: body | {"task_id": int(body["task_id"])})


@_breaks("task.status answer.schema")
def other_spelling(service: StandIn) -> None:
    for name in ("queried", "told"):
        _changed(
            service,
            name,
            lambda body: body | {"task_status": body["task_status"].replace("succeed", "succeeded")},
        )


@_breaks("task.status")
def backwards(service: StandIn) -> None:
    seen: dict[str, int] = {}

    def queried(right: Callable[..., dict[str, Any]], task: Task, now: float) -> dict[str, Any]:
        body = right(task, now)
        seen[task.task_id] = seen.get(task.task_id, 0) + (body["task_status"] == "processing")
        return body | (
            {"task_status": "submitted"} if seen[task.task_id] == 2 and body["task_status"] == "processing" else {}
        )

    _instead(service.bodies, "queried", queried)


@_breaks("task.external_id")
def external_id_forgotten(service: StandIn) -> None:
    _instead(service.bodies, "info", lambda right, task: {})


@_breaks("task.failure answer.schema callback.body")
def reason_in_another_place(service: StandIn) -> None:
    def queried(right: Callable[..., dict[str, Any]], task: Task, now: float) -> dict[str, Any]:
        body = right(task, now)
        return body | {"task_status_msg": "", "task_result": {"reason": task.failure}} if task.failure else body

    _instead(service.bodies, "queried", queried)


@_breaks("task.failure")
def other_reason(service: StandIn) -> None:
    _instead(
        service.checks,
        "reason",
        lambda right, picture: right(picture).replace("Image pixel is invalid", "The image is too small"),
    )


# Callbacks


@_breaks("callback.body")
def callback_in_an_envelope(service: StandIn) -> None:
    _changed_delivery(service, lambda body: {"code": 0, "message": "SUCCEED", "request_id": "1", "data": body})


@_breaks("callback.body")
def callback_of_another_time(service: StandIn) -> None:
    _changed_delivery(service, lambda body: body | {"created_at": body["created_at"] + 5000})


@_breaks("callback.body")
def callback_with_another_picture(service: StandIn) -> None:
    def change(body: dict[str, Any]) -> dict[str, Any]:
        images = body["task_result"].get("images", [])
        return body | ({"task_result": {"images": [*images, *images]}} if images else {})

    _changed_delivery(service, change)


@_breaks("callback.body")
def callback_as_text(service: StandIn) -> None:
    def delivery(right: Callable[..., Delivery], *given: Any) -> Delivery:
        return replace(right(*given), headers={"Content-Type": "text/plain"})

    _instead(service, "delivery", delivery)


@_breaks("callback.address")
def callback_elsewhere(service: StandIn) -> None:
    def delivery(right: Callable[..., Delivery], *given: Any) -> Delivery:
        right_one = right(*given)
        return replace(right_one, url=right_one.url.partition("?")[0])

    _instead(service, "delivery", delivery)


def _changed_delivery(service: StandIn, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    def delivery(right: Callable[..., Delivery], *given: Any) -> Delivery:
        right_one = right(*given)
        return replace(right_one, body=json.dumps(change(json.loads(right_one.body))).encode())

    _instead(service, "delivery", delivery)
