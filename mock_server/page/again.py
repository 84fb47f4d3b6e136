"""A create once more, as command lines and as a program that run as they are: the key comes from the environment, pictures from files."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_PROMPT = "Two friends walk through a park"
KEYS = {"kling": "KLING_API_KEY"}
"""Variable of the environment with the key, by the contract of the task; others have COMETAPI_KEY."""
SPECIAL = re.compile(r"[\\$`]")
"""What a shell looks for in text between the words that end it."""
READING = """import base64
import os

import requests


def picture(name):
    with open(name, "rb") as file:
        return base64.b64encode(file.read()).decode()
"""
ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}


class File(NamedTuple):
    """Stands in a body for the Base64 of a file."""

    name: str


def again(task: dict[str, Any], origin: str) -> dict[str, Any]:
    """Return a task's create as curl and as Python, sent to where the page stands, and the files that both read, each with the address of what lies in it."""
    body: dict[str, Any] = {"prompt": task["prompt"], "n": task["n"], "aspect_ratio": task["aspect_ratio"]}
    files = {}
    for picture in task["inputs"]:
        value: str | File | None = picture["url"]
        if value is None:
            name = f"input-{picture['number']}.{ENDINGS.get(picture['media_type'] or '', 'png')}"
            files[name] = picture["address"]
            value = File(name)
        _put(body, picture["place"], value)
    if task["callback_url"]:
        body["callback_url"] = task["callback_url"]
    key = KEYS.get(task["contract"].partition("+")[0], "COMETAPI_KEY")
    url = origin + urlsplit(task["create_url"]).path
    return {
        "curl": as_curl(url, body, key),
        "python": as_python(url, body, key),
        "files": files,
        "without_external_id": bool(task["external_task_id"]),
    }


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


def as_curl(url: str, body: dict[str, Any], key: str) -> str:
    """Return a command for any POSIX shell; the body comes by its input, since a picture is too long for an argument."""
    headers = f'-H "Authorization: Bearer ${{{key}:-any}}" -H "Content-Type: application/json"'
    return f"curl -s {shlex.quote(url)} {headers} --data-binary @- <<END\n{_written(body, _for_shell)}\nEND"


def _for_shell(value: Any) -> str:
    """Return JSON in which a shell, which reads it, replaces nothing but files."""
    if isinstance(value, File):
        return f"\"$(base64 < {value.name} | tr -d '\\n')\""
    return SPECIAL.sub(r"\\\g<0>", json.dumps(value))


def as_python(url: str, body: dict[str, Any], key: str) -> str:
    """Return a program for `requests`."""
    json_body = _written(body, _for_python, 4)
    begin = f"{READING}\n\n" if "picture(" in json_body else "import os\n\nimport requests\n\n"
    return (
        f"{begin}answer = requests.post(\n    {url!a},\n"
        f'    headers={{"Authorization": "Bearer " + os.environ.get({key!a}, "any")}},\n'
        f"    json={json_body},\n)\nprint(answer.status_code, answer.text)"
    )


def _for_python(value: Any) -> str:
    return f"picture({value.name!a})" if isinstance(value, File) else ascii(value)


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
