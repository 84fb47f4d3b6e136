"""A task from its making to its end, what is told of it, and the pictures that come of it."""

import io
import threading
import zlib
from dataclasses import dataclass
from typing import Any

from PIL import Image

from .habits import Habits

_EPOCH_OF_IDS = 1_568_028_518_785
"""Milliseconds; six published task ids agree with it within 40 ms."""

_SIZES = {
    "16:9": (640, 360),
    "9:16": (360, 640),
    "1:1": (500, 500),
    "4:3": (580, 435),
    "3:4": (435, 580),
    "3:2": (615, 410),
    "2:3": (410, 615),
    "21:9": (777, 333),
}


class VirtualClock:
    """Time that moves only when it is told to, in seconds since 1970."""

    def __init__(self, start: float = 1_790_000_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        """The moment, in seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on."""
        with self._lock:
            self._now += seconds


def snowflake(now: float, serial: int) -> str:
    """A task id that was made at `now` seconds."""
    return str(((milliseconds(now) - _EPOCH_OF_IDS) << 22) | (serial % (1 << 22)))


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


@dataclass(frozen=True, slots=True)
class Task:
    """What was asked, and the path that it takes: pairs of a moment in seconds and a status."""

    task_id: str
    account: str
    external_id: str
    callback_url: str
    number: int
    ratio: str
    watermark: bool
    failure: str
    path: tuple[tuple[float, str], ...]

    @property
    def created(self) -> float:
        return self.path[0][0]

    def step(self, now: float) -> tuple[float, str]:
        """The last transition that has happened: its moment and its status."""
        return [step for step in self.path if step[0] <= now][-1] if now >= self.created else self.path[0]


def path_of(now: float, failure: str, habits: Habits) -> tuple[tuple[float, str], ...]:
    """The path of a task that is made now, and fails if there is a reason to."""
    if failure and habits.failing_skips_processing:
        return (now, "submitted"), (now + habits.fails_after, "failed")
    begins = now + (min(habits.processing_after, habits.fails_after / 2) if failure else habits.processing_after)
    end = (now + habits.fails_after, "failed") if failure else (now + habits.ends_after, "succeed")
    return (now, "submitted"), (begins, "processing"), end


class Bodies:
    """The task objects: of a create, of a query and of a callback."""

    def __init__(self, contract: str, habits: Habits, pictures_at: str) -> None:
        self.contract = contract
        self.habits = habits
        self.pictures_at = pictures_at

    def created(self, task: Task) -> dict[str, Any]:
        """What a create answers: no result yet, and no place for one."""
        made = milliseconds(task.created)
        return self._with_own_fields(
            {
                "task_id": task.task_id,
                "task_status": "submitted",
                "task_info": self.info(task),
                "created_at": made,
                "updated_at": made,
            }
        )

    def queried(self, task: Task, now: float) -> dict[str, Any]:
        """What a query answers at a moment."""
        since, status = task.step(now)
        body: dict[str, Any] = {
            "task_id": task.task_id,
            "task_info": self.info(task),
            "created_at": milliseconds(task.created),
            "updated_at": self.updated(since, status, now),
            "task_result": self.result(task) if status == "succeed" else {},
            "task_status": status,
        }
        if status == "failed" or (status == "succeed" and self.habits.message_on_success):
            body["task_status_msg"] = task.failure
        return self._with_own_fields(body | self._extras(task, status))

    def told(self, task: Task, since: float, status: str) -> dict[str, Any]:
        """The bare task of a callback."""
        return self._with_own_fields(
            {
                "task_id": task.task_id,
                "task_status": status,
                "task_info": self.info(task),
                "task_result": self.result(task) if status == "succeed" else {},
                "task_status_msg": task.failure if status == "failed" else "",
                "created_at": milliseconds(task.created),
                "updated_at": milliseconds(since),
            }
            | self._extras(task, status)
        )

    def updated(self, since: float, status: str, now: float) -> int:
        running = status in {"submitted", "processing"}
        return milliseconds(now if running and self.habits.updated_by_looking else since)

    def info(self, task: Task) -> dict[str, Any]:
        return {"external_task_id": task.external_id} if task.external_id else {}

    def result(self, task: Task) -> dict[str, Any]:
        """The pictures of a finished task."""
        images = [self.image(task, index) for index in range(task.number)]
        return {"images": images} | ({"videos": [], "audios": []} if self.habits.unused_results else {})

    def image(self, task: Task, index: int) -> dict[str, Any]:
        url = f"{self.pictures_at}/{task.task_id}/{index}.png"
        item: dict[str, Any] = {"index": index} if self.habits.index_shown else {}
        item["url"] = url
        if task.watermark:
            item["watermark_url"] = f"{url}?watermark=1"
        return item

    def _extras(self, task: Task, status: str) -> dict[str, Any]:
        if status != "succeed" or not (self.contract == "kling" or self.habits.unit_deduction):
            return {}
        units = str(16 * task.number)
        if self.contract != "kling":
            return {"final_unit_deduction": units}
        return {
            "final_unit_deduction": units,
            "final_balance_deduction": {"quota": units, "list_price": "0.056"},
            "watermark_info": {"enabled": task.watermark},
        }

    def _with_own_fields(self, body: dict[str, Any]) -> dict[str, Any]:
        return body | ({"task_type": "multi_image", "queue": {"lane": 3}} if self.habits.own_fields else {})


def picture_size(ratio: str, habits: Habits) -> tuple[int, int]:
    """Width and height of a result, in pixels."""
    if not habits.ratio_in_steps:
        return _SIZES[ratio]
    width, height = _SIZES[ratio]
    return round(width / 32) * 32, round(height / 32) * 32


def draw(size: tuple[int, int], name: str) -> bytes:
    """A PNG of one colour, which hangs on its name alone."""
    colour = zlib.crc32(name.encode())
    file = io.BytesIO()
    Image.new("RGB", size, (colour & 255, colour >> 8 & 255, colour >> 16 & 255)).save(file, "PNG", compress_level=1)
    return file.getvalue()
