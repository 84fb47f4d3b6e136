"""The tasks of the control API."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..scenario_arguments import check_known
from ..scenarios import scenario_table
from ..simulator import ResultExpiredError
from ..store import PAGE
from ..tasks import snapshot
from ..thumbnails import SMALL_TYPE, picture_facts
from .answers import Blob, Listed
from .asking import ControlError, contracts_of, find, named, paging
from .shown_tasks import Now, task_bodies

if TYPE_CHECKING:
    from ..simulator import Simulator
    from ..tasks import Task

LOOKED_THROUGH = 20_000
"""Tasks that are looked at for one answer; who wants more goes on from there."""
LOOKED_S = 0.25
"""For which no further thousand is looked at, so that others do not wait for who looks through a database."""


def list_tasks(
    simulator: Simulator,
    account: str | None,
    *,
    external_task_id: str | None = None,
    order: str = "oldest",
    after: str = "",
    limit: int = PAGE,
    **wanted: str,
) -> Listed:
    """Return a page of the tasks that fit, in order, or those of an external id."""
    now = Now(simulator)
    if external_task_id is not None:
        records = named(simulator, account, external_task_id)
        return Listed(task_bodies(simulator, [record.task for record in records], now))
    fits = _filter(simulator, account, now, wanted)
    with paging("task"):
        tasks, go_on_after = _fitting(simulator, account, fits, after, limit, newest_first=order == "newest")
    return Listed(task_bodies(simulator, tasks, now), go_on_after)


def _fitting(
    simulator: Simulator,
    account: str | None,
    fits: _Wanted | None,
    after: str,
    limit: int,
    *,
    newest_first: bool,
) -> tuple[list[Task], str]:
    """Return at most `limit` tasks that fit, and what was the last that was looked at; empty if that was the last there is."""
    store = simulator.store
    if fits is None:
        found = store.tasks(account, after=after, limit=limit, newest_first=newest_first)
        return found, found[-1].task_id if len(found) == limit else ""
    found = []
    looked = 0
    began = monotonic()
    while looked < LOOKED_THROUGH and monotonic() < began + LOOKED_S:
        size = min(PAGE, LOOKED_THROUGH - looked)
        page = store.look_through(account, fits.texts, after=after, limit=size, newest_first=newest_first)
        for task_id, task in page:
            if task is not None and fits(task):
                found.append(task)
                if len(found) == limit:
                    return found, task_id
        if len(page) < size:
            return found, ""
        after = page[-1][0]
        looked += size
    return found, after


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a task must be to be shown."""

    now: Now
    status: str
    scenario: str
    text: str

    @property
    def texts(self) -> list[str]:
        """What a task that fits has somewhere."""
        return [text for text in (self.scenario.lower(), self.text, self.status) if text]

    def __call__(self, task: Task) -> bool:
        if self.scenario and not (task.scenario and self.scenario in {task.scenario.name, _kind(task.scenario.name)}):
            return False
        if self.text and not any(
            self.text in text.casefold() for text in (task.prompt, task.external_task_id, task.task_id)
        ):
            return False
        return not self.status or snapshot(task, self.now.of(task.account)).status == self.status


def _filter(simulator: Simulator, account: str | None, now: Now, wanted: dict[str, str]) -> _Wanted | None:
    """Return what tells whether a task fits; None where all do. Raises ControlError for what no task can be."""
    status, scenario, text = (wanted.get(name, "") for name in ("status", "scenario", "text"))
    contracts = contracts_of(simulator, account)
    try:
        if status:
            check_known("status", status, [name for each in contracts[:1] for name in each.lifecycle.transitions])
        if scenario:
            check_known("scenario", _kind(scenario), {name: "" for each in contracts for name in scenario_table(each)})
    except ValueError as error:
        raise ControlError(str(error)) from None
    return _Wanted(now, status, scenario, text.casefold()) if status or scenario or text else None


def _kind(scenario: str) -> str:
    """Return the name of a scenario without its argument."""
    return scenario.partition(":")[0]


def get_task(simulator: Simulator, account: str | None, *, task_id: str) -> dict[str, Any]:
    """Return one task."""
    return task_bodies(simulator, [find(simulator, account, task_id).task], closely=True)[0]


def move_task(simulator: Simulator, account: str | None, *, task_id: str) -> dict[str, Any]:
    """Bring a task one step further."""
    task_id = find(simulator, account, task_id).task.task_id
    simulator.move(task_id)
    return get_task(simulator, account, task_id=task_id)


def get_input_picture(
    simulator: Simulator, account: str | None, *, task_id: str, number: int, width: int | None = None
) -> Blob:
    """Return a picture that a task was made from, as it came or small."""
    task = find(simulator, account, task_id).task
    if number >= len(task.pictures):
        raise ControlError(f"the task has {len(task.pictures)} input pictures, counted from 0", 404)

    def load() -> bytes | None:
        return simulator.store.input(task.task_id, number)

    if width is not None and (small := simulator.thumbnails.get((task.task_id, "input", number), width, load)):
        return Blob(small, SMALL_TYPE)
    data = load()
    if data is None:
        raise ControlError(_why_not_kept(task, number), 404)
    media_type = picture_facts(data).media_type
    if width is not None or not media_type:
        what = "a picture that is too large or broken" if media_type else "neither a PNG nor a JPEG"
        raise ControlError(f"input {number} is {what}, and cannot be drawn; it has {len(data)} bytes", 404)
    return Blob(data, media_type)


def _why_not_kept(task: Task, number: int) -> str:
    if task.pictures[number].url:
        return f"input {number} was given by its URL and not fetched; --fetch-inputs does that"
    return f"input {number} is not kept any more: newer pictures took its room, or its task failed at once and needs it not"


def get_result_picture(
    simulator: Simulator, account: str | None, *, task_id: str, number: int, width: int | None = None
) -> Blob:
    """Return a result picture, as the service gives it or small."""
    task = find(simulator, account, task_id).task

    def load() -> bytes | None:
        return simulator.picture(task.task_id, number, by_client=False)

    try:
        data = load() if width is None else simulator.thumbnails.get((task.task_id, "result", number), width, load)
    except ResultExpiredError:
        raise ControlError(f"result {number} has expired", 404) from None
    if data is None:
        raise ControlError(f"the task has no result {number}: it has ended otherwise, or not yet", 404)
    return Blob(data, "image/png" if width is None else SMALL_TYPE)
