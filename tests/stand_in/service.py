"""The stand-in: a WSGI application with its tasks, pictures and callbacks."""

import json
import random
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from .checks import Checks, Wish
from .habits import AS_INFERRED, Habits
from .keys import Keys
from .reading import Reader
from .refusals import Refused, body_of, gateway_request_id
from .tasks import Bodies, Task, VirtualClock, draw, path_of, picture_size, snowflake

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PATHS = {"kling": "/v1/images/multi-image2image"}
_COMETAPI_PATH = "/kling/v1/images/generations"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One callback, as it goes out."""

    url: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(slots=True)
class Store:
    """All that the service remembers."""

    tasks: dict[str, Task] = field(default_factory=dict)
    taken: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of an account and an external id that it cannot use again."""
    due: list[tuple[float, str, Task]] = field(default_factory=list)
    """Transitions that are still to be called back: moment, status, task."""


def everything_can_be_fetched_but_invalid(url: str) -> bytes | None:
    """A world in which each URL is a good picture, but those of a host under `.invalid`."""
    return None if re.match(r"https?://[^/]*\.invalid(?:[:/]|$)", url) else draw((600, 600), url)


class StandIn:
    """A service of one contract with habits of its own.

    `clock` moves its tasks, `deliver` is called with each callback that is due, whenever the service is asked something
    or `call_back` is called. `fetch` gives the bytes behind the URL of an input, `pictures_at` is where its results lie.
    Every service takes pictures of 10 `megabytes`; tests that are about something else save time with a smaller limit.
    """

    def __init__(
        self,
        contract: str = "cometapi",
        habits: Habits = AS_INFERRED,
        *,
        clock: VirtualClock | None = None,
        deliver: Callable[[Delivery], None] = lambda _: None,
        fetch: Callable[[str], bytes | None] = everything_can_be_fetched_but_invalid,
        keys: tuple[str, ...] = ("sk-first", "sk-second"),
        access_keys: Mapping[str, str] | None = None,
        pictures_at: str = "https://pictures.example.com/results",
        megabytes: int = 10,
        seed: int = 0,
    ) -> None:
        self.contract, self.habits = contract, habits
        self.clock = clock or VirtualClock()
        self.deliver = deliver
        self.path = PATHS.get(contract, _COMETAPI_PATH)
        self.pictures_at = pictures_at
        self.checks = Checks(contract, habits, fetch, megabytes)
        self.refusals = self.checks.refusals
        self.reader = Reader(habits, self.refusals)
        self.keys = Keys(keys, access_keys or {}, habits, self.refusals)
        self.bodies = Bodies(contract, habits, pictures_at)
        self.store = Store()
        self.chance = random.Random(seed)
        self.lock = threading.RLock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        self.call_back()
        return self.answer(Request(environ))(environ, start_response)

    # Answering.

    def answer(self, request: Request) -> Response:
        """The answer to any request: what is refused is raised on the way."""
        picture = self.picture(request)
        if picture is not None:
            return picture
        request_id = gateway_request_id(self.clock.now(), self.chance)
        try:
            with self.lock:
                response = self.succeeded(self.data(request))
        except Refused as refused:
            response = self.refused(refused, request_id, request.path)
        if self.contract != "kling":
            response.headers["x-cometapi-request-id"] = request_id
        return response

    def data(self, request: Request) -> Any:
        """What stands under `data` when the request succeeds."""
        asked = self.routed(request.path) if self.habits.path_before_key else None
        account = self.keys.account(request.headers.get("Authorization"))
        asked = self.routed(request.path) if asked is None else asked
        if not asked:
            return self.collection(request, account)
        if request.method != "GET" and not (request.method == "HEAD" and self.habits.head_answers):
            raise self.refusals.wrong_method()
        return self.bodies.queried(self.find(account, asked), self.clock.now())

    def routed(self, path: str) -> str:
        """The id that a path asks for, empty for that of the create; `Refused` for any other."""
        if path == self.path or (self.habits.trailing_slash and path == f"{self.path}/"):
            return ""
        start, _, asked = path.rpartition("/")
        if start != self.path or not asked:
            raise self.refusals.wrong_path()
        return asked

    def collection(self, request: Request, account: str) -> Any:
        """A create, or on `kling` the list."""
        if request.method == "POST":
            return self.bodies.created(self.create(account, request))
        if self.contract != "kling" or request.method not in {"GET", "HEAD"}:
            raise self.refusals.wrong_method()
        return self.listed(request, account)

    def create(self, account: str, request: Request) -> Task:
        """A task for an account; `Refused` by the first check that fails."""
        body = self.reader.read(request.headers.get("Content-Type", ""), request.get_data())
        try:
            wish = self.checks.wish(body)
            self.unique(account, wish.external_id)
        except Refused:
            if self.habits.refused_takes_id and isinstance(body.get("external_task_id"), str):
                self.take(account, body["external_task_id"])
            raise
        return self.made(account, wish)

    def unique(self, account: str, external_id: str) -> None:
        if (account, external_id) in self.store.taken:
            raise self.refusals.known(f"External_task_id {external_id} already exists")

    def take(self, account: str, external_id: str) -> None:
        if external_id:
            self.store.taken.add((account, external_id))

    def made(self, account: str, wish: Wish) -> Task:
        """The task that a wish becomes, and its callbacks to come."""
        now = self.clock.now()
        failure = self.checks.failure(wish.pictures)
        task = Task(
            task_id=snowflake(now, len(self.store.tasks)),
            account=account,
            external_id=wish.external_id,
            callback_url=wish.callback_url,
            number=wish.number,
            ratio=wish.ratio,
            watermark=wish.watermark,
            failure=failure,
            path=path_of(now, failure, self.habits),
        )
        if not (failure and self.habits.failed_frees_id):
            self.take(account, wish.external_id)
        self.store.tasks[task.task_id] = task
        if wish.callback_url:
            self.store.due += [(moment, status, task) for moment, status in task.path]
        return task

    def find(self, account: str, asked: str) -> Task:
        """A task of an account by its id, or where it is so by its external id."""
        task = self.store.tasks.get(asked)
        if task is None and (self.contract == "kling" or self.habits.query_by_external_id):
            task = next((one for one in reversed(self.tasks_of(account)) if one.external_id == asked), None)
        if task is None or task.account != account:
            raise self.refusals.unknown_task(asked)
        return task

    def tasks_of(self, account: str) -> list[Task]:
        return [task for task in self.store.tasks.values() if task.account == account]

    def listed(self, request: Request, account: str) -> list[dict[str, Any]]:
        """One page of the tasks of an account."""
        number, size = self.page(request, "pageNum", 1, 1000), self.page(request, "pageSize", 30, 500)
        tasks = self.tasks_of(account)
        if self.habits.newest_first:
            tasks.reverse()
        return [self.bodies.queried(task, self.clock.now()) for task in tasks[(number - 1) * size : number * size]]

    def page(self, request: Request, name: str, default: int, most: int) -> int:
        asked = request.args.get(name, str(default))
        if re.fullmatch(r"[0-9]{1,9}", asked) and 1 <= int(asked) <= most:
            return int(asked)
        if self.habits.page_checked:
            raise self.refusals.inferred(f"{name}: must be between 1 and {most}")
        return max(1, min(most, int(asked))) if re.fullmatch(r"-?[0-9]{1,9}", asked) else default

    def succeeded(self, data: Any) -> Response:
        return self.json({"code": 0, "message": "SUCCEED", "request_id": str(uuid.uuid4()), "data": data}, 200)

    def refused(self, refused: Refused, request_id: str, path: str) -> Response:
        body = body_of(refused, request_id, path, self.clock.now())
        if isinstance(body, dict):
            return self.json(body, refused.status)
        response = Response(body, refused.status, content_type="text/html; charset=utf-8")
        if refused.form == "moved":
            response.headers["Location"] = "https://www.example.com/"
        return response

    def json(self, body: dict[str, Any], status: int) -> Response:
        return Response(json.dumps(body), status, content_type="application/json; charset=utf-8")

    # Pictures.

    def picture(self, request: Request) -> Response | None:
        """A result, for which no key is needed."""
        found = re.fullmatch(r".*/results/([0-9]+)/([0-9])\.png", request.path)
        task = self.store.tasks.get(found[1]) if found else None
        if found is None or task is None:
            return None
        return Response(self.drawn(task, int(found[2])), content_type="image/png")

    def drawn(self, task: Task, index: int) -> bytes:
        """The bytes of a result."""
        return draw(picture_size(task.ratio, self.habits), f"{task.task_id}/{index}")

    # Callbacks.

    def call_back(self) -> None:
        """Deliver what is due by now."""
        with self.lock:
            now = self.clock.now()
            due = sorted((one for one in self.store.due if one[0] <= now), key=lambda one: one[0])
            self.store.due = [one for one in self.store.due if one[0] > now]
        if self.habits.callback_backwards:
            due.reverse()
        for moment, status, task in due:
            for _ in range(2 if self.habits.callback_twice else 1):
                self.deliver(self.delivery(task, moment, status))

    def delivery(self, task: Task, moment: float, status: str) -> Delivery:
        """A callback: the bare task, and no signature, as no secret is set up."""
        body = json.dumps(self.bodies.told(task, moment, status)).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Apache-HttpClient/4.5.13 (Java/11.0.20)",
        }
        return Delivery(task.callback_url, body, headers)
