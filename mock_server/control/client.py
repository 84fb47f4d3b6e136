"""A typed Python client of the control API: the same object for a server on a port and for a simulator in this process."""

from __future__ import annotations

import json
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode

from ..auth import account_name, fits_header
from ..store import PAGE
from .answers import NEXT_HEADER, Blob, Listed
from .asking import ControlError, account_named
from .document import control_operations, control_parameters
from .operations import Operations

if TYPE_CHECKING:
    from collections.abc import Callable

    from urllib3 import BaseHTTPResponse

    from ..simulator import Simulator

Json = dict[str, Any]
LARGEST = 256 * 1024 * 1024
"""Bytes of an answer that are read; what sends more is no simulator."""


class Control:
    """Sees and steers a simulator; acts on the account of `key`, or on that of the name `account`, without either on the server.

    What the methods take and return is described in `control.yaml`. A wrong value raises ControlError, which says what is
    valid, and changes nothing.
    """

    def __init__(self, call: Callable[[str, Json, Json | None], Any]) -> None:
        self._call = call

    @classmethod
    def of(cls, simulator: Simulator, *, key: str | None = None, account: str | None = None) -> Self:
        """Return the control of a simulator in this process."""
        _check_one(key, account)
        operations = Operations(simulator)
        name = account_name(key) if key else account
        return cls(lambda operation_id, arguments, body: operations.call(operation_id, name, arguments, body))

    @classmethod
    def over_http(
        cls, url: str, *, key: str | None = None, token: str | None = None, account: str | None = None
    ) -> Self:
        """Return the control of a server; its methods raise ConnectionError if nothing there answers as klingkit does."""
        __tracebackhide__ = True
        if not url.lower().startswith(("http://", "https://")):
            raise ControlError(f"{url!r} does not begin with http:// or https://")
        for secret in (key, token):
            if secret is not None and not fits_header(secret):
                raise ControlError("a key or token has ASCII characters only")
        _check_one(key, account)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if token:
            headers["Klingkit-Token"] = token

        def send(operation_id: str, arguments: Json, body: Json | None) -> Any:
            __tracebackhide__ = True  # pytest would show key and token among the variables
            if account is not None and "account" in control_parameters()[operation_id]:
                arguments = {**arguments, "account": account}
            return _send(url.rstrip("/"), headers, operation_id, arguments, body)

        return cls(send)

    def index(self) -> Json:
        """Return contract, version, and every operation that there is."""
        return self._object("get_index")

    def health(self) -> Json:
        """Tell that it runs, what it follows, since when, and what it holds."""
        return self._object("get_health")

    def account(self) -> Json:
        """Return settings, money (`spent`, `balance`) and slots."""
        return self._object("get_account")

    def accounts(self, **wanted: Any) -> list[Json]:
        """Return every account that has made a task or has settings of its own; see `tasks` for `limit` and `after`."""
        return self._pages("list_accounts", "account", wanted)

    def configure(self, **settings: Any) -> Json:
        """Change settings: balance, quota, concurrency, requests, window, disabled, expired, progression, scenario, ..."""
        return self._object(
            "set_account",
            body={name: str(value) if isinstance(value, Decimal) else value for name, value in settings.items()},
        )

    def tasks(self, **wanted: Any) -> list[Json]:
        """Return all tasks with their timelines that fit, or those of an `external_task_id`.

        `order` is `oldest` (first) or `newest`; `status`, `scenario` and `text` filter. With `limit` at most so many, beginning after
        the task whose id is `after`; so do the other lists.
        """
        return self._pages("list_tasks", "task_id", wanted)

    def task(self, task_id: str) -> Json:
        """Return one task with its timeline; `latest` is the newest."""
        return self._object("get_task", {"task_id": task_id})

    def input_picture(self, task_id: str, number: int, *, width: int | None = None) -> bytes:
        """Return a picture that a task was made from, as it came, or as a JPEG whose longer side has `width` px: 96 or 480."""
        return self._picture("get_input_picture", task_id, number, width)

    def result_picture(self, task_id: str, number: int, *, width: int | None = None) -> bytes:
        """Return a result picture; it does not count as fetched by the client."""
        return self._picture("get_result_picture", task_id, number, width)

    def move(self, task_id: str) -> Json:
        """Bring a task one step further along its plan."""
        return self._object("move_task", {"task_id": task_id})

    def scenarios(self) -> Json:
        """Return the table of scenarios, and what is queued."""
        return self._object("list_scenarios")

    def scenario(self, name: str, *, times: int = 1, operation: str = "create_task") -> list[Json]:
        """Let a scenario apply to the next requests for an operation; return what is queued."""
        return self._list("queue_scenario", body={"scenario": name, "times": times, "operation": operation})

    def unqueue(self, **wanted: str) -> list[Json]:
        """Take what is queued out of the queue, or just what fits: scenario, operation; return what is queued then."""
        return self._list("unqueue_scenario", wanted)

    def clock(self) -> Json:
        """Tell the time: `now` (ms), `time`, `frozen`, whether the clock is the account's `own`, what lies `ahead`, its last `moves`."""
        return self._object("get_clock")

    def freeze(self) -> Json:
        """Let the clock stand still."""
        return self._object("freeze_clock")

    def resume(self) -> Json:
        """Let the clock go on from where it is."""
        return self._object("resume_clock")

    def advance(self, by: str) -> list[Json]:
        """Move the clock by a duration such as `2m`; return what happened on the way, in order."""
        events: list[Json] = self._object("advance_clock", body={"by": by})["events"]
        return events

    def advance_to(self, to: str | int) -> list[Json]:
        """Move the clock to `next` (event), `idle`, a time, or Unix ms; return what happened on the way, in order."""
        events: list[Json] = self._object("advance_clock", body={"to": to})["events"]
        return events

    def journal(self, **wanted: Any) -> list[Json]:
        """Return the last requests that fit: operation, task_id, request_id, rule, status, refused, text, after (a number).

        `order` is oldest or newest; so of `deliveries`, which can have an `outcome`.
        """
        return self._pages("list_journal", "number", wanted)

    def dropped(self) -> int:
        """Return how many older requests are not kept any more, of whatever account."""
        dropped: int = self._object("list_journal", {"limit": 1})["dropped"]
        return dropped

    def wait_for_request(self, *, timeout: str = "5s", **wanted: Any) -> Json:
        """Return the first request that fits, waiting for it; raises ControlError if none comes."""
        return self._object("wait_for_request", body={"timeout": timeout, **wanted})

    def deliveries(self, **wanted: Any) -> list[Json]:
        """Return all callbacks, oldest first, or those of a `task_id`; see `tasks` for `limit` and `after`."""
        return self._pages("list_deliveries", "id", wanted)

    def resend(self, delivery_id: str) -> Json:
        """Make one more attempt of a callback that is settled."""
        return self._object("resend_delivery", {"delivery_id": delivery_id})

    def advice(self) -> list[Json]:
        """Return likely mistakes of the client."""
        return self._list("get_advice")

    def evidence(self, contract: str | None = None, **wanted: str) -> Json:
        """Return every behaviour of a contract, of the simulator's without one, with how well each aspect of it is known.

        Or those that fit: text, kind, grade.
        """
        return self._object("get_evidence", {**({"contract": contract} if contract else {}), **wanted})

    def assumptions(self) -> list[Json]:
        """Return the open questions about the real service, with what each can be and what is taken."""
        return self._list("list_assumptions")

    def assume(self, assumption_id: str, alternative: str | None) -> list[Json]:
        """Take another answer to one open question; None: as it is without it."""
        return self._list("set_assumption", {"assumption_id": assumption_id}, {"alternative": alternative})

    def seed(self, seed: int) -> None:
        """Begin all chance anew, of the account or of all that have no seed of their own."""
        self._call("set_seed", {}, {"seed": seed})

    def reset(self) -> None:
        """Forget everything of the account, its clock and seed too; without a key everything. Complete when it returns."""
        self._call("reset", {}, None)

    def _object(self, operation_id: str, arguments: Json | None = None, body: Json | None = None) -> Json:
        answer: Json = self._call(operation_id, arguments or {}, body)
        return answer

    def _list(self, operation_id: str, arguments: Json | None = None, body: Json | None = None) -> list[Json]:
        answer: list[Json] = self._call(operation_id, arguments or {}, body)
        return answer

    def _picture(self, operation_id: str, task_id: str, number: int, width: int | None) -> bytes:
        small = {} if width is None else {"width": width}
        found: Blob = self._call(operation_id, {"task_id": task_id, "number": number, **small}, None)
        return found.data

    def _pages(self, operation_id: str, name: str, wanted: Json) -> list[Json]:
        """Return what is on all pages of a list, of which `name` identifies each; on one page if a limit is wanted."""
        found: list[Json] = []
        while True:
            answer = self._call(operation_id, dict(wanted), None)
            if isinstance(answer, dict):
                page, after = answer["entries"], answer["next"]
            else:
                page, after = answer, _go_on_after(answer, name)
            found += page
            if not after or ("limit" in wanted and len(found) >= wanted["limit"]):
                return found[: wanted.get("limit")]
            wanted = {**wanted, "after": after}


