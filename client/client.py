"""The client: submit, query, wait, save."""

from __future__ import annotations

import os
import random
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from .address import check_base_url, check_task_id, segment_of
from .credentials import credential_of
from .deadline import BoundedSession
from .dialect import dialect_of
from .downloads import MAX_PICTURE, download
from .errors import (
    ApiError,
    InputError,
    KlingError,
    TaskFailedError,
    TransportError,
    UnexpectedAnswerError,
    UnknownFateError,
    WaitTimeoutError,
)
from .exchange import Exchanger
from .hiding import Cleaner, Hidden
from .pictures import save_picture
from .reading import read_task, read_tasks
from .request_body import request_body
from .retrying import may_pass
from .service import Service
from .task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import requests

    from .pictures import Picture

    Tasks = list[Task]
    Files = list[Path]

RETRY_FOR = 60.0
MOST_PAGES, MOST_ON_A_PAGE = 1000, 500


class KlingClient:
    """Talks to one service with one key. Safe to keep for the life of a program; close it, or use `with`.

    It speaks the contract `cometapi` (the default), `cometapi-2026` or `kling`, the vendor's own, which a pair of keys means too:
    `access_key` and `secret_key` sign a token (JWT), anew before it expires. Each argument is the same for all three, and what
    the contract does not have raises InputError before anything is sent.

    Keys and `base_url` come from the arguments, else from COMETAPI_KEY and COMETAPI_BASE_URL, for `kling` from KLING_ACCESS_KEY
    and KLING_SECRET_KEY or KLING_API_KEY, and KLING_BASE_URL; else the base URL is the documented one.
    Requests are repeated after a pause where that is safe (`create`, queries), for `retry_for` seconds at most. Each takes 60 s
    at most, however slowly its answer drips, and takes no answer of more than 10 MB; with a `session` of your own, what its
    adapters do counts. `sleep`, `monotonic` (both in s), `now` (Unix s, for tokens) and `rng` can be replaced in tests.
    """

    def __init__(
        self,
        key: str | None = None,
        base_url: str | None = None,
        *,
        contract: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        session: requests.Session | None = None,
        retry_for: float = RETRY_FOR,
        sleep: Callable[[float], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        __tracebackhide__ = True
        key, secret_key = (None if text is None else Hidden(text) for text in (key, secret_key))
        paired = access_key is not None or secret_key is not None
        self._dialect = dialect_of(contract or ("kling" if paired else "cometapi"))
        credential = credential_of(self._dialect.name, key, access_key, secret_key, now)
        if base_url is None:
            base_url = os.environ.get(self._dialect.base_url_variable) or self._dialect.base_url
        self.base_url = base_url.rstrip("/")
        self._clean = Cleaner(credential.secrets)
        check_base_url(self.base_url, self._clean)
        self._exchanger = Exchanger(session or BoundedSession(), self._clean, monotonic)
        rng = rng or random.Random()  # noqa: S311 - jitter
        self._service = Service(self.base_url, credential, self._exchanger, sleep=sleep, monotonic=monotonic, rng=rng)
        self._monotonic = monotonic
        self._retry_for = retry_for

    @property
    def contract(self) -> str:
        """Name of the contract that is spoken."""
        return self._dialect.name

    def __repr__(self) -> str:
        """Name the service, never the key."""
        return f"KlingClient(base_url={self._clean(self.base_url)!r}, contract={self.contract!r})"

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
        negative_prompt: str | None = None,
        scene_image: Picture | None = None,
        style_image: Picture | None = None,
        n: int | None = None,
        aspect_ratio: str | None = None,
        model_name: str | None = None,
        watermark: bool | None = None,
        callback_url: str | None = None,
        external_task_id: str | None = None,
    ) -> Task:
        """Submit a task. A picture is a URL (str), a file (Path) or the bytes of a file (PNG or JPEG).

        `cometapi` has no `negative_prompt` and no `watermark`; `kling` takes the former and ignores it.

        It is repeated by itself only where the service says that it made nothing (1302, 1303, 5001, an expired token), or was not
        reached. After anything else that leaves its fate open (reset, timeout, other 5xx) it is repeated only with an
        `external_task_id`, which cannot be paid for twice; else UnknownFateError is raised, and TaskExistsError if the
        repetition finds the id taken. `kling` is then asked for the task of that id, and if there is one, it is returned: never
        give an id of an earlier task.
        """
        __tracebackhide__ = True
        body = request_body(
            self._dialect,
            subjects,
            {
                "model_name": model_name,
                "prompt": prompt,
                "negative_prompt": negative_prompt,
                "scene_image": scene_image,
                "style_image": style_image,
                "n": n,
                "aspect_ratio": aspect_ratio,
                "watermark": watermark,
                "callback_url": callback_url,
                "external_task_id": external_task_id,
            },
        )
        deadline = self._monotonic() + self._retry_for
        try:
            return self._service.create(self._dialect.path, body, external_task_id, deadline)
        except UnknownFateError as error:
            if not (external_task_id and self._dialect.finds_tasks):
                raise
            unknown = error
        try:
            return self._get_by_external_id(external_task_id, deadline)
        except KlingError:
            raise unknown from unknown.__cause__

    def get(self, task_id: str | None = None, *, external_task_id: str | None = None) -> Task:
        """Query a task by its id, or by yours (`kling` only); repeated on 1302, 1303, 5xx and broken connections.

        Raises UnknownTaskError if there is none.
        """
        __tracebackhide__ = True
        if (task_id is None) == (external_task_id is None):
            raise InputError("pass a task_id, or an external_task_id, and not both")
        deadline = self._monotonic() + self._retry_for
        if external_task_id is None:
            return self._get(task_id, deadline)
        self._dialect.check_finds_tasks("query by external_task_id")
        return self._get_by_external_id(external_task_id, deadline)

    def list(self, page: int = 1, page_size: int = 30) -> Tasks:
        """List tasks of the account, page by page (1 to 1000), with 1 to 500 on each; `kling` only. Repeated as a query is."""
        __tracebackhide__ = True
        self._dialect.check_finds_tasks("list of tasks")
        for name, number, most in (("page", page, MOST_PAGES), ("page_size", page_size, MOST_ON_A_PAGE)):
            if type(number) is not int or not 1 <= number <= most:
                raise InputError(f"{name} is a number from 1 to {most}, not {number!r:.60}")
        deadline = self._monotonic() + self._retry_for
        path = f"{self._dialect.path}?pageNum={page}&pageSize={page_size}"
        return read_tasks(self._service.query(path, deadline), self._clean)

    def wait(self, task: Task | str, timeout: float = 600, on_change: Callable[[Task], object] | None = None) -> Task:
        """Poll a task until it ends, for `timeout` seconds at most, or one more for the last query; `on_change` is called with every new status.

        Raises TaskFailedError and WaitTimeoutError, which carry the task, or what a query raises.
        """
        __tracebackhide__ = True
        task_id = task.task_id if isinstance(task, Task) else task
        deadline = self._monotonic() + timeout
        seen: Task | None = None
        attempts = self._service.attempts(deadline)
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
            self._service.pause(pause)

    def save(self, task: Task, directory: str | Path, *, max_bytes: int = MAX_PICTURE) -> Files:
        """Download the pictures of a task as `<task_id>-<index>.png` and return the files, in order.

        Those with a watermark come after them, as `<task_id>-<index>-watermark.png`.
        The key is not sent. A file appears only when it is complete, and takes the place of an older one. A picture of more than
        `max_bytes` raises UnexpectedAnswerError, a task without pictures InputError, a folder that cannot be written OSError.
        """
        __tracebackhide__ = True
        check_task_id(task.task_id)
        if not task.image_urls:
            raise InputError(f"task {task.task_id} has no pictures: its status is {task.status}")
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        files = []
        marked = ((f"{index}-watermark", url) for index, url in enumerate(task.watermark_urls) if url)
        for index, url in (*enumerate(task.image_urls), *marked):
            fetch = partial(download, self._exchanger, url, max_bytes)
            data = self._service.repeat(fetch, self._monotonic() + self._retry_for)
            files.append(save_picture(data, self._clean(url, 200), directory / f"{task.task_id}-{index}"))
        return files

    def _get(self, task_id: str | None, deadline: float) -> Task:
        __tracebackhide__ = True
        check_task_id(task_id)
        data = self._service.query(f"{self._dialect.path}/{task_id}", deadline)
        return read_task(data, self._clean, wanted=task_id)

    def _get_by_external_id(self, external_task_id: str, deadline: float) -> Task:
        __tracebackhide__ = True
        data = self._service.query(f"{self._dialect.path}/{segment_of(external_task_id)}", deadline)
        task = read_task(data, self._clean)
        if task.external_task_id != self._clean.hide(external_task_id):  # the service takes either id in this place
            raise UnexpectedAnswerError(f"task {task.task_id} has not the external_task_id that was asked for")
        return task
