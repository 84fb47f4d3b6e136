"""A create once more, as command lines and as a program that run as they are: the key comes from the environment, pictures from the simulator."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FIRST_PROMPT = "Two friends walk through a park"
KEYS = {"kling": "KLING_API_KEY"}
"""Variable of the environment with the key, by the contract of the task; others have COMETAPI_KEY."""
SPECIAL = re.compile(r"[\\$`]")
"""What a shell looks for in text between the words that end it."""
FETCHING = """

def picture(url):
    token = os.environ.get("KLINGKIT_CONTROL_TOKEN")
    answer = requests.get(url, headers={"Klingkit-Token": token}, timeout=30)
    answer.raise_for_status()
    return base64.b64encode(answer.content).decode()
"""
READING = """

def file(name):
    with open(name, "rb") as opened:
        return base64.b64encode(opened.read()).decode()
"""
NOT_SHOWN = "PUT-THE-QUERY-OF-YOUR-URL-HERE"
"""In a copy, in place of what is not shown of a URL."""
ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}


class File(NamedTuple):
    """Stands in a body for the Base64 of a picture."""

    name: str
    url: str = ""
    """Where it is fetched from; empty if it is not kept, so that whoever sends it puts a file there."""


def again(task: dict[str, Any], origin: str) -> dict[str, Any]:
    """Return a task's create as curl and as Python, sent to where the page stands, and what must be put in by hand before they run."""
    body: dict[str, Any] = {"prompt": task["prompt"], "n": task["n"], "aspect_ratio": task["aspect_ratio"]}
    files = []
    for picture in task["inputs"]:
        if picture["url"]:
            _put(body, picture["place"], picture["url"].replace("?...", f"?{NOT_SHOWN}"))
        else:
            files.append(_file(picture, origin))
            _put(body, picture["place"], files[-1])
    if task["callback_url"]:
        body["callback_url"] = task["callback_url"]
    key = KEYS.get(task["contract"].partition("+")[0], "COMETAPI_KEY")
    url = origin + urlsplit(task["create_url"]).path
    return {
        "curl": as_curl(url, body, key, files),
        "python": as_python(url, body, key),
        "key": key,
        "missing": [file.name for file in files if not file.url],
        "hidden": NOT_SHOWN if any((picture["url"] or "").endswith("?...") for picture in task["inputs"]) else "",
        "without_external_id": bool(task["external_task_id"]),
    }


def _file(picture: dict[str, Any], origin: str) -> File:
    ending = ENDINGS.get(picture["media_type"] or "")  # none of what is no picture, which cannot be fetched either
    return File(f"input-{picture['number']}.{ending or 'png'}", origin + picture["address"] if ending else "")


def _put(body: dict[str, Any], place: list[str | int], value: str | File) -> None:
    """Put a value where it stood in a request; items of a list come in order."""
    inside: Any = body
    for step, following in pairwise(place):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(inside, list):
            if len(inside) <= int(step):
                inside.append(empty)
            inside = inside[-1]
        else:
            inside = inside.setdefault(step, empty)
    if isinstance(inside, list):
        inside.append(value)
    else:
        inside[place[-1]] = value


def as_curl(url: str, body: dict[str, Any], key: str, files: Iterable[File] = ()) -> str:
    """Return commands for any POSIX shell: pictures are fetched to files; the body comes by its input, since one is too long for an argument."""
    control = '-H "Klingkit-Token: ${KLINGKIT_CONTROL_TOKEN:-}"'
    fetched = "".join(f"curl -fsSo {file.name} {shlex.quote(file.url)} {control} &&\n" for file in files if file.url)
    headers = f'-H "Authorization: Bearer ${{{key}:-any}}" -H "Content-Type: application/json"'
    return f"{fetched}curl -s {shlex.quote(url)} {headers} --data-binary @- <<END\n{_written(body, _for_shell)}\nEND"


def _for_shell(value: Any) -> str:
    """Return JSON in which a shell, which reads it, replaces nothing but files."""
    if isinstance(value, File):
        return f"\"$(base64 < {value.name} | tr -d '\\n')\""
    return SPECIAL.sub(r"\\\g<0>", json.dumps(value))


def as_python(url: str, body: dict[str, Any], key: str) -> str:
    """Return a program for `requests`."""
    json_body = _written(body, _for_python, 4)
    reads = FETCHING * ("picture(" in json_body) + READING * ("file(" in json_body)
    imports = "import base64\n" * bool(reads) + "import os\n\nimport requests\n"
    return (
        f"{imports}{reads}\n{chr(10) * bool(reads)}answer = requests.post(\n    {url!a},\n"
        f'    headers={{"Authorization": "Bearer " + os.environ.get({key!a}, "any")}},\n'
        f"    json={json_body},\n)\nprint(answer.status_code, answer.text)"
    )


def _for_python(value: Any) -> str:
    if isinstance(value, File):
        return f"picture({value.url!a})" if value.url else f"file({value.name!a})"
    return ascii(value)


def _written(value: Any, leaf: Callable[[Any], str], indent: int = 0) -> str:
    """Return a body over several lines, in ASCII; what is no object and no list is written by `leaf`."""
    if isinstance(value, dict):
        rows, ends = [f"{leaf(name)}: {_written(each, leaf, indent + 4)}" for name, each in value.items()], "{}"
    elif isinstance(value, list):
        rows, ends = [_written(each, leaf, indent + 4) for each in value], "[]"
    else:
        return leaf(value)
    inner = " " * (indent + 4)
    return f"{ends[0]}\n{inner}" + f",\n{inner}".join(rows) + f"\n{' ' * indent}{ends[1]}"
