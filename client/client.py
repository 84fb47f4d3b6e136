"""The client: submit, query, wait, save."""

from __future__ import annotations

import json
import os
import random
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from .deadline import BoundedSession
from .downloads import MAX_PICTURE, download
from .errors import (
    ApiError,
    InputError,
    KlingError,
    TaskFailedError,
    TransportError,
    WaitTimeoutError,
)
from .exchange import Exchanger
from .hiding import Cleaner, Hidden
from .pictures import encode_picture, save_picture
from .reading import TASK_ID, read_answer, read_task
from .retrying import Attempts, CreateAttempts, may_pass
from .task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import requests

    Picture = str | Path | bytes

BASE_URL = "https://api.cometapi.com"
PATH = "/kling/v1/images/generations"
REQUEST_TIMEOUT = 60.0
RETRY_FOR = 60.0


class KlingClient:
    """Talks to one service with one key. Safe to keep for the life of a program; close it, or use `with`.

    `key` and `base_url` come from the arguments, else from COMETAPI_KEY and COMETAPI_BASE_URL, else the documented default.
    Requests are repeated after a pause where that is safe (`create`, `get`), for `retry_for` seconds at most. Each takes 60 s at
    most, however slowly its answer drips, and takes no answer of more than 10 MB; with a `session` of your own, what its
    adapters do counts. `sleep`, `monotonic` (both in s) and `rng` can be replaced in tests.
    """

    def __init__(
        self,
        key: str | None = None,
        base_url: str | None = None,
        *,
        session: requests.Session | None = None,
        retry_for: float = RETRY_FOR,
        sleep: Callable[[float], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        __tracebackhide__ = True
        # An empty argument is a variable that was not set, and must not lead to the paid service.
        key = self._key = Hidden(os.environ.get("COMETAPI_KEY", "") if key is None else key)
        if base_url is None:
            base_url = os.environ.get("COMETAPI_BASE_URL") or BASE_URL
        self.base_url = base_url.rstrip("/")
        if not key:
            raise InputError("no key: pass key=... or set COMETAPI_KEY")
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise InputError("the key has characters that no key has: check for a line break or a space")
        self._clean = Cleaner(key)
        self._check_base_url()
        self._exchanger = Exchanger(session or BoundedSession(), self._clean, monotonic)
        self._retry_for = retry_for
        self._sleep = sleep
        self._monotonic = monotonic
        self._rng = rng or random.Random()  # noqa: S311 - jitter

    def _check_base_url(self) -> None:
        __tracebackhide__ = True
        shown = self._clean(self.base_url, 200)
        if not self.base_url.lower().startswith(("http://", "https://")):
            raise InputError(f"the base URL {shown!r} does not begin with http:// or https://")
        try:
            parts = urlsplit(self.base_url)
            usable = bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise InputError(f"the base URL {shown!r} is not the URL of a service")
        if parts.username is not None:
            raise InputError("leave user and password out of the base URL, since it is shown: the key is an argument")

    def __repr__(self) -> str:
        """Name the service, never the key."""
        return f"KlingClient(base_url={self._clean(self.base_url)!r})"

    def __enter__(self) -> Self:
        """Use as a context manager: closes the connections at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._exchanger.session.close()

    def create(
        self,
        subjects: Sequence[Picture],
        *,
        prompt: str | None = None,
        scene_image: Picture | None = None,
        style_image: Picture | None = None,
        n: int | None = None,
        aspect_ratio: str | None = None,
        model_name: str | None = None,
        callback_url: str | None = None,
        external_task_id: str | None = None,
    ) -> Task:
        """Submit a task. A picture is a URL (str), a file (Path) or the bytes of a file (PNG or JPEG).

        It is repeated by itself only where the service says that it made nothing (1302, 1303, 5001), or was not reached.
        After anything else that leaves its fate open (reset, timeout, other 5xx) it is repeated only with an
        `external_task_id`, which cannot be paid for twice; else UnknownFateError is raised, and TaskExistsError if the
        repetition finds the id taken.
        """
        __tracebackhide__ = True
        if isinstance(subjects, (str, bytes, Path)):
            raise InputError("subjects is a list of two to four pictures, not one picture")
        for name, text in (("prompt", prompt), ("callback_url", callback_url), ("external_task_id", external_task_id)):
            if isinstance(text, str) and not _is_unicode(text):
                raise InputError(f"{name} has a character that is half of one (a lone surrogate)")
        body = {
            "subject_image_list": [{"subject_image": encode_picture(subject)} for subject in subjects],
            "model_name": model_name,
            "prompt": prompt,
            "scence_image": None if scene_image is None else encode_picture(scene_image),  # the spelling of the API
            "style_image": None if style_image is None else encode_picture(style_image),
            "n": n,
            "aspect_ratio": aspect_ratio,
            "callback_url": callback_url,
            "external_task_id": external_task_id,
        }
        return self._create({name: value for name, value in body.items() if value is not None})

    def get(self, task_id: str) -> Task:
        """Query a task; repeated on 1302, 1303, 5xx and broken connections."""
        __tracebackhide__ = True
        return self._get(task_id, self._monotonic() + self._retry_for)

    def wait(self, task: Task | str, timeout: float = 600, on_change: Callable[[Task], object] | None = None) -> Task:
        """Poll a task until it ends, for `timeout` seconds at most, or one more for the last query; `on_change` is called with every new status.

        Raises TaskFailedError and WaitTimeoutError, which carry the task, or what a query raises.
        """
        __tracebackhide__ = True
        task_id = task.task_id if isinstance(task, Task) else task
        deadline = self._monotonic() + timeout
        seen: Task | None = None
        attempts = self._until(deadline)
        while True:
            retry_until = min(deadline, self._monotonic() + self._retry_for)
            try:
                current = self._get(task_id, retry_until)
            except (TransportError, ApiError) as error:
                if retry_until < deadline or not may_pass(error):
                    raise
                raise WaitTimeoutError(task_id, timeout, seen, error) from error
            if on_change and (seen is None or seen.status != current.status):
                on_change(current)
            seen = current
            if current.failed:
                raise TaskFailedError(current)
            if current.ended:
                return current
            pause = attempts.next_pause()
            if pause is None:
                raise WaitTimeoutError(task_id, timeout, current)
            self._pause(pause)

    def save(self, task: Task, directory: str | Path, *, max_bytes: int = MAX_PICTURE) -> list[Path]:
        """Download the pictures of a task as `<task_id>-<index>.png` and return the files, in order.

        The key is not sent. A file appears only when it is complete, and takes the place of an older one. A picture of more than
        `max_bytes` raises UnexpectedAnswerError, a task without pictures InputError, a folder that cannot be written OSError.
        """
        __tracebackhide__ = True
        _check_task_id(task.task_id)
        if not task.image_urls:
            raise InputError(f"task {task.task_id} has no pictures: its status is {task.status}")
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        files = []
        for index, url in enumerate(task.image_urls):
            fetch = partial(download, self._exchanger, url, max_bytes)
            data = self._repeat(fetch, self._monotonic() + self._retry_for)
            files.append(save_picture(data, self._clean(url, 200), directory / f"{task.task_id}-{index}"))
        return files

    def _create(self, body: dict[str, Any]) -> Task:
        __tracebackhide__ = True
        data = _as_json(body)
        deadline = self._monotonic() + self._retry_for
        attempts = CreateAttempts(body.get("external_task_id"), deadline, self._monotonic, self._rng)
        while True:
            try:
                return read_task(self._call("POST", PATH, deadline, data), self._clean)
            except KlingError as error:
                pause = attempts.pause_after(error)
            self._pause(pause)

    def _get(self, task_id: str, deadline: float) -> Task:
        __tracebackhide__ = True
        _check_task_id(task_id)
        query = partial(self._call, "GET", f"{PATH}/{task_id}", deadline)
        return read_task(self._repeat(query, deadline), self._clean, wanted=task_id)

    def _repeat(self, query: Callable[[], Any], deadline: float) -> Any:
        """Call what changes nothing, again after errors that may pass, until the deadline."""
        __tracebackhide__ = True
        attempts = self._until(deadline)
        while True:
            try:
                return query()
            except (TransportError, ApiError) as error:
                pause = attempts.pause_after(error)
            self._pause(pause)

    def _call(self, method: str, path: str, deadline: float, data: bytes | None = None) -> Any:
        """Send one request and return `data` of its answer; raise for everything else."""
        __tracebackhide__ = True
        seconds = max(1.0, min(REQUEST_TIMEOUT, deadline - self._monotonic()))
        reply = self._exchanger.exchange(method, self.base_url + path, seconds=seconds, auth=self._authorize, data=data)
        return read_answer(reply, self._clean)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the key; as `auth`, since requests lets a .netrc file override a header."""
        request.headers["Authorization"] = Hidden("Bearer " + self._key)
        return request

    def _until(self, deadline: float) -> Attempts:
        return Attempts(deadline, self._monotonic, self._rng)

    def _pause(self, pause: float) -> None:
        (self._sleep or time.sleep)(pause)  # looked up now: tests replace it at any time


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_task_id(task_id: object) -> None:
    __tracebackhide__ = True
    if not isinstance(task_id, str) or not TASK_ID.fullmatch(task_id):
        raise InputError(f"{task_id!r:.60} is not a task id, which is a string of digits")


def _as_json(body: dict[str, Any]) -> bytes:
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        problem = type(error).__name__ if isinstance(error, RecursionError) else str(error)
    raise InputError(f"the request cannot be written as JSON: {problem}")
