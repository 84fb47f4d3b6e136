"""What is wrong with mutants that takes more than a value to say."""

from __future__ import annotations

import itertools
import json
import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from klingkit.contract import ApiError
from klingkit.contract.pictures import measure

from ..clock import LATEST
from ..store import RefusedError
from ..tasks import at_step, snapshot
from .making import KEY, OTHER_KEY, PassingExchange, answers, at, between, created, does, fetched, queried, showing

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.contract import Contract, Picture, Rule

    from ..serving.in_process import SimulatorTarget
    from ..simulator import Simulator
    from ..tasks import Snapshot, Task
    from .making import Make


# Instead of a method: each function gets the simulator, the right method, and its arguments


def at_once(
    simulator: Simulator, create: Callable[..., Snapshot], account: str, body: Any, *rest: Any, **more: Any
) -> Snapshot:
    judged = simulator.contract.request
    for picture in judged.judge(body)[1]:
        if rule := judged.async_violation(picture):
            raise ApiError(replace(simulator.contract.errors["1201"], message=rule.text()))
    return create(account, body, *rest, **more)


def leaves_a_task(*, calling: bool) -> Callable[..., Snapshot]:
    def create(
        _: Simulator, create: Callable[..., Snapshot], account: str, body: Any, *rest: Any, **more: Any
    ) -> Snapshot:
        try:
            return create(account, body, *rest, **more)
        except ApiError:
            left = ("callback_url",) if calling else ("external_task_id",)
            mended = {name: body[name] for name in left if isinstance(body.get(name), str)}
            with suppress(ApiError):  # its external id may have been left behind before
                create(account, {**mended, "subject_image_list": [{"subject_image": "http://localhost/"}] * 2}, *rest)
            raise

    return create


def returns_the_old(
    simulator: Simulator, create: Callable[..., Snapshot], account: str, body: Any, *rest: Any, **more: Any
) -> Snapshot:
    try:
        return create(account, body, *rest, **more)
    except ApiError as error:
        if error.rule is None or error.rule.id != "external_task_id.unique":
            raise
        name = body["external_task_id"]
        return at_step(next(task for task in simulator.store.tasks() if task.external_task_id == name), 0)


def takes_again(when: Callable[[Task, int], bool]) -> Callable[..., bool]:
    """Return what accepts an external id again if the task that has it is of some kind, at that time."""

    def add(simulator: Simulator, add: Callable[..., bool], task: Task, *rest: Any, **more: Any) -> bool:
        try:
            return add(task, *rest, **more)
        except RefusedError:
            owner = next(known for known in simulator.store.tasks() if known.external_task_id == task.external_task_id)
            if not when(owner, simulator.clocks.now(owner.account)):
                raise
            return add(replace(task, external_task_id=""), *rest, **more)

    return add


def one_namespace(simulator: Simulator, add: Callable[..., bool], task: Task, *rest: Any, **more: Any) -> bool:
    if task.external_task_id and any(
        known.external_task_id == task.external_task_id for known in simulator.store.tasks()
    ):
        raise RefusedError("external_task_id.unique")
    return add(task, *rest, **more)


def oldest_account_alone(simulator: Simulator, add: Callable[..., bool], task: Task, *rest: Any, **more: Any) -> bool:
    """The account that was there first must not take external ids of others, who may take its own."""
    tasks = simulator.store.tasks()
    taken = any(known.external_task_id == task.external_task_id != "" for known in tasks)
    if taken and task.account == min(tasks, key=lambda known: known.created_at).account:
        raise RefusedError("external_task_id.unique")
    return add(task, *rest, **more)


def has_succeeded(task: Task, now: int) -> bool:
    return snapshot(task, now).ended and not task.plan.rule


def same_ids(key: str) -> Make:
    """Creates with that key show the task id of the first create."""

    def make(seed: int, base: Contract | None = None) -> SimulatorTarget:
        ids: list[str] = []

        def answer(exchange: PassingExchange) -> None:
            if created(exchange):
                ids.append(exchange.data["task_id"])
                if key in (exchange.authorization or ""):
                    at("data", "task_id", to=ids[0])(exchange.body)

        return between(answer=answer)(seed, base)

    return make


