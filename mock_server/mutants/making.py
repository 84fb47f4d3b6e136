"""How a mutant is made: ways to change one thing of a simulator.

Its contract differs in one place (`contract`, `field_of`); a method is another (`does`, `overlooks`, `plans`, `calls`); or something stands
before it that changes requests (`reads`, `reads_bytes`) or answers (`answers`, `replies`).
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from klingkit.contract import Contract, load_contract

from ..cache import ByteCache
from ..serving.in_process import SimulatorTarget, in_process_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from ..deliveries import Delivery
    from ..simulator import Simulator
    from ..tasks import Task

    Make = Callable[..., SimulatorTarget]
    """Makes a mutant; its seed is given, and as `base` the contract that it breaks, if that is not the default."""
    Change = Callable[[Any], None]
    """Changes a JSON value in place."""
    ChangeExchange = Callable[["PassingExchange"], object]
    """Changes an exchange: the request on its way in, or the answer on its way out."""

KEY, OTHER_KEY = "sk-klingkit-one", "sk-klingkit-two"
PAIR = ("klingkit-access-key", "klingkit-secret-key-of-the-mutants")
"""Access key and secret key, where the contract has signed tokens."""
SPEED = 50.0
"""A task takes less than a second of the virtual clock, and is still seen in each status."""
NO_TASK = 400
TASK_PATH = re.compile(r".*/(generations|multi-image2image)/[^/]+")
"""Path of a task, in any contract."""
LONG = 100_000
"""Bytes of a request that is passed on as it is."""


def right(seed: int = 0, base: Contract | None = None, keys: Iterable[str] = (KEY, OTHER_KEY)) -> SimulatorTarget:
    """Return a simulator with nothing wrong, as every mutant is but for one thing; its contract is its own."""
    return _simulator(seed, copy.deepcopy((base or load_contract()).document), keys)


def _simulator(seed: int, document: dict[str, Any], keys: Iterable[str] = (KEY, OTHER_KEY)) -> SimulatorTarget:
    own = Contract(document)
    pairs = (PAIR,) if own.jwt else ()
    target = in_process_target(own, keys=frozenset(keys), access_keys=pairs, seed=seed, speed=SPEED)
    _replace(target, "picture", _draw_once)
    return target


def _draw_once(
    simulator: Simulator, picture: Callable[..., bytes | None], task_id: str, index: int, *, watermark: bool = False
) -> bytes | None:
    """Spare mutants of the same seed, which make the same tasks, the drawing of their results."""
    task = simulator.store.get(task_id)
    if watermark:
        return picture(task_id, index, watermark=True)
    key = (task_id, index, task.n, task.prompt, task.aspect_ratio, task.pictures) if task else ()
    if data := _drawn.get(key):
        simulator.store.results.put((task_id, index), data)
    data = picture(task_id, index)
    if data:
        _drawn.put(key, data)
    return data


_drawn = ByteCache(16 * 1024 * 1024)
"""Of every mutant in this process. It changes nothing but time: the key holds all that a picture is drawn from."""


def _replace(target: SimulatorTarget, method: str, instead: Callable[..., Any]) -> None:
    part, _, name = f"simulator.{method}".rpartition(".")
    owner = attrgetter(part)(target)
    setattr(owner, name, partial(instead, target.simulator, getattr(owner, name)))


def at(*place: str | int, to: Any = ...) -> Change:
    """Return what puts a value at a place of a JSON value; `...` takes it away.

    A function makes the new value from the old one, where there is one.
    """

    def change(value: Any) -> None:
        for step in place[:-1]:
            if callable(to) and not _has(value, step):
                return
            value = value.setdefault(step, {}) if isinstance(value, dict) else value[step]
        last = place[-1]
        if callable(to) and not _has(value, last):
            return
        new = to(value[last]) if callable(to) else to
        if new is not ...:
            value[last] = new
        elif _has(value, last):
            del value[last]

    return change


def _has(value: Any, step: str | int) -> bool:
    return step in value if isinstance(value, dict) else isinstance(value, list) and len(value) > int(step)


def contract(*place: str | int, to: Any = ...) -> Make:
    """Its contract differs in one place."""

    def make(seed: int, base: Contract | None = None) -> SimulatorTarget:
        document = copy.deepcopy((base or load_contract()).document)
        at(*place, to=to)(document)
        return _simulator(seed, document)

    return make


def field_of(name: str, *place: str, to: Any = ...) -> Make:
    """The schema of a field differs in one place."""
    return contract("components", "schemas", "CreateRequest", "properties", name, *place, to=to)


def plain_field(name: str, *place: str, to: Any = ...) -> Make:
    """The schema of a field of a plain picture differs in one place."""
    return contract("components", "schemas", "CreatePlainRequest", "properties", name, *place, to=to)


def does(method: str, instead: Callable[..., Any]) -> Make:
    """One method of the simulator, or of a part of it, is another: a function of the simulator, the right method and its arguments."""

    def make(seed: int, base: Contract | None = None) -> SimulatorTarget:
        target = right(seed, base)
        _replace(target, method, instead)
        return target

    return make


def overlooks(*rules: str, where: Callable[[Any], bool] = lambda _: True, kind: str = "") -> Make:
    """Violations of some rules are overlooked, those with certain values, or by input of one kind."""

    def is_seen(violation: Any) -> bool:
        other = kind and violation.rule.kind != kind
        return bool(violation.rule.id not in rules or other or not where(violation.value))

    def judge(_: Simulator, judge: Callable[..., Any], body: Any) -> Any:
        violations, pictures = judge(body)
        return list(filter(is_seen, violations)), pictures

    return does("contract.request.judge", judge)


@dataclass(slots=True)
class PassingExchange:
    """A request and its answer, as they pass by."""

    method: str
    path: str
    authorization: str | None
    content_type: str
    sent: bytes
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""
    body: Any = None
    """JSON of the answer; it wins over `answer` when it is a JSON object."""

    @property
    def data(self) -> Mapping[str, Any]:
        """`data` of the answer; empty if there is none."""
        data = self.body.get("data") if isinstance(self.body, dict) else None
        return data if isinstance(data, dict) else {}


def between(*, ask: ChangeExchange = lambda _: None, answer: ChangeExchange = lambda _: None) -> Make:
    """Something stands before it that changes what comes in or what goes out."""

    def make(seed: int, base: Contract | None = None) -> SimulatorTarget:
        target = right(seed, base)
        target.app = _Between(target.app, ask, answer)
        return target

    return make


class _Between:
    def __init__(self, app: WSGIApplication, ask: ChangeExchange, answer: ChangeExchange) -> None:
        self._app = app
        self._ask = ask
        self._answer = answer

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        sent = environ["wsgi.input"].read()
        exchange = PassingExchange(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            environ.get("HTTP_AUTHORIZATION"),
            environ.get("CONTENT_TYPE", ""),
            sent,
        )
        self._ask(exchange)
        environ["REQUEST_METHOD"], environ["PATH_INFO"] = exchange.method, exchange.path
        environ["HTTP_AUTHORIZATION"] = exchange.authorization or ""
        environ["CONTENT_TYPE"] = exchange.content_type
        environ["wsgi.input"] = BytesIO(exchange.sent)
        environ["CONTENT_LENGTH"] = str(len(exchange.sent))

        def keep(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], object]:
            exchange.status = int(status[:3])
            exchange.headers = dict(headers)
            return lambda _: None

        exchange.answer = b"".join(self._app(environ, keep))
        if exchange.headers.get("Content-Type") == "application/json":
            exchange.body = json.loads(exchange.answer)
        self._answer(exchange)
        if isinstance(exchange.body, dict):
            exchange.answer = json.dumps(exchange.body, ensure_ascii=False).encode()
        exchange.headers.pop("Content-Length", None)
        start_response(f"{exchange.status} X", list(exchange.headers.items()))
        return [exchange.answer]


def reads(*place: str, to: Any = ...) -> Make:
    """It takes a value of the request for another one."""

    def ask(exchange: PassingExchange) -> None:
        if len(exchange.sent) > LONG or exchange.method != "POST":
            return
        try:
            body = json.loads(exchange.sent)
            before = json.dumps(body)
            at(*place, to=to)(body)
        except (ValueError, TypeError, AttributeError, KeyError):
            return  # it is not there
        if (after := json.dumps(body)) != before:
            exchange.sent = after.encode()

    return between(ask=ask)


def reads_bytes(change: Callable[[bytes], bytes]) -> Make:
    """It takes the bytes of a request for others."""

    def ask(exchange: PassingExchange) -> None:
        if exchange.method == "POST":
            exchange.sent = change(exchange.sent)

    return between(ask=ask)


def answers(when: Callable[[PassingExchange], bool], *place: str | int, to: Any = ...) -> Make:
    """Its answers of one kind differ in one place."""

    def answer(exchange: PassingExchange) -> None:
        if when(exchange):
            at(*place, to=to)(exchange.body)

    return between(answer=answer)


def replies(when: Callable[[PassingExchange], bool], **parts: Any) -> Make:
    """Its replies of one kind have another status, other headers, or another body."""

    def answer(exchange: PassingExchange) -> None:
        if when(exchange):
            for name, value in parts.items():
                setattr(exchange, name, value)

    return between(answer=answer)


def calls(*place: str | int, to: Any = ...) -> Make:
    """The body of its callbacks differs in one place."""

    def send(_: Simulator, send: Callable[..., int], url: str, body: bytes, *rest: Any, **more: Any) -> int:
        task = json.loads(body)
        at(*place, to=to)(task)
        return send(url, json.dumps(task).encode(), *rest, **more)

    return does("callbacks.send", send)


def plans(change: Callable[[list[Delivery]], list[Delivery]]) -> Make:
    """It plans other callbacks for a task."""

    def plan(_: Simulator, plan: Callable[..., list[Delivery]], task: Task) -> list[Delivery]:
        return change(plan(task))

    return does("callbacks.plan", plan)


# Kinds of answers


def created(exchange: PassingExchange) -> bool:
    """Tell whether it is an accepted create."""
    return exchange.method == "POST" and exchange.status == 200


def queried(exchange: PassingExchange) -> bool:
    """Tell whether it shows a task."""
    return exchange.method == "GET" and bool(exchange.data)


def showing(*roles: str) -> Callable[[PassingExchange], bool]:
    """Return what tells whether it is a query that shows a task in a status of some roles."""
    statuses = [getattr(load_contract().lifecycle, role) for role in roles]
    return lambda exchange: queried(exchange) and exchange.data.get("task_status") in statuses


def refused(exchange: PassingExchange) -> bool:
    """Tell whether it is refused in Kling's envelope."""
    return exchange.status >= 400 and isinstance(exchange.body, dict) and "request_id" in exchange.body


def refused_by_gateway(exchange: PassingExchange) -> bool:
    """Tell whether it is refused in the gateway's envelope."""
    return isinstance(exchange.body, dict) and "error" in exchange.body


def no_such_task(exchange: PassingExchange) -> bool:
    """Tell whether it is the query of an unknown task."""
    return exchange.method == "GET" and exchange.status == NO_TASK and bool(TASK_PATH.fullmatch(exchange.path))


def listed(exchange: PassingExchange) -> bool:
    """Tell whether it is a page of the list of tasks."""
    return exchange.method == "GET" and isinstance(exchange.body, dict) and isinstance(exchange.body.get("data"), list)


def page(exchange: PassingExchange) -> bool:
    """Tell whether it is the answer to a wrong path: a page, or JSON that names the path."""
    return exchange.status == 404 and (exchange.body is None or "path" in exchange.body)


def wrong_method(exchange: PassingExchange) -> bool:
    """Tell whether it is refused for its method."""
    return isinstance(exchange.body, dict) and exchange.body.get("code") == 1202


def fetched(exchange: PassingExchange) -> bool:
    """Tell whether it is a result picture."""
    return exchange.status == 200 and exchange.headers.get("Content-Type") == "image/png"
