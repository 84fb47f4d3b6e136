"""A request of the API, made of what somebody has filled in, and what it was answered.

It is sent as it is, wrong values too: to see what the service makes of them is the point.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from ..auth import fits_header
from ..control.asking import ControlError
from ..request_state import HttpAnswer
from .ask import Outcome
from .create_operation import create_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from _typeshed.wsgi import WSGIApplication

    Call = Callable[[str, str | None, dict[str, Any]], Any]
    Uploads = Mapping[str, Sequence[bytes]]

FORM = "try_it"
"""Name of the screen, and of its form."""
KEY = "sk-try-it"
"""With what is tried, unless somebody types another one."""
FILES = ("subjects", "scene", "style")
TEXTS = ("prompt", "n", "aspect_ratio", "external_task_id", "callback_url")
"""Fields of the form that are fields of the request too; what is empty is not sent."""
SEEN = ("SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "HTTP_HOST", "wsgi.url_scheme", "wsgi.errors")
"""What a request of the API has from that for the page."""
FAULTS = {
    "reset": "The connection is reset before the answer: a client gets nothing of it.",
    "reset-within": "The connection is reset after the first bytes: a client gets only those.",
    "cut": "The answer ends in the middle: a client gets only its first half.",
    "drip": "A client gets it a byte at a time.",
    "delay": "A client gets it late.",
}


class Wanted(NamedTuple):
    """A request of the API."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Tried:
    """What a request was answered, and what explains it."""

    http: int
    headers: list[tuple[str, str]]
    """Those of klingkit, and the id of the request."""
    body: str
    task_id: str
    entry: dict[str, Any] | None
    """The request in the journal; None where it is not kept any more."""
    request: str
    """Its body, as the journal has it; long texts are replaced."""
    fault: str
    """What a client would have noticed of it on the wire; empty if nothing."""


def tried(call: Call, fields: Mapping[str, str], uploads: Uploads, send: Callable[[Wanted], HttpAnswer]) -> Outcome:
    """Send the request that is filled in; what comes of it never holds the key."""
    shown = {name: value for name, value in fields.items() if name != "key" or value == KEY}
    try:
        chosen = {"contract": fields["contract"]} if fields.get("contract") else {}
        wanted = request_of(call("get_api", None, chosen), fields, uploads)
    except ControlError as error:
        return Outcome(FORM, shown, error=str(error))
    answer = send(wanted)
    return Outcome(FORM, shown, _told(call, answer))


def request_of(document: Mapping[str, Any], fields: Mapping[str, str], uploads: Uploads) -> Wanted:
    """Return the create that is filled in, as a contract has it. Raises ControlError for what no header can carry."""
    path, schema = create_operation(document)
    names = {each["x-role"]: name for name, each in schema["properties"].items() if "x-role" in each}
    body: dict[str, Any] = {name: fields[name] for name in TEXTS if fields.get(name)}
    if body.get("n", "").isdecimal():
        body["n"] = int(body["n"][:30])
    if uploads["subjects"]:
        body["subject_image_list"] = [{"subject_image": _encoded(data)} for data in uploads["subjects"]]
    for role in ("scene", "style"):
        if uploads[role]:
            body[names[role]] = _encoded(uploads[role][0])
    return Wanted(path, _headers(fields), json.dumps(body).encode())


def sent(app: WSGIApplication, seen: Mapping[str, Any], wanted: Wanted) -> HttpAnswer:
    """Let an application answer a request of the API as if a client had sent it to where the page was `seen`."""
    environ = {name: seen[name] for name in SEEN if name in seen}
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in wanted.headers.items()}
    environ |= {"REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "PATH_INFO": wanted.path, "QUERY_STRING": ""}
    environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(wanted.body))}
    environ |= {"wsgi.input": BytesIO(wanted.body), "wsgi.input_terminated": True}
    begun: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], object]:
        begun[:] = [int(status[:3]), headers]
        return lambda _: None

    body = b"".join(app(environ, start_response))
    return HttpAnswer(body, *begun)


def _headers(fields: Mapping[str, str]) -> dict[str, str]:
    key, scenario = fields.get("key", ""), fields.get("scenario", "").strip()
    headers = {"User-Agent": "klingkit-page"}
    if key and not fits_header(key):
        raise ControlError("key: a header carries ASCII characters only")
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if scenario and ('"' in scenario or not scenario.isprintable()):
        raise ControlError(
            'scenario: the header Prefer carries no " and nothing that cannot be printed; queue it instead'
        )
    if scenario:
        headers["Prefer"] = f'scenario="{scenario}"'.encode().decode("latin-1")  # as WSGI has headers
    return headers


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _told(call: Call, answer: HttpAnswer) -> Tried:
    headers = [(name, text) for name, text in answer.headers if _explains(name)]
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    request_id = next((text for name, text in headers if name.lower().endswith("request-id")), "")
    request_id = request_id or str(body.get("request_id", "") if isinstance(body, dict) else "")
    entries = call("list_journal", None, {"request_id": request_id, "limit": 1})["entries"] if request_id else []
    entry = entries[0] if entries else None
    return Tried(
        answer.http,
        headers,
        answer.body.decode(errors="replace") if body is None else _readable(body),
        entry["task_id"] if entry else _task_in(body),
        entry,
        _readable(entry["request"]) if entry else "",
        FAULTS.get(entry["fault"], "") if entry else "",
    )


def _task_in(body: Any) -> str:
    """Return the id of the task that an answer tells of; empty if there is none."""
    data = body.get("data") if isinstance(body, dict) else None
    return str(data.get("task_id", "")) if isinstance(data, dict) else ""


def _readable(body: Any) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)


def _explains(name: str) -> bool:
    return name.lower().startswith("klingkit-") or name.lower().endswith(("request-id", "retry-after"))