def changes_at_its_end(role: str, *place: str, to: Any) -> Make:
    """What a task shows that ends so is another thing from the second query of it on."""

    def make(seed: int, base: Contract | None = None) -> SimulatorTarget:
        shown: set[str] = set()

        def answer(exchange: PassingExchange) -> None:
            if not showing(role)(exchange):
                return
            task_id = exchange.data["task_id"]
            if task_id in shown:
                at("data", *place, to=to)(exchange.body)
            shown.add(task_id)

        return between(answer=answer)(seed, base)

    return make


def finds_by_any_name(
    simulator: Simulator, query: Callable[..., Snapshot], account: str, task_id: str, *rest: Any, **more: Any
) -> Snapshot:
    named = (task for task in simulator.store.tasks() if task.external_task_id == task_id)
    task = next(named, None)
    return query(task.account, task.task_id, *rest, **more) if task else query(account, task_id, *rest, **more)


def finds_newest(
    simulator: Simulator, query: Callable[..., Snapshot], account: str, task_id: str, *rest: Any, **more: Any
) -> Snapshot:
    mine = simulator.store.tasks(account)
    if any(task.external_task_id == task_id for task in mine):
        task_id = mine[-1].task_id
    return query(account, task_id, *rest, **more)


def pages(**fixed: str) -> Make:
    """Some parameters of the list, where they are right, have always one value."""

    def page(_: Simulator, page: Callable[..., Any], account: str, contract: Contract, query: Any) -> Any:
        page(account, contract, query)  # what is wrong is refused all the same
        return page(account, contract, {**query, **fixed} if query else query)

    return does("page", page)


def takes_as_page(field: str, value: str) -> Make:
    """A parameter of the list with a wrong value is taken for 1."""

    def page(_: Simulator, page: Callable[..., Any], account: str, contract: Contract, query: Any) -> Any:
        return page(account, contract, {**query, field: "1"} if query.get(field) == value else query)

    return does("page", page)


def flags(value: Any) -> Any:
    return value if isinstance(value, dict) else {}


def lists_all() -> Make:
    """The list is that of whoever has the first task."""

    def page(simulator: Simulator, page: Callable[..., Any], account: str, contract: Contract, query: Any) -> Any:
        tasks = simulator.store.tasks()
        return page(tasks[0].account if tasks else account, contract, query)

    return does("page", page)


def reversed_(tasks: list[Any]) -> list[Any]:
    return tasks[::-1]


def rest(tasks: list[Any]) -> list[Any]:
    return tasks[1:]


def unmarked(images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in image.items() if name != "watermark_url"} for image in images]


def other_code(base: Contract, rule: str) -> str:
    """Return another code of the same kind."""
    return "1000" if base.rules[rule].require_error().key != "1000" else "1002"


def takes(token: str) -> Make:
    """A wrong token is taken for a right key."""

    def ask(exchange: PassingExchange) -> None:
        if (exchange.authorization or "").endswith(token):
            exchange.authorization = f"Bearer {KEY}"

    return between(ask=ask)


def shows_all(
    simulator: Simulator, query: Callable[..., Snapshot], account: str, task_id: str, **more: Any
) -> Snapshot:
    task = simulator.store.get(task_id)
    return query(task.account if task else account, task_id, **more)


def finds_by_external_id(
    simulator: Simulator, query: Callable[..., Snapshot], account: str, task_id: str, **more: Any
) -> Snapshot:
    named = (task.task_id for task in simulator.store.tasks() if task.external_task_id == task_id)
    return query(account, next(named, task_id), **more)


def steps(change: Callable[[list[tuple[str, int]]], list[tuple[str, int]]]) -> Make:
    """Tasks take another path, which does not show in their callbacks."""

    def add(_: Simulator, add: Callable[..., bool], task: Task, *rest: Any, **more: Any) -> bool:
        steps = tuple(change(list(task.plan.steps)))
        return add(replace(task, plan=replace(task.plan, steps=steps)), *rest, **more)

    return does("store.add", add)


