"""The client: submit, query, wait, save."""

from __future__ import annotations

import functools
import os
import random
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import requests

from .errors import (
    ApiError,
    InputError,
    InvalidRequestError,
    KlingError,
    ServiceError,
    TaskFailedError,
    TransportError,
    WaitTimeoutError,
)
from .pictures import encode_picture, save_picture
from .reading import read_answer, read_task
from .retrying import Attempts, CreateAttempts, may_pass
from .task import Task
from .transport_errors import transport_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Picture = str | Path | bytes

BASE_URL = "https://api.cometapi.com"
PATH = "/kling/v1/images/generations"
REQUEST_TIMEOUT = 60.0
RETRY_FOR = 60.0


class KlingClient:
    """Talks to one service with one key. Safe to keep for the life of a program; close it, or use `with`.

    `key` and `base_url` come from the arguments, else from COMETAPI_KEY and COMETAPI_BASE_URL, else the documented default.
    Requests are repeated after a pause where that is safe (`create`, `get`), for `retry_for` seconds at most. `sleep`,
    `monotonic` (both in s) and `rng` can be replaced in tests.
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
        # An empty argument is a variable that was not set, and must not lead to the paid service.
        self._key = os.environ.get("COMETAPI_KEY", "") if key is None else key
        if base_url is None:
            base_url = os.environ.get("COMETAPI_BASE_URL") or BASE_URL
        self.base_url = base_url.rstrip("/")
        if not self._key:
            raise InputError("no key: pass key=... or set COMETAPI_KEY")
        if not (self._key.isascii() and self._key.isprintable()) or " " in self._key:
            raise InputError("the key has characters that no key has: check for a line break or a space")
        if not self.base_url.lower().startswith(("http://", "https://")):
            raise InputError(f"the base URL {self.base_url!r} does not begin with http:// or https://")
        self._session = session or requests.Session()
        self._retry_for = retry_for
        self._sleep = sleep
        self._monotonic = monotonic
        self._rng = rng or random.Random()  # noqa: S311 - jitter

    def __repr__(self) -> str:
        """Name the service, never the key."""
        return f"KlingClient(base_url={self.base_url!r})"

    def __enter__(self) -> Self:
        """Use as a context manager: closes the connections at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

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
        return self._get(task_id, self._monotonic() + self._retry_for)

    def wait(self, task: Task | str, timeout: float = 600, on_change: Callable[[Task], object] | None = None) -> Task:
        """Poll a task until it ends, for `timeout` seconds at most; `on_change` is called with every new status.

        Raises TaskFailedError and WaitTimeoutError, which carry the task, or what a query raises.
        """
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

    def save(self, task: Task, directory: str | Path) -> list[Path]:
        """Download the pictures of a task as `<task_id>-<index>.png` and return the files, in order.

        The key is not sent. A file appears only when it is complete. Raises InputError if the task has no pictures.
        """
        if not task.image_urls:
            raise InputError(f"task {task.task_id} has no pictures: its status is {task.status}")
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        files = []
        for index, url in enumerate(task.image_urls):
            data = self._repeat(functools.partial(self._download, url), self._monotonic() + self._retry_for)
            files.append(save_picture(data, url, directory / f"{task.task_id}-{index}"))
        return files

    def _create(self, body: dict[str, Any]) -> Task:
        deadline = self._monotonic() + self._retry_for
        attempts = CreateAttempts(body.get("external_task_id"), deadline, self._monotonic, self._rng)
        while True:
            try:
                return read_task(self._call("POST", PATH, deadline, body))
            except KlingError as error:
                pause = attempts.pause_after(error)
            self._pause(pause)

    def _get(self, task_id: str, deadline: float) -> Task:
        if not isinstance(task_id, str) or not re.fullmatch(r"[\w-]+", task_id, re.ASCII):
            raise InputError(f"{task_id!r:.60} is not a task id, which is a string of digits")
        return read_task(self._repeat(lambda: self._call("GET", f"{PATH}/{task_id}", deadline), deadline))

    def _repeat(self, query: Callable[[], Any], deadline: float) -> Any:
        """Call what changes nothing, again after errors that may pass, until the deadline."""
        attempts = self._until(deadline)
        while True:
            try:
                return query()
            except (TransportError, ApiError) as error:
                pause = attempts.pause_after(error)
            self._pause(pause)

    def _call(self, method: str, path: str, deadline: float, body: dict[str, Any] | None = None) -> Any:
        """Send one request and return `data` of its answer; raise for everything else."""
        timeout = max(1.0, min(REQUEST_TIMEOUT, deadline - self._monotonic()))
        try:
            response = self._session.request(
                method, self.base_url + path, json=body, auth=self._authorize, timeout=timeout, allow_redirects=False
            )
        except (requests.exceptions.InvalidJSONError, TypeError) as error:
            raise InputError(f"the request cannot be written as JSON: {error}") from None
        except requests.RequestException as error:
            raise transport_error(self.base_url, error) from None
        return read_answer(response, self._key)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the key; as `auth`, since requests lets a .netrc file override a header."""
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def _download(self, url: str) -> bytes:
        try:
            response = self._session.get(url, timeout=REQUEST_TIMEOUT, auth=lambda request: request)
        except requests.RequestException as error:
            raise transport_error(url, error) from None
        status = response.status_code
        if status != 200:
            expired = "; results expire after 30 days" if status == 403 else ""
            family = (
                ServiceError if status >= 500 else InvalidRequestError
            )  # the host of the pictures is none of the API
            raise family(
                f"{url}: the picture was not served{expired}",
                code=status,
                http_status=status,
                request_id="",
                retryable=status >= 500,
            )
        return response.content

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
