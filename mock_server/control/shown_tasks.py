"""A task as the control API shows it: what was asked for, what it is made from, its planned life beside what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..clocks import SERVER
from ..outbound import host_and_path, without_secrets
from ..task_bodies import query_data
from ..tasks import at_step, snapshot
from ..thumbnails import picture_facts
from .bodies import delivery_body, move_body
from .explanations import explanation, scenario_why
from .why_no_callback import why_no_callback

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..clock import Move
    from ..deliveries import Delivery
    from ..simulator import Simulator
    from ..tasks import Snapshot, Task

INPUT_PATH = "/_mock/tasks/{task_id}/inputs/{number}"
RESULT_PATH = "/_mock/tasks/{task_id}/results/{number}"


class Now:
    """What time it is for each account, and what was done to its clock: asked once for an answer."""

    def __init__(self, simulator: Simulator) -> None:
        self._clocks = simulator.clocks
        self._times: dict[str, int] = {}
        self._moves: dict[str, list[Move]] = {}

    def of(self, account: str) -> int:
        """Return the time of an account in ms."""
        if account not in self._times:
            self._times[account] = self._clocks.now(account)
        return self._times[account]

    def moves(self, account: str) -> list[Move]:
        """Return the last moves of the clock of an account."""
        name = account if self._clocks.owner(account) != SERVER else SERVER
        if name not in self._moves:
            self._moves[name] = self._clocks.moves(name)
        return self._moves[name]


def task_bodies(
    simulator: Simulator, tasks: Iterable[Task], now: Now | None = None, *, closely: bool = False
) -> list[dict[str, Any]]:
    """Return tasks with their timelines; `closely` looks at the pictures that were sent too."""
    found = list(tasks)
    told = simulator.store.deliveries_of(task.task_id for task in found)
    kept = simulator.store.kept_inputs(task.task_id for task in found)
    now = now or Now(simulator)
    return [
        {
            **_task_body(simulator, task, told.get(task.task_id, ()), now),
            "results": _results(simulator, task, now, closely=closely),
            "inputs": [
                _input_body(simulator, task, number, is_kept=(task.task_id, number) in kept, closely=closely)
                for number in range(len(task.pictures))
            ],
        }
        for task in found
    ]


def _task_body(simulator: Simulator, task: Task, deliveries: Sequence[Delivery], now: Now) -> dict[str, Any]:
    contract = simulator.contract_of(task)
    view = snapshot(task, now.of(task.account))
    return {
        "task_id": task.task_id,
        "account": task.account,
        "contract": task.contract,
        "create_url": task.base_url + task.path,
        "request_id": task.request_id,
        "status": view.status,
        "message": task.plan.message if view.ended else "",
        "age_ms": max(0, now.of(task.account) - task.created_at),
        "updated_at": view.updated_at,
        "ended": view.ended,
        "progression": task.progression,
        "scenario": task.scenario.text if task.scenario else None,
        "scenario_source": task.scenario_source,
        "scenario_why": scenario_why(contract, task),
        "prompt": task.prompt,
        "n": task.n,
        "aspect_ratio": task.aspect_ratio,
        "external_task_id": task.external_task_id,
        "callback_url": host_and_path(task.callback_url) if task.callback_url else "",
        "callbacks_why": why_no_callback(simulator, task, deliveries),
        "cost": f"{task.cost:f}",
        "currency": contract.currency,
        "failure": explanation(contract, task.plan.rule, task.plan.why) if task.plan.rule else None,
        "timeline": _timeline(simulator, view, deliveries, now.moves(task.account)),
    }


def _input_body(simulator: Simulator, task: Task, number: int, *, is_kept: bool, closely: bool) -> dict[str, Any]:
    """Return what a task was made from; what can be said of the bytes alone is null where nobody has looked, or they are not kept."""
    picture = task.pictures[number]
    data = simulator.store.input(task.task_id, number) if closely and is_kept else None
    facts = picture_facts(data) if data is not None else None
    return {
        "number": number,
        "place": list(picture.place),
        "role": picture.role,
        "kind": "url" if picture.url else "base64",
        "url": without_secrets(picture.url) if picture.url else None,
        "address": INPUT_PATH.format(task_id=task.task_id, number=number) if is_kept else None,
        "media_type": facts.media_type if facts else None,
        "bytes": facts.size if facts else None,
        "width": facts.width if facts else None,
        "height": facts.height if facts else None,
    }


def _results(simulator: Simulator, task: Task, now: Now, *, closely: bool) -> list[dict[str, Any]]:
    """Return the results; their size is null in a list, and until somebody has fetched or looked at one: none is drawn for this."""
    view = snapshot(task, now.of(task.account))
    images = query_data(view, simulator.contract_of(task), task.base_url)["task_result"].get("images", [])
    drawn = [simulator.store.results.get((task.task_id, number)) if closely else None for number in range(len(images))]
    facts = [picture_facts(data) if data is not None else None for data in drawn]
    return [
        {
            "number": number,
            "url": image.get("url"),
            "address": RESULT_PATH.format(task_id=task.task_id, number=number),
            "expires_at": view.updated_at + task.plan.result_ms,
            "bytes": known.size if known else None,
            "width": known.width if known else None,
            "height": known.height if known else None,
        }
        for number, (image, known) in enumerate(zip(images, facts, strict=True))
    ]


def _timeline(
    simulator: Simulator, view: Snapshot, deliveries: Sequence[Delivery], moves: list[Move]
) -> dict[str, Any]:
    task = view.task
    steps = [at_step(task, step) for step in range(len(task.plan.steps))]
    manual = task.progression == "manual"
    polls = simulator.store.journal.polls_of(task.task_id)
    last = max([view.updated_at, *(at for at, _ in polls), *(made.at for each in deliveries for made in each.attempts)])
    return {
        "planned": [
            {"status": status, "at": None if manual and step else at}
            for step, (status, at) in enumerate(task.plan.steps)
        ],
        "happened": [{"status": step.status, "at": step.updated_at} for step in steps[: view.step + 1]],
        "polls": [{"at": at, "request": number} for at, number in polls],
        "callbacks": [delivery_body(delivery) for delivery in deliveries],
        "moves": [
            move_body(move) for move in moves if move.end >= task.created_at and (not view.ended or move.start <= last)
        ],
    }