def drifts(name: str, ms: int) -> Make:
    """A time of a task moves by so many ms from query to query."""

    def make(seed: int, base: Contract | None = None) -> SimulatorTarget:
        count = itertools.count(1)  # of this one mutant, so that every run of it is the same
        return answers(queried, "data", name, to=lambda at: at + ms * next(count))(seed, base)

    return make


def back(steps: list[tuple[str, int]]) -> list[tuple[str, int]]:
    submitted, processing, end = steps
    half = (processing[1] + end[1]) // 2
    return [submitted, processing, (submitted[0], half), (processing[0], end[1] - 1), end]


def never(steps: list[tuple[str, int]]) -> list[tuple[str, int]]:
    return [*steps[:2], (steps[2][0], LATEST)]


def fails(simulator: Simulator, add: Callable[..., bool], task: Task, *rest: Any, **more: Any) -> bool:
    steps = (*task.plan.steps[:2], (simulator.contract.lifecycle.failed, task.plan.steps[2][1]))
    return add(replace(task, plan=replace(task.plan, steps=steps, message="no capacity")), *rest, **more)


def leaves_its_end(
    simulator: Simulator, query: Callable[..., Snapshot], account: str, task_id: str, **more: Any
) -> Snapshot:
    view = query(account, task_id, **more)
    record = simulator.store.record(task_id)
    return at_step(view.task, 1) if view.ended and record and record.polls % 2 else view


def fails_by(change: Callable[[Picture, Rule | None], Rule | None]) -> Make:
    """Another verdict on the pixels of a picture."""
    return does("contract.request.async_violation", lambda _, verdict, picture: change(picture, verdict(picture)))


def low(picture: Picture) -> bool:
    """Tell whether a picture is wider than it is high, and just so."""
    size = measure(picture.data or b"")
    return bool(size and size[1] < size[0] <= size[1] * 2)


def tall(picture: Picture) -> bool:
    size = measure(picture.data or b"")
    return bool(size and size[1] > size[0])


def in_bytes(simulator: Simulator, judge: Callable[..., Any], body: Any) -> Any:
    prompt = body.get("prompt")
    if isinstance(prompt, str) and len(prompt.encode()) > simulator.contract.request.nodes[("prompt",)]["maxLength"]:
        body = {**body, "prompt": "x" * (1 + simulator.contract.request.nodes[("prompt",)]["maxLength"])}
    return judge(body)


def refuses(when: Callable[[dict[str, Any]], bool], message: str) -> Make:
    """A right request is refused."""

    def create(
        simulator: Simulator, create: Callable[..., Snapshot], account: str, body: Any, *rest: Any, **more: Any
    ) -> Snapshot:
        if when(body):
            raise ApiError(replace(simulator.contract.errors["1201"], message=message))
        return create(account, body, *rest, **more)

    return does("create", create)


def twice_differently(_: Simulator, send: Callable[..., int], url: str, body: bytes, *rest: Any, **more: Any) -> int:
    task = json.loads(body)
    send(url, body, *rest, **more)
    return send(url, json.dumps({**task, "updated_at": task["updated_at"] + 1}).encode(), *rest, **more)


# Instead of a value, a request or an answer


def pictures(change: Callable[[str], str]) -> Callable[[list[Any]], list[Any]]:
    return lambda items: [{**item, "subject_image": change(item["subject_image"])} for item in items]


def refuse_null(name: str, _: Simulator, judge: Callable[..., Any], body: dict[str, Any]) -> Any:
    return judge({**body, name: []} if name in body and body[name] is None else body)


def without_empty(value: Any) -> Any:
    return ... if value == "" else value


def padded(text: str) -> str:
    return text + "=" * (-len(text) % 4) if re.fullmatch(r"[A-Za-z0-9+/]+", text) else text


