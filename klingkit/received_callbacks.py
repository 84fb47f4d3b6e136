"""The callbacks that the receivers of a test answered."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback that a receiver answered."""

    task_id: str
    status: str
    """Of the task, as the body says it."""
    body: dict[str, Any]
    headers: dict[str, str]
    url: str
    http_status: int
    """What the receiver answered."""


class ReceivedCallbacks:
    """What has come so far, from whatever thread."""

    def __init__(self) -> None:
        self._callbacks: list[Callback] = []
        self._arrived = threading.Condition()

    def add(self, callback: Callback) -> None:
        """Add one, and wake who waits."""
        with self._arrived:
            self._callbacks.append(callback)
            self._arrived.notify_all()

    def all(self) -> list[Callback]:
        """Return them in the order in which they came."""
        return list(self._callbacks)

    def taken(self, status: str | None, task_id: str | None) -> Callback | None:
        """Return the first that fits and was answered 2xx."""
        fitting = (
            callback
            for callback in self.all()
            if status in {None, callback.status} and task_id in {None, callback.task_id}
        )
        return next((callback for callback in fitting if 200 <= callback.http_status < 300), None)

    def wait(self, seconds: float) -> None:
        """Wait until one comes, for so long at most."""
        with self._arrived:
            self._arrived.wait(seconds)
