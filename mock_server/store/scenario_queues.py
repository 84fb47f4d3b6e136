"""Scenarios that wait for requests. No lock of its own: the store holds one."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from .store import QueueEntry, TooManyError

if TYPE_CHECKING:
    from ..scenario import Scenario


class ScenarioQueues:
    """One queue for each account and operation, with at most `most` entries in all; the account `""` stands for all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queues: dict[str, dict[str, deque[QueueEntry]]] = {}
        """By account and operation; empty ones are not kept."""
        self._entries = 0

    def __bool__(self) -> bool:
        """Whether anything is queued."""
        return bool(self._queues)

    def add(self, account: str, operation_id: str, entry: QueueEntry) -> None:
        """Put an entry at the end of a queue. Raises TooManyError."""
        if self._entries >= self._most:
            raise TooManyError(f"{self._most} scenarios are queued already; a reset makes room")
        self._entries += 1
        self._queues.setdefault(account, {}).setdefault(operation_id, deque()).append(entry)

    def take(self, account: str, operation_id: str) -> tuple[Scenario, str] | None:
        """Use up one turn of the first scenario in the queue of the account, else of all; with the queue's account."""
        for owner in (account, ""):
            queues = self._queues.get(owner, {})
            if queue := queues.get(operation_id):
                first = queue.popleft()
                if first.turns > 1:
                    queue.appendleft(replace(first, turns=first.turns - 1))
                else:
                    self._entries -= 1
                if not queue:
                    del queues[operation_id]
                if not queues:
                    del self._queues[owner]
                return first.scenario, owner
        return None

    def give_back(self, owner: str, operation_id: str, scenario: Scenario) -> None:
        """Put a turn back that did not come to pass."""
        queue = self._queues.setdefault(owner, {}).setdefault(operation_id, deque())
        turns = 1
        if queue and queue[0].scenario is scenario:  # the very one: an equal one may have been queued apart from it
            turns += queue.popleft().turns
        else:
            self._entries += 1
        queue.appendleft(QueueEntry(scenario, turns))

    def remove(self, account: str, operation_id: str, scenario: str) -> int:
        """Take out what an account (empty: all) has queued, of an operation and a scenario unless these are empty; return how many."""
        queues = self._queues.get(account, {})
        removed = 0
        for operation in [operation_id] if operation_id in queues else [] if operation_id else list(queues):
            stays = deque(entry for entry in queues[operation] if scenario not in {"", entry.scenario.text})
            removed += len(queues[operation]) - len(stays)
            if stays:
                queues[operation] = stays
            else:
                del queues[operation]
        if not queues:
            self._queues.pop(account, None)
        self._entries -= removed
        return removed

    def waiting(self, account: str | None) -> list[tuple[str, str, QueueEntry]]:
        """Return owner, operation and entry of what is queued for an account, for all (empty), or for whomever (None)."""
        owners = self._queues if account is None else {account} & self._queues.keys()
        return [
            (owner, operation, entry)
            for owner in sorted(owners)
            for operation, queue in sorted(self._queues[owner].items())
            for entry in queue
        ]

    def forget(self, account: str) -> None:
        """Forget the queues of an account."""
        self._entries -= sum(map(len, self._queues.pop(account, {}).values()))