def raw(value: str) -> str:
    return value.rpartition(";base64,")[2]


def unauthenticated(method: str) -> Make:
    """Requests of one method need no key."""

    def ask(exchange: PassingExchange) -> None:
        given = exchange.authorization or ""
        if exchange.method == method and KEY not in given and OTHER_KEY not in given:
            exchange.authorization = f"Bearer {KEY}"

    return between(ask=ask)


def spares(role: str) -> Make:
    """Pictures of one role are not measured."""
    return fails_by(lambda picture, rule: None if picture.role == role else rule)


def text(value: Any) -> Any:
    return value if value is None else str(value)


def first_wins(raw: bytes) -> bytes:
    first = re.match(rb'\{("model_name":"[^"]*"),"model_name"', raw)
    return json.dumps({**json.loads(raw), **json.loads(b"{%b}" % first[1])}).encode() if first else raw


def twice(value: Any) -> Any:
    return [value, value] if isinstance(value, dict) else value


def one_more(images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*images, {"index": len(images), "url": images[0]["url"] + "?again"}]


def taken_for_json(content_type: str) -> Make:
    def ask(exchange: PassingExchange) -> None:
        if exchange.content_type == content_type:
            exchange.content_type = "application/json"

    return between(ask=ask)


def no_charset(exchange: PassingExchange) -> None:
    if ";" in exchange.content_type:
        exchange.content_type = "text/plain"


def authorized(pattern: str) -> Make:
    """An `Authorization` header of another form is accepted; the pattern holds the key."""

    def ask(exchange: PassingExchange) -> None:
        if found := re.fullmatch(pattern, exchange.authorization or ""):
            exchange.authorization = f"Bearer {found[1]}"

    return between(ask=ask)


def capital_bearer(exchange: PassingExchange) -> None:
    if (exchange.authorization or "").startswith("bearer"):
        exchange.authorization = None


def prefixed(exchange: PassingExchange) -> None:
    if exchange.path.startswith("/v1/"):
        exchange.path = "/kling" + exchange.path


def delete_is_get(exchange: PassingExchange) -> None:
    if exchange.method == "DELETE":
        exchange.method = "GET"


def in_seconds(exchange: PassingExchange) -> None:
    if exchange.data:
        for name in ("created_at", "updated_at"):
            at("data", name, to=lambda ms: ms // 1000)(exchange.body)


def posted_to(change: Callable[[str], str], *, also: bool = False) -> Make:
    """Callbacks go to another address, instead or also."""

    def send(_: Simulator, send: Callable[..., int], url: str, *rest: Any, **more: Any) -> int:
        if also:
            send(url, *rest, **more)
        return send(change(url), *rest, **more)

    return does("callbacks.send", send)


def first_call(*place: str, to: Any) -> Make:
    """The body of the first callback of a task differs in one place."""

    def send(simulator: Simulator, send: Callable[..., int], url: str, body: bytes, *rest: Any, **more: Any) -> int:
        task = json.loads(body)
        if task["task_status"] == simulator.contract.lifecycle.submitted:
            at(*place, to=to)(task)
        return send(url, json.dumps(task).encode(), *rest, **more)

    return does("callbacks.send", send)


def damaged(change: Callable[[bytes], bytes]) -> Make:
    """The files of results are others."""

    def answer(exchange: PassingExchange) -> None:
        if fetched(exchange):
            exchange.answer = change(exchange.answer)

    return between(answer=answer)


def spoilt(file: bytes) -> bytes:
    """Return a file with one other byte, in the middle."""
    middle = len(file) // 2
    return file[:middle] + bytes([file[middle] ^ 1]) + file[middle + 1 :]


def in_an_envelope(_: Simulator, send: Callable[..., int], url: str, body: bytes, *rest: Any, **more: Any) -> int:
    return send(url, b'{"code":0,"data":' + body + b"}", *rest, **more)


def more(limit: int) -> int:
    """One more."""
    return limit + 1


def fewer(limit: int) -> int:
    """One less."""
    return limit - 1
