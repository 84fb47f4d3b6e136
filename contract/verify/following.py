"""Follow tasks to their end, and judge them as they end: history, pictures, then callbacks."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..evidence import INFERRED, LIMIT
from ..judge.deviation import Deviation, clipped, shown
from ..judge.extras import judge_extras
from ..judge.reading import describe, images_of
from ..judge.reply import evidence_of
from ..judge.result_pictures import details_of, judge_picture
from ..judge.task_callbacks import judge_callbacks
from ..judge.task_history import goes_on, judge_history
from ..targets.target import NoAnswerError
from .results import HOLDS
from .sending import NotTestedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..evidence import Evidence
    from ..judge.answer_schema import AnswerSchemas
    from ..judge.task_history import Finding
    from ..spec import Contract
    from ..targets.callback_receiver import Received
    from .results import Result
    from .selection import Options
    from .sending import Sender
    from .workers import Workers

TASK_S = 300.0
"""Time for all tasks to end; the longest recorded took 41 s."""
CALLBACK_S = 5.0
"""Time for callbacks after the end of their tasks."""


class Follower:
    """Follows the tasks of one run."""

    def __init__(
        self, sender: Sender, contract: Contract, options: Options, schemas: AnswerSchemas | None, workers: Workers
    ) -> None:
        self._sender = sender
        self._target = sender.target
        self._contract = contract
        self._options = options
        self._schemas = schemas
        self._workers = workers
        self._given_back: set[str] = set()
        """Ids of tasks that have cost nothing in the end."""
        self._lost: set[str] = set()
        """Ids of cases whose tasks cannot be followed any further."""
        self._seen: dict[tuple[str, str], bytes] = {}
        """A digest of each picture that was fetched, by the id of its case and its URL."""
        self._noting = threading.Lock()
        """Two pictures of one task can be looked at at once, both of which may be wrong."""

    def follow(self, fresh: Sequence[Result]) -> None:
        """Query tasks until all have ended, and judge each as it ends."""
        started = self._target.now()
        left = list(fresh)
        while left:
            waited = self._target.now() - started
            ended, left = self._divide(left, all_ended=waited >= TASK_S)
            self._workers.for_each(self._query, ended)  # once more: an end stays an end
            self._judge_tasks([result for result in ended if result.case.id not in self._lost])
            if left:
                pause = max(0.1 if self._target.local else 1.0, waited / 40)
                self._sender.wait_for(f"{len(left)} tasks to end, for {TASK_S - waited:.0f} s at most", pause)
                self._workers.for_each(self._query, left)
        if self._target.callback_url and not self._stops(fresh):
            self._judge_callbacks(
                [result for result in fresh if self._calls_back(result) and result.case.id not in self._lost]
            )

    def find(self, result: Result, requirement: str, expected: str, got: str, evidence: Evidence | None = None) -> None:
        """Note that a promise, or the rule that should end a task, was not kept."""
        kind = "accepted" if result.case.rule else "refused"
        kind = "promise" if requirement in self._contract.promises else kind
        rule = result.case.rule if kind == "accepted" else None
        evidence = evidence or evidence_of(self._contract, requirement)
        kind_of_input = rule.kind if rule else "failing" if result.case.rule else ""
        settled = self._contract.questions.settled(requirement, kind_of_input, LIMIT)
        with self._noting:
            result.add(Deviation(requirement, kind, clipped(expected), clipped(got), evidence, settled))

    def _stops(self, results: Sequence[Result]) -> bool:
        return self._options.stop_early and any(result.deviations for result in results)

    def _divide(self, results: Sequence[Result], *, all_ended: bool) -> tuple[list[Result], list[Result]]:
        """Return those whose tasks have ended, and the others."""
        ended: list[Result] = []
        left: list[Result] = []
        for result in results:
            (ended if all_ended or self._has_ended(result) else left).append(result)
        return ended, left

    def _has_ended(self, result: Result) -> bool:
        lost = any(deviation.requirement in {"task.end", "task.id"} for deviation in result.deviations)
        return lost or result.case.id in self._lost or not goes_on(self._contract.lifecycle, result.history[-1])

    def _query(self, result: Result) -> None:
        if result.case.id in self._lost:
            return
        try:
            path, reply = self._sender.query(result.case, result.task_id)
        except UnavailableError as error:
            self._lose(result, f"could not be followed to the end of its task: {error}")
            return
        except NotTestedError as error:
            self._lose(result, str(error))
            return
        if not reply.data:
            promise = "task.end" if len(result.history) > 1 else "task.id"  # by which nothing has been found yet
            self.find(result, promise, f"task {result.task_id}", describe(reply))
            return
        result.see(reply.data)
        for deviation in self._schemas.judge("get_task", path, reply) if self._schemas else ():
            result.add(deviation)

    def _judge_tasks(self, results: Sequence[Result]) -> None:
        for result in results:
            request = dict(result.case.request.body or {})
            failure = result.case.rule
            tried = {boundary.requirement for boundary in result.case.covers}
            for finding in judge_history(self._contract, request, result.history, failure, tried):
                self.find(result, *self._doubted(result, finding))
            for finding in judge_extras(self._contract, request, result.history[-1]):
                self.find(result, *finding)
            self._give_back(result)
        if not (self._stops(results) or self._options.keep):
            pictures = [(result, url) for result in results for url in _urls(result.history[-1])]
            self._workers.for_each(self._fetch, pictures)
            for result in results:
                if result.history:  # what could not be followed to its end has none any more
                    self._judge_likeness(result)

    def _doubted(self, result: Result, finding: Finding) -> Finding:
        """Return what is wrong with a task; if it failed for no known reason, that is put down to a file that may not be right."""
        for boundary in result.case.covers if finding.requirement == "task.success" else ():
            rule = self._contract.rules.get(boundary.requirement)
            if rule and rule.stage == "file":
                limit = evidence_of(self._contract, rule.id, boundary.label.rpartition("/")[2])
                if limit.grade == INFERRED:
                    return finding._replace(requirement=rule.id, evidence=limit)
        return finding

    def _lose(self, result: Result, reason: str) -> None:
        """Follow a task no further; what is known to be wrong with its case stays."""
        with self._noting:
            self._lost.add(result.case.id)
            if result.state == HOLDS or self._options.keep:
                result.skip(reason)

    def _give_back(self, result: Result) -> None:
        """Take back what a task was counted for that could only fail, and did: that costs nothing, once for each task."""
        lifecycle, statuses = self._contract.lifecycle, [view.get("task_status") for view in result.history]
        pictures = [url for view in result.history for url in images_of(view)]
        if not result.case.rule or statuses[-1] != lifecycle.failed or lifecycle.succeeded in statuses or pictures:
            return
        if result.task_id not in self._given_back:
            self._given_back.add(result.task_id)
            self._sender.budget.refund(self._contract.price_per_picture * result.case.pictures)

    def _fetch(self, picture: tuple[Result, str]) -> None:
        result, url = picture
        if not _is_url(url):
            self.find(result, "task.picture", "a PNG", f"{shown(url)}, which is no address")
            return
        try:
            reply = self._sender.fetch(url)
        except UnavailableError as error:
            self._lose(result, f"has a picture that could not be fetched: {error}")
            return
        except NoAnswerError as error:
            self.find(result, "task.picture", "a PNG", str(error))
            return
        with self._noting:
            self._seen[result.case.id, url] = hashlib.sha256(reply.content).digest()
        for finding in judge_picture(self._contract, dict(result.case.request.body or {}), reply):
            self.find(result, *finding)

    def _judge_likeness(self, result: Result) -> None:
        """Look whether a result has one picture twice, at different URLs."""
        found = [self._seen.get((result.case.id, url)) for url in set(_urls(result.history[-1]))]
        seen = [digest for digest in found if digest]
        if len(set(seen)) < len(seen):
            expected, got = f"{len(seen)} pictures that differ", f"{len(set(seen))} that do"
            self.find(result, "task.picture", expected, got, details_of(self._contract))

    # Callbacks

    def _calls_back(self, result: Result) -> bool:
        return _asked(result).startswith(self._target.callback_url or "://")

    def _judge_callbacks(self, results: Sequence[Result]) -> None:
        started = self._target.now()
        while self._target.now() - started < CALLBACK_S and not all(map(self._end_called_back, results)):
            self._target.wait(0.05)
        nameless = any(not callback.body.get("task_id") for callback in list(self._target.received))
        for result in results:
            mine = self._called_back(result)
            if nameless and not mine:
                self.find(result, "callback.body", "the bare task", "a body without task_id")
                continue
            for finding in judge_callbacks(self._contract, _asked(result), result.history, mine):
                self.find(result, *finding)
            for callback in mine:
                self._judge_pictures_called_back(result, callback.body)

    def _judge_pictures_called_back(self, result: Result, body: dict[str, Any]) -> None:
        """Look whether a callback leads to the pictures that a query has led to; its URLs may be others."""
        for known, told in zip(_urls(result.history[-1]), _urls(body), strict=False):
            digest = self._seen.get((result.case.id, known))
            if told == known or digest is None:
                continue
            try:
                same = hashlib.sha256(self._sender.fetch(told).content).digest() == digest
            except NoAnswerError:
                same = False
            except UnavailableError:
                continue  # nothing is known of it
            if not same:
                self.find(result, "callback.body", "the pictures of a query", f"another one at {told}")

    def _called_back(self, result: Result) -> list[Received]:
        received = list(self._target.received)  # a copy, since callbacks go on coming
        return [callback for callback in received if str(callback.body.get("task_id")) == result.task_id]

    def _end_called_back(self, result: Result) -> bool:
        end = result.history[-1].get("task_status")
        return any(callback.body.get("task_status") == end for callback in self._called_back(result))


def _urls(task: dict[str, Any]) -> list[str]:
    return [image["url"] for image in images_of(task) if isinstance(image.get("url"), str)]


def _asked(result: Result) -> str:
    """Return where a task was to call back to; empty if nowhere."""
    asked = (result.case.request.body or {}).get("callback_url")
    return asked if isinstance(asked, str) else ""


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
