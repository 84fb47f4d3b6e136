"""Callbacks: each status change is posted to the task's `callback_url`, at least once and in order per task.

A scenario can lose, delay, double or reorder them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Protocol

from klingkit.contract.import_lock import importing

from .clocks import SERVER
from .counts import ATTEMPTS
from .deliveries import ANSWER_KEPT, Attempt, Delivery, Outcome, Reply, Sequel, bounded, sequel
from .foreign_text import log, plain
from .outbound import NotAllowedError, OutboundError, host_and_path
from .store import StoreUnavailableError
from .task_bodies import callback_body
from .tasks import LONGEST_CALLBACK_URL, at_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from klingkit.contract import Contract

    from .clocks import Clocks
    from .counts import Counts
    from .store import Store
    from .tasks import Snapshot, Task


MAX_THREADS = 256
"""Started as they are needed. An account holds eight at most (`store/delivery_queue.py`), each for the time of an attempt."""
LOOK_S = 0.15
"""How often a process looks for what others have planned, where they share the state."""
BUSY_S = 0.01
"""After which is looked again for what was due, and was taken or is being changed by somebody else."""
AWAY_S = 0.5
"""After which a state that could not be reached is tried again."""
AWAY_TIMES = 10
"""How often what came of an attempt is tried to be kept; after that the callback is made again."""
LONGEST_WAIT_S = 60.0
"""For attempts that have begun: an application in this process has no other bound."""
LONGEST_SECRET = 500


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class SendCallback(Protocol):
    """Sends a callback and returns the HTTP status of the receiver, or all that it answered."""

    def __call__(self, url: str, body: bytes, headers: dict[str, str], *, timeout_ms: int) -> int | Reply:
        """Raise NotAllowedError if the URL must not be called, OutboundError if the call failed."""
        ...


class Callbacks:
    """Delivers what the store holds as due: by `deliver_due`, or by threads of its own that wait for the clocks."""

    def __init__(
        self,
        store: Store,
        clocks: Clocks,
        contract_of: Callable[[Task], Contract],
        send: SendCallback,
        *,
        counts: Counts,
        speed: float,
    ) -> None:
        self._counts = counts
        self._store = store
        self._clocks = clocks
        self._contract_of = contract_of
        self._speed = speed
        self.send = send
        self.in_background = False
        """Whether threads deliver as time goes by."""
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        """Something may be due: told to one of the threads that watch."""
        self._ended = threading.Condition(lock)
        """An attempt is over."""
        self._threads = 0
        self._watching = 0
        """Threads that make no attempt."""
        self._news = 0
        """How often there was a reason to look for what is due."""
        self._claiming: set[object] = set()
        """One for each thread that takes a delivery at the moment."""
        self._attempting: dict[str, str] = {}
        """Account of each attempt that has begun, by the id of its delivery."""
        self._held: list[str | None] = []
        """For whom no thread begins an attempt: accounts, those that follow the server's clock (empty), or all (None)."""

    def plan(self, task: Task) -> list[Delivery]:
        """Return the callbacks of a new task in the order in which they are made, one for each step of its plan."""
        if not task.callback_url:
            return []
        fault = task.scenario.callback if task.scenario else ""
        late = task.scenario.callback_late_ms if task.scenario else 0
        deliveries = []
        for step in self._steps_told(task):
            trigger = max(0, step - 1) if fault == "early" else step
            at = task.reached_at(trigger)
            due_at = None if at is None else at + late
            told = task.plan.steps[step][0]
            deliveries.append(
                Delivery(_delivery_id(task.task_id, step), task.task_id, task.account, step, trigger, due_at, told)
            )
        if fault == "reordered" and len(deliveries) > 2:
            deliveries[-2:] = reversed(deliveries[-2:])
        return deliveries

    def _steps_told(self, task: Task) -> list[int]:
        """Return the steps of a plan that are called back for."""
        contract, statuses = self._contract_of(task), [status for status, _ in task.plan.steps]
        lifecycle = contract.lifecycle
        skipped = lifecycle.processing if contract.takes("callback-processing") == "end-only" else ""
        fails = statuses[-1] == lifecycle.failed
        return [step for step, status in enumerate(statuses) if not (fails and status == skipped)]

    def wake(self) -> None:
        """Look for what is due: a callback was planned, or the clock was moved."""
        if self.in_background:
            with self._changed:
                self._watch()
                self._tell()

    def deliver_due(
        self, whose: str = SERVER, after_each: Callable[[], None] = lambda: None
    ) -> list[tuple[Delivery, Attempt]]:
        """Make every attempt that is due now of an account, or (empty) of those that follow the server's clock; return them in order."""
        made = []
        while claimed := self._claim(only=whose):
            made.append((claimed[0], self._attempt(*claimed)))
            after_each()
        return made

    def next_due(self, whose: str = SERVER) -> int | None:
        """Time in ms of the next attempt that `deliver_due` would make; None if there is none."""
        return self._store.next_due(whose)

    def run_in_background(self) -> None:
        """Deliver as time goes by, from threads that start with the first callback and end with the process.

        Where the state is shared there are callbacks that others have planned.
        """
        self.in_background = True
        if self._store.leases.shared:
            self.wake()

    @contextmanager
    def held(self, whose: str | None) -> Iterator[None]:
        """Let no thread begin an attempt meanwhile of an account, of those that follow the server's clock (empty), or of any (None).

        Those that have begun are waited for.
        """
        with self._changed:
            self._held.append(whose)
        try:
            self.settle(whose)
            yield
        finally:
            with self._changed:
                self._held.remove(whose)
                self._tell()

    def settle(self, whose: str | None) -> None:
        """Wait for the attempts that have begun, which are over in time; not for later ones."""
        end = monotonic() + LONGEST_WAIT_S
        with self._changed:
            claiming = set(self._claiming)
            self._ended.wait_for(lambda: claiming.isdisjoint(self._claiming), LONGEST_WAIT_S)
            begun = {
                delivery
                for delivery, account in self._attempting.items()
                if whose in {None, account, self._clocks.owner(account)}
            }
            self._ended.wait_for(lambda: begun.isdisjoint(self._attempting), LONGEST_WAIT_S)
        elsewhere = self._store.leases.attempting(whose)
        while elsewhere & self._store.leases.attempting(whose) and monotonic() < end:
            with self._changed:
                self._ended.wait(LOOK_S / 5)

    def _tell(self) -> None:
        """Tell whoever watches that something may be due."""
        self._news += 1
        self._changed.notify()

    def _watch(self) -> None:
        """Start a thread if none watches the clock."""
        if not self._watching and self._threads < MAX_THREADS:
            self._threads += 1
            self._watching += 1
            threading.Thread(target=self._run, name=f"callbacks-{self._threads}", daemon=True).start()

    def close(self) -> None:
        """Begin no more attempts in the background."""
        with self._changed:
            self.in_background = False
            self._changed.notify_all()

    def _run(self) -> None:
        """Watch, and make an attempt whenever one is due, while another thread watches; end when that one still does."""
        while self.in_background:
            claimed = self._look()
            if claimed is None:
                continue
            with self._changed:
                self._watching -= 1
                self._watch()  # this thread may be long
            with suppress(StoreUnavailableError):  # the log says so
                self._attempt(*claimed)
            with self._changed:
                if self._watching:
                    self._threads -= 1
                    return
                self._watching += 1

    def _look(self) -> tuple[Delivery, Task] | None:
        """Take what is due; where nothing is, wait until something may be."""
        news = self._news
        try:
            pause = self._pause()
            if pause == 0 and (claimed := self._claim()):
                return claimed
            pause = BUSY_S if pause == 0 else pause  # another thread or process was faster
        except StoreUnavailableError:  # the log says so
            pause = AWAY_S
        with self._changed:
            if self._news == news:
                self._changed.wait(pause)
        return None

    def _claim(self, *, only: str | None = None) -> tuple[Delivery, Task] | None:
        """Take a delivery that is due, for who travels (`only`), else but for those who are held. It locks nobody out meanwhile."""
        claiming, claimed = object(), None
        with self._changed:
            held = [] if only is not None else list(self._held)
            self._claiming.add(claiming)
        try:
            if None not in held:
                named = [whose for whose in held if whose is not None]
                claimed = self._store.claim(self._clocks.machine(), only=only, without=named)
            return claimed
        finally:
            with self._changed:
                if claimed:
                    self._attempting[claimed[0].id] = claimed[0].account
                self._claiming.discard(claiming)
                self._ended.notify_all()

    def _pause(self) -> float | None:
        """Return for how many s of the machine's time nothing is due; None: until somebody wakes us."""
        longest = LOOK_S if self._store.leases.shared else None
        held = list(self._held)
        wake = None if None in held else self._store.next_wake([whose for whose in held if whose is not None])
        if wake is None:
            return longest
        pause = max(wake - self._clocks.machine(), 0) / 1000
        return pause if longest is None else min(pause, longest)

    def _attempt(self, delivery: Delivery, task: Task) -> Attempt:
        """Try once, and note what came of it, for a delivery that was claimed."""
        try:
            self._store.refresh()
            return self._try(delivery, task)
        finally:
            with self._changed:
                self._attempting.pop(delivery.id, None)
                self._ended.notify_all()
                self._tell()

    def _try(self, delivery: Delivery, task: Task) -> Attempt:
        view = at_step(task, delivery.step)
        attempt = self._send(delivery, task, view)
        fault = task.scenario.callback if task.scenario else ""
        follows = sequel(attempt, delivery.attempts, self._pauses_ms(task), twice=fault == "twice")
        of = f"task {task.task_id} ({view.status}{', request ' * bool(task.request_id)}{task.request_id})"
        where = f"callback of {of} to {host_and_path(task.callback_url)}"
        fields = {
            "request_id": task.request_id,
            "account": task.account,
            "task_id": task.task_id,
            "task_status": view.status,
            "delivery": delivery.id,
            "attempt": len(delivery.attempts) + 1,
            "status": attempt.status,
            "outcome": follows.outcome,
        }
        failures = 1 + sum(bool(made.problem) for made in delivery.attempts)
        _log(where, attempt, follows, failures=failures, extra={"fields": fields})
        self._counts.add((ATTEMPTS, follows.outcome or "again"))
        retry_at = None if follows.pause_ms is None else attempt.at + follows.pause_ms
        self._finish(delivery, attempt, retry_at, follows.outcome)
        return attempt

    def _finish(self, delivery: Delivery, attempt: Attempt, retry_at: int | None, outcome: Outcome) -> None:
        """Keep what came of an attempt, patiently: it cannot be undone."""
        for _ in range(AWAY_TIMES):
            with suppress(StoreUnavailableError):
                self._store.finish(delivery, attempt, retry_at=retry_at, outcome=outcome)
                return
            sleep(AWAY_S)
        self._store.finish(delivery, attempt, retry_at=retry_at, outcome=outcome)

    def _send(self, delivery: Delivery, task: Task, view: Snapshot) -> Attempt:
        """Post the callback, unless the scenario loses it; its time is that of the receiver's answer."""
        fault = task.scenario.callback if task.scenario else ""
        if fault == "lost-all" or (fault == "lost" and not delivery.attempts):
            problem = "lost on its way, as the scenario wants"
            return Attempt(self._clocks.now(task.account), None, problem, cause="lost")
        contract = self._contract_of(task)
        body = encoded_body(view, contract)
        signature = self._signature(delivery, body)
        signed = (signature.get("webhook-timestamp", ""), signature.get("webhook-signature", ""))
        headers = sent_headers(task, contract, delivery.id, signed)
        began = monotonic()
        attempt = self._post(task.callback_url, body, headers, contract.callbacks.timeout_ms)
        ms = round((monotonic() - began) * 1000)
        return replace(attempt, at=self._clocks.now(task.account), ms=ms, told_at=view.updated_at, signed=signed)

    def _post(self, url: str, body: bytes, headers: dict[str, str], timeout_ms: int) -> Attempt:
        """Send a callback, and return what came of it, without its time."""
        try:
            if len(url) > LONGEST_CALLBACK_URL:
                raise NotAllowedError(f"it is longer than {LONGEST_CALLBACK_URL} characters", "long-url")  # noqa: TRY301
            answer = self.send(url, body, headers, timeout_ms=timeout_ms)
        except NotAllowedError as error:
            return Attempt(0, None, f"not sent, {plain(str(error))}", refused=True, cause=error.cause)
        except OutboundError as error:
            return Attempt(0, None, f"failed, {plain(str(error))}", cause=error.cause)
        reply = answer if isinstance(answer, Reply) else Reply(answer)
        return Attempt(
            0,
            reply.status,
            "" if 200 <= reply.status < 300 else f"answered {reply.status}",
            answer_headers=bounded(reply.headers),
            answer=reply.body[:ANSWER_KEPT].decode("latin-1"),
            more=reply.more or len(reply.body) > ANSWER_KEPT,
        )

    def _pauses_ms(self, task: Task) -> list[int]:
        """Return the retry schedule of a task's account."""
        schedule = self._contract_of(task).callbacks.retry_after_ms[self._store.settings(task.account).callback_retries]
        return [int(pause / self._speed) for pause in schedule]

    def _signature(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        """Return the headers of a signature, in real time; none without a secret."""
        secret = self._store.settings(delivery.account).callback_secret
        return sign(secret, delivery.id, datetime.now(UTC), body) if secret else {}


def encoded_body(view: Snapshot, contract: Contract) -> bytes:
    """Return the body of a callback as it is sent."""
    return _encode(callback_body(view, contract)).encode()


def sent_headers(task: Task, contract: Contract, delivery_id: str, signed: tuple[str, str]) -> dict[str, str]:
    """Return the headers of a callback; the connection adds Host, User-Agent and Content-Length."""
    headers = {"Content-Type": contract.callbacks.content_type}
    if signed[1]:
        headers |= {"webhook-id": delivery_id, "webhook-timestamp": signed[0], "webhook-signature": signed[1]}
    if task.request_id:
        headers["Klingkit-Request-Id"] = task.request_id
    return headers


def _log(where: str, attempt: Attempt, follows: Sequel, *, failures: int, extra: dict[str, Any]) -> None:
    if not attempt.problem:
        log.info("%s: delivered", where, extra=extra)
    elif follows.pause_ms is not None:
        log.warning("%s: %s; next attempt in %.1f s", where, attempt.problem, follows.pause_ms / 1000, extra=extra)
    elif follows.outcome == "given_up":
        log.warning("%s: %s; given up after %d attempts", where, attempt.problem, failures, extra=extra)
    else:
        log.warning("%s: %s", where, attempt.problem, extra=extra)


def _delivery_id(task_id: str, step: int) -> str:
    """Return an id as Standard Webhooks spells them: of its task, so that no other has it, also after a reset."""
    return "msg_" + hashlib.sha256(f"{task_id} {step}".encode()).hexdigest()[:27]


def sign(secret: str, delivery_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks (api-facts, section 5)."""
    with importing:
        from standardwebhooks import Webhook  # noqa: PLC0415 - only signed callbacks need it

    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(delivery_id, now, body.decode()),
    }


def check_secret(secret: str) -> str:
    """Return a webhook secret that can be used. Raises ValueError for one that is no Base64."""
    try:
        if len(secret) <= LONGEST_SECRET and base64.b64decode(secret.removeprefix("whsec_"), validate=True):
            return secret
    except ValueError:
        pass
    raise ValueError(
        f"a callback secret is Base64 of at most {LONGEST_SECRET} characters, with or without whsec_ before it"
    )
