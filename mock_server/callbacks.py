"""Callbacks: each status change is posted to the task's `callback_url`, at least once and in order per task."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Protocol

from .outbound import NotAllowedError, OutboundError, host_and_path
from .store import Delivery, MemoryStore
from .tasks import at_step
from .wire import callback_body

if TYPE_CHECKING:
    from klingkit.contract import Contract

    from .clock import Clock
    from .tasks import Task

log = logging.getLogger("klingkit")

THREADS = 16


class Sender(Protocol):
    """Sends a callback and returns the HTTP status of the receiver."""

    def __call__(self, url: str, body: bytes, headers: dict[str, str], *, timeout_ms: int) -> int:
        """Raise NotAllowedError if the URL must not be called, OutboundError if the call failed."""
        ...


class Callbacks:
    """Delivers what the store holds as due: by `deliver_due`, or by threads of its own that wait for the clock."""

    def __init__(self, store: MemoryStore, clock: Clock, contract: Contract, send: Sender, *, speed: float) -> None:
        self._store = store
        self._clock = clock
        self._contract = contract
        self._policy = contract.callbacks
        self._pauses = tuple(int(ms / speed) for ms in contract.callbacks.retry_after_ms)
        self._send = send
        self._background = False
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def schedule(self, task: Task) -> None:
        """Make the callbacks of a new task due, one for each step of its plan."""
        self._store.enqueue([Delivery(task, step, at) for step, (_, at) in enumerate(task.plan.steps)])
        if self._background:
            self._start_threads()
            self._wake_one()

    def deliver_due(self) -> int:
        """Make every attempt that is due now, in order; return how many there were."""
        attempts = 0
        while delivery := self._store.claim(self._clock.now()):
            self._attempt(delivery)
            attempts += 1
        return attempts

    def run_in_background(self) -> None:
        """Deliver as time goes by, from threads that start with the first callback and end with the process."""
        self._background = True

    def _start_threads(self) -> None:
        with self._changed:
            missing = range(len(self._threads), THREADS)
            new = [threading.Thread(target=self._run, name=f"callbacks-{number}", daemon=True) for number in missing]
            self._threads += new
        for thread in new:
            thread.start()

    def _run(self) -> None:
        while True:
            if delivery := self._store.claim(self._clock.now()):
                self._wake_one()  # this thread may be long: another one watches the clock meanwhile
                self._attempt(delivery)
                continue
            with self._changed:
                due_at = self._store.next_due()
                pause = None if due_at is None else (due_at - self._clock.now()) / 1000
                if pause is None or pause > 0:
                    self._changed.wait(pause)

    def _wake_one(self) -> None:
        with self._changed:
            self._changed.notify()

    def _attempt(self, delivery: Delivery) -> None:
        task = delivery.task
        view = at_step(task, delivery.step)
        body = json.dumps(
            callback_body(view, self._contract.lifecycle), ensure_ascii=False, separators=(",", ":")
        ).encode()
        where = f"callback of task {task.task_id} ({view.status}) to {host_and_path(task.callback_url)}"
        try:
            headers = {"Content-Type": self._policy.content_type}
            status = self._send(task.callback_url, body, headers, timeout_ms=self._policy.timeout_ms)
            problem = "" if 200 <= status < 300 else f"answered {status}"
        except NotAllowedError as error:
            self._store.settle(delivery, "refused")
            log.warning("%s: not sent, %s; --allow-callback HOST allows a host", where, error)
            return
        except OutboundError as error:
            problem = f"failed, {error}"
        if not problem:
            self._store.settle(delivery, "delivered")
            log.info("%s: delivered", where)
        elif delivery.attempts < len(self._pauses):
            pause = self._pauses[delivery.attempts]
            self._store.retry(delivery, self._clock.now() + pause)
            log.warning("%s: %s; next attempt in %.1f s", where, problem, pause / 1000)
        else:
            self._store.settle(delivery, "given_up")
            log.warning("%s: %s; given up after %d attempts", where, problem, delivery.attempts + 1)
