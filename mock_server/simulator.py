"""The engine: what the service does with a request that the HTTP layer has read. It knows nothing of Flask."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from klingkit.contract import ApiError, Picture, load_contract

from .callbacks import Callbacks
from .clock import SystemClock
from .ids import Ids
from .outbound import NotAllowedError, Outbound, OutboundError, host_and_path
from .settings import Settings
from .store import ExternalIdTakenError, MemoryStore
from .tasks import Plan, Snapshot, Task, at_step, snapshot

if TYPE_CHECKING:
    from klingkit.contract import Contract, Rule

    from .callbacks import Sender
    from .clock import Clock

log = logging.getLogger("klingkit")

FETCH_TIMEOUT_MS = 5000


class Simulator:
    """One simulated service. Safe to call from many threads; lives as long as its server."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        contract: Contract | None = None,
        clock: Clock | None = None,
        send: Sender | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.contract = contract or load_contract()
        self.clock = clock or SystemClock()
        self.started_at = self.clock.now()
        self.ids = Ids(self.settings.seed, epoch_ms=self.contract.task_id_epoch_ms, shift=self.contract.task_id_shift)
        self.store = MemoryStore(
            max_tasks=self.settings.max_tasks,
            max_input_bytes=self.settings.max_input_bytes,
            max_result_bytes=self.settings.max_result_bytes,
        )
        self._warned_of_drops = False
        self._fetcher = Outbound(self.settings.allow_fetch)
        send = send or Outbound(self.settings.allow_callback).post
        self.callbacks = Callbacks(self.store, self.clock, self.contract, send, speed=self.settings.speed)
        if isinstance(self.clock, SystemClock):
            self.callbacks.run_in_background()

    def create(self, account: str, body: dict[str, Any], base_url: str) -> Snapshot:
        """Judge a create request and submit its task; the answer always shows the first status.

        Raises ApiError for the first broken rule.
        """
        violations, pictures = self.contract.request.judge(body)
        if violations:
            raise violations[0].error
        if self.settings.fetch_inputs:
            pictures, failed_rule = self._fetch(pictures)
        else:
            failed_rule = None
        rules = (self.contract.request.async_violation(picture) for picture in pictures)
        failed_rule = failed_rule or next((rule for rule in rules if rule), None)
        task = self._submit(account, {**self.contract.request.defaults, **body}, pictures, failed_rule, base_url)
        return at_step(task, 0)

    def query(self, account: str, task_id: str) -> Snapshot:
        """Return a task of the account as it stands now.

        Raises ApiError if the account has no such task: unknown, another account's, or dropped.
        """
        task = self.store.get(task_id)
        if task is None or task.account != account:
            raise ApiError(self.contract.rules["task_id.exists"])
        return snapshot(task, self.clock.now())

    def picture(self, task_id: str, index: int) -> bytes | None:
        """Return result `index` of a task as PNG, rendered on the first call; None if there is no such result (yet).

        Raises ResultExpiredError when it is no longer kept.
        """
        task = self.store.get(task_id)
        lifecycle = self.contract.lifecycle
        now = self.clock.now()
        if task is None or not 0 <= index < task.n or snapshot(task, now).status != lifecycle.succeeded:
            return None
        if now >= task.ended_at + lifecycle.result_ms:
            raise ResultExpiredError
        if (cached := self.store.results.get((task_id, index))) is not None:
            return cached
        from .pictures import render  # noqa: PLC0415 - start-up does not wait for Pillow

        inputs = [
            replace(picture, data=self.store.inputs.get((task_id, number)))
            for number, picture in enumerate(task.pictures)
        ]
        data = render(task, index, inputs)
        self.store.results.put((task_id, index), data)
        return data

    def _submit(
        self, account: str, body: dict[str, Any], pictures: list[Picture], failed_rule: Rule | None, base_url: str
    ) -> Task:
        now = self.clock.now()
        task = Task(
            task_id=self.ids.task_id(now),
            account=account,
            plan=self._plan(now, failed_rule),
            prompt=body.get("prompt", ""),
            n=body["n"],
            aspect_ratio=body["aspect_ratio"],
            pictures=tuple(replace(picture, data=None) for picture in pictures),
            external_task_id=body.get("external_task_id", ""),
            callback_url=body.get("callback_url", ""),
            base_url=base_url,
        )
        try:
            dropped = self.store.add(task)
        except ExternalIdTakenError:
            unique = self.contract.rules["external_task_id.unique"]
            raise ApiError(unique, value=task.external_task_id) from None
        if dropped and not self._warned_of_drops:
            self._warned_of_drops = True
            log.warning("more than %d tasks: from now on the oldest is dropped", self.settings.max_tasks)
        if failed_rule is None:
            for number, picture in enumerate(pictures):
                if picture.data is not None:
                    self.store.inputs.put((task.task_id, number), picture.data)
        if task.callback_url:
            self.callbacks.schedule(task)
        return task

    def _plan(self, now: int, failed_rule: Rule | None) -> Plan:
        lifecycle = self.contract.lifecycle
        end = "failed" if failed_rule else "succeeded"
        processing_at, ended_at = (now + self._duration(role) for role in ("processing", end))
        return Plan(
            steps=(
                (lifecycle.submitted, now),
                (lifecycle.processing, processing_at),
                (lifecycle.failed if failed_rule else lifecycle.succeeded, max(processing_at, ended_at)),
            ),
            message=failed_rule.text() if failed_rule else "",
            rule=failed_rule.id if failed_rule else "",
        )

    def _duration(self, role: str) -> int:
        if self.settings.instant:
            return 0
        return int(self.ids.duration(*self.contract.lifecycle.timings[role]) / self.settings.speed)

    def _fetch(self, pictures: list[Picture]) -> tuple[list[Picture], Rule | None]:
        """Fetch the pictures given by URL, side by side; return them with the rule of the first that failed."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only --fetch-inputs needs it

        with ThreadPoolExecutor(max_workers=len(pictures)) as pool:
            fetched = list(pool.map(self._fetch_one, pictures))
        failed = next((picture for picture, ok in fetched if not ok), None)
        rule = self.contract.request.picture_rule(failed, "fetch") if failed else None
        return [picture for picture, _ in fetched], rule

    def _fetch_one(self, picture: Picture) -> tuple[Picture, bool]:
        if picture.url is None:
            return picture, True
        limit = self.contract.request.limits.max_bytes
        try:
            data = self._fetcher.get(picture.url, max_bytes=limit, timeout_ms=FETCH_TIMEOUT_MS)
        except NotAllowedError as error:
            log.warning("%s: not fetched, %s; --allow-fetch HOST allows a host", host_and_path(picture.url), error)
            return picture, True
        except OutboundError as error:
            log.warning("%s: could not be fetched, %s", host_and_path(picture.url), error)
            return picture, False
        return replace(picture, data=data), True


class ResultExpiredError(Exception):
    """A result picture is no longer kept."""
