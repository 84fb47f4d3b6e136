"""Scenarios that wait for requests. No lock of its own: the store holds one."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..scenarios import Scenario


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A scenario with the turns that it has left."""

    scenario: Scenario
    turns: int


class ScenarioQueues:
    """One queue for each account and operation; the account `""` stands for all."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, str], deque[QueueEntry]] = {}

    def __bool__(self) -> bool:
        """Whether anything was ever queued."""
        return bool(self._queues)

    def add(self, account: str, operation_id: str, entry: QueueEntry) -> None:
        """Put an entry at the end of a queue."""
        self._queues.setdefault((account, operation_id), deque()).append(entry)

    def take(self, account: str, operation_id: str) -> tuple[Scenario, str] | None:
        """Use up one turn of the first scenario in the queue of the account, else of all; with the queue's account."""
        for owner in (account, ""):
            if queue := self._queues.get((owner, operation_id)):
                first = queue.popleft()
                if first.turns > 1:
                    queue.appendleft(replace(first, turns=first.turns - 1))
                return first.scenario, owner
        return None

    def give_back(self, owner: str, operation_id: str, scenario: Scenario) -> None:
        """Put a turn back that did not come to pass."""
        queue = self._queues.setdefault((owner, operation_id), deque())
        turns = 1
        if queue and queue[0].scenario is scenario:  # the very one: an equal one may have been queued apart from it
            turns += queue.popleft().turns
        queue.appendleft(QueueEntry(scenario, turns))

    def waiting(self, account: str) -> list[tuple[str, QueueEntry]]:
        """Return operation and entry of all that an account (empty: all) has queued."""
        return [
            (operation, entry)
            for (owner, operation), queue in self._queues.items()
            if owner == account
            for entry in queue
        ]

    def forget(self, account: str) -> None:
        """Forget the queues of an account."""
        for key in [key for key in self._queues if key[0] == account]:
            del self._queues[key]