def _check_one(key: str | None, account: str | None) -> None:
    """Raise ControlError for a name that can be none of an account, and for two ways to say who is meant."""
    if account is not None:
        account_named(account)
        if key:
            raise ControlError("a key and an account: give one of them")


def _go_on_after(page: list[Json], name: str) -> Any:
    """Return what the next page begins after; empty if this is the last."""
    if isinstance(page, Listed):
        return page.go_on_after
    return page[-1][name] if len(page) == PAGE else ""


def _send(url: str, headers: dict[str, str], operation_id: str, arguments: Json, body: Json | None) -> Any:
    import urllib3  # noqa: PLC0415 - a simulator in this process does without it

    __tracebackhide__ = True
    method, path, operation = control_operations()[operation_id]
    query = {}
    for name, value in arguments.items():
        if f"{{{name}}}" in path:
            if not value:
                raise ControlError(f"{name} is empty", 404)
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        else:
            query[name] = value
    address = f"{url}{path}?{urlencode(query)}" if query else url + path
    data = None if body is None else json.dumps(body).encode()
    try:
        response = urllib3.request(
            method,
            address,
            headers=headers,
            body=data,
            timeout=90,
            retries=False,
            redirect=False,
            preload_content=False,
        )
        content = _whole(response)
        if response.status == HTTPStatus.OK and (found := response.headers.get("Content-Type", "")).startswith(
            "image/"
        ):
            return Blob(content, found)
        answer = json.loads(content)
    except (urllib3.exceptions.HTTPError, ValueError, RecursionError):
        raise ConnectionError(f"{url}: nothing there answers as klingkit does") from None
    if response.status != 200:
        message = answer.get("error") if isinstance(answer, dict) else None
        raise ControlError(str(message or f"HTTP {response.status}"), response.status)
    if isinstance(answer, list) and NEXT_HEADER in operation["responses"]["200"].get("headers", {}):
        return Listed(answer, response.headers.get(NEXT_HEADER, ""))
    return answer


def _whole(response: BaseHTTPResponse) -> bytes:
    """Return the body of an answer. Raises ValueError if it is too long, HTTPError of urllib3 if it breaks off."""
    content = response.read(LARGEST)
    if response.read(1):  # which tells too if less came than was announced
        response.close()
        raise ValueError("it is too long")
    return content
