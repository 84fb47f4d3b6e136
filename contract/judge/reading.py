"""Read an answer that may say anything: its envelope, code and message, task id and pictures.

The functions take the JSON of a body where they can: a recording has kept no more than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..printable import printable
from .deviation import shown

if TYPE_CHECKING:
    from ..targets.target import Reply


def envelope_of(body: Any) -> str:
    """Name the envelope that an answer comes in, as the error catalogue does; `success`, or `none` for no JSON object."""
    if not isinstance(body, dict):
        return "none"
    if isinstance(body.get("error"), str) and "path" in body:
        return "unrouted"
    if "error" in body:
        return "gateway"
    code = body.get("code")
    if isinstance(code, str) and "request_id" not in body:
        return "task"
    return "success" if code == 0 else "kling"


def inner_of(body: Any) -> dict[str, Any]:
    """Return what holds code and message: the body itself, or its `error` in the envelope of the gateway."""
    if not isinstance(body, dict):
        return {}
    if envelope_of(body) == "unrouted":
        return {"code": body["error"], "message": body.get("message")}
    inner = body.get("error", body)
    return inner if isinstance(inner, dict) else {}


def code_and_message(http: int, body: Any) -> str:
    """Return status, code and message of a refusal in a few words."""
    inner = inner_of(body)
    code = inner.get("code")
    return f"{http}{f'/{shown(code)}' if code not in ('', None) else ''} {shown(inner.get('message'))}"


def task_id_of(reply: Reply) -> str:
    """Return the id of the task that a reply speaks of, however oddly; empty if there is none."""
    body = reply.body if isinstance(reply.body, dict) else {}
    found = reply.data.get("task_id", body.get("task_id"))
    return printable(str(found)) if isinstance(found, (str, int)) and 200 <= reply.http < 300 else ""


def results_of(data: dict[str, Any]) -> list[Any]:
    """Return what stands in the list of a task's results, whatever it is; empty if there is no list."""
    result = data.get("task_result")
    images = result.get("images") if isinstance(result, dict) else None
    return images if isinstance(images, list) else []


def images_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the results of a task; empty if there are none, or not in the form of a list of objects."""
    return [image for image in results_of(data) if isinstance(image, dict)]


def describe(reply: Reply) -> str:
    """Say in a few words what a reply is."""
    if isinstance(reply.body, dict):
        inner = inner_of(reply.body)
        if task_id := task_id_of(reply):
            return f"{reply.http}, task {task_id}"
        if "code" not in inner and "message" not in inner:
            return f"{reply.http}, JSON without code and message"
        return code_and_message(reply.http, reply.body)
    if 300 <= reply.http < 400:
        return f"{reply.http}, a redirect"
    if reply.more:
        return f"{reply.http}, {size_of(reply)}"
    return f"{reply.http}, {'a page' if is_page(reply) else 'no JSON object'}"


def size_of(reply: Reply) -> str:
    """Say how long a body is, as far as it was read."""
    return f"{'more than ' if reply.more else ''}{len(reply.content)} bytes"


def is_page(reply: Reply) -> bool:
    """Tell whether a reply looks like a page instead of JSON."""
    return not isinstance(reply.body, dict) and b"<" in reply.content[:200]
