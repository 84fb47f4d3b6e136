"""What the engine asks of whatever keeps its state: each method is one atomic operation on values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from decimal import Decimal

    from ..account_settings import AccountSettings, Changes
    from ..agenda import Due, Place
    from ..cache import ByteCache
    from ..chance import ChanceState
    from ..clock import ClockState, Move
    from ..deliveries import Attempt, Delivery, Outcome
    from ..scenario import Scenario
    from ..tasks import Task
    from .journal import Journal
    from .leases import Leases


PAGE = 1000
"""How many a list shows at most, unless it is asked for fewer."""


class StoreUnavailableError(Exception):
    """The state cannot be reached, is locked for too long, or has no room left; the message is one line, without a password.

    Any method of a store that is not in memory may raise it. Nothing was changed, unless the connection was lost while it was committed.
    """


class UnusableStateError(Exception):
    """No state can be kept there; the message is one line: what, where, and what to do instead."""


class RefusedError(Exception):
    """A new task is refused by the rule of that id."""

    def __init__(self, rule_id: str) -> None:
        super().__init__(rule_id)
        self.rule_id = rule_id


class TakenIdError(Exception):
    """There is a task of that id: one that was submitted before a reset and came after it, or the ids of a moment ran out."""


class StaleChanceError(Exception):
    """The account has made another task, or its chance began anew, since it was read what the next one is drawn from."""


class UnknownCursorError(Exception):
    """What a page was to begin after is not there, or not any more; its text is that id."""


class TooManyError(Exception):
    """There is no room for more of something; the message says of what."""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A scenario with the turns that it has left."""

    scenario: Scenario
    turns: int


class TaskRecord(Protocol):
    """A task and what happened to it: to be read."""

    @property
    def task(self) -> Task:
        """The task itself."""
        ...

    @property
    def polls(self) -> int:
        """How many queries there were."""
        ...

    @property
    def deliveries(self) -> Sequence[str]:
        """Ids of its callbacks, in the order in which they are made."""
        ...

    @property
    def end_seen(self) -> bool:
        """Whether a query has shown the end."""
        ...

    @property
    def fetched(self) -> bool:
        """Whether a result picture was fetched."""
        ...


class Store(Protocol):
    """All state of a simulator. Bounded; what is not there or not visible is None, False or empty. Times are ms."""

    @property
    def journal(self) -> Journal:
        """What came in and what went out."""
        ...

    @property
    def leases(self) -> Leases:
        """Whose turn it is, among the processes that share the state."""
        ...

    @property
    def results(self) -> ByteCache:
        """Result pictures that were drawn, by task id, index and what they show beside: of this process, since any other draws the same."""
        ...

    @property
    def waits(self) -> bool:
        """Whether what is acknowledged waits for another process and its disk, so that the event loop must not call it."""
        ...

    @property
    def is_near(self) -> bool:
        """Whether what acknowledges nothing is had about as fast as it is computed, so that the event loop may."""
        ...

    @property
    def created(self) -> int:
        """How many tasks there have been."""
        ...

    def refresh(self) -> None:
        """Look whether another process has changed settings, clocks, seeds or queues; a request does that when it begins."""
        ...

    def close(self) -> None:
        """Let nobody wait any more, and give back what is held: the server stops."""
        ...

    def reset(self) -> None:
        """Forget everything, clocks and seeds too."""
        ...

    def reset_account(self, account: str) -> None:
        """Forget everything of one account, its clock and its seed too, but not how many tasks it has ever made."""
        ...

    # Tasks

    def add(
        self,
        task: Task,
        now: int,
        deliveries: list[Delivery],
        *,
        freed_by: str = "",
        inputs: Mapping[int, bytes] | None = None,
        expected: ChanceState | None = None,
    ) -> bool:
        """Keep a new task with its callbacks, and drop the oldest if there are too many; tell whether one was dropped.

        `inputs` are the bytes of its pictures, by number, as far as they are known. Raises RefusedError, and leaves nothing behind,
        if the `external_task_id` is taken or the account's money or slots do not allow it; TakenIdError likewise. A task of the
        status `freed_by` has let its id go. Raises StaleChanceError first of all if the account's chance is no longer as `expected`.
        """
        ...

    def alone(self, account: str) -> AbstractContextManager[Any]:
        """Let no other thread of this process make a task of an account meanwhile: of two that draw the same, one is in vain."""
        ...

    def get(self, task_id: str) -> Task | None:
        """Return a task of any account."""
        ...

    def input(self, task_id: str, number: int) -> bytes | None:
        """Return the bytes of a picture that a task was made from; None if they are not known, or not kept any more."""
        ...

    def kept_inputs(self, task_ids: Iterable[str]) -> set[tuple[str, int]]:
        """Return of which pictures of these tasks there are bytes, by task id and number."""
        ...

    def record(self, task_id: str) -> TaskRecord | None:
        """Return a task with what happened to it."""
        ...

    def tasks(
        self, account: str | None = None, *, after: str = "", limit: int = PAGE, newest_first: bool = False
    ) -> list[Task]:
        """Return at most `limit` tasks of an account or of all, in order, after that of an id. Raises UnknownCursorError."""
        ...

    def look_through(
        self, account: str | None, texts: Collection[str], *, after: str, limit: int, newest_first: bool
    ) -> list[tuple[str, Task | None]]:
        """Return the same with their ids; in place of a task that has not all of some texts, in lower case, None may stand."""
        ...

    def records(self, account: str | None = None, *, after: str = "", limit: int = PAGE) -> Sequence[TaskRecord]:
        """Return the same with what happened to them. Raises UnknownCursorError."""
        ...

    def find(self, account: str, path: str, external_task_id: str) -> str:
        """Return the id of the task that an account has made at a path with an external id; empty if there is none."""
        ...

    def page(self, account: str, path: str, first: int, size: int, *, oldest_first: bool = False) -> list[Task]:
        """Return `size` tasks that an account has made at a path, but for the `first`, from the newest on or from the oldest."""
        ...

    def near_id(self, account: str, task_id: str) -> str:
        """Return the id of a task of the account that becomes the given one when it passes through a float; else empty."""
        ...

    def count_statuses(self, machine: int) -> dict[str, int]:
        """Return how many tasks have which status, each by the clock of its account."""
        ...

    def count_tasks(self, account: str | None = None) -> int:
        """Return how many tasks of an account or of all are kept."""
        ...

    def poll(self, task_id: str, account: str, path: str, now: int) -> Task | None:
        """Count a query of a task that an account has made at a path, and move it if queries do that; None if it is not visible."""
        ...

    def move(self, task_id: str, now: int) -> Task | None:
        """Bring a task one step further along its plan, if there is one more; None if there is no such task."""
        ...

    def see_end(self, task_id: str) -> bool:
        """Note that a query shows the end; tell whether an earlier one did."""
        ...

    def mark_fetched(self, task_id: str) -> None:
        """Note that a result picture was fetched."""
        ...

    # Time and chance. A clock owner is an account with a clock of its own, or `""`, the server, whose clock all others follow.
    # `now` is the time by the clock of the account that a method is about, `machine` that of the machine.

    def clock(self, account: str) -> tuple[str, ClockState]:
        """Return the clock owner that an account follows, and how that clock goes."""
        ...

    def change_clock(self, owner: str, machine: int, change: Callable[[ClockState], ClockState]) -> ClockState:
        """Change a clock as `change` says of how it goes, at once, and return how it goes then.

        An account that has none of its own gets one, which begins as the server's. Raises TooManyError, and what `change` raises.
        """
        ...

    def note_move(self, owner: str, move: Move) -> None:
        """Note what was done to a clock; of each the last KEPT_MOVES are kept, and of very many clocks those of the last ones."""
        ...

    def moves(self, owner: str) -> list[Move]:
        """Return what was done to a clock, oldest first."""
        ...

    def own_clocks(self) -> int:
        """Return how many accounts have a clock of their own."""
        ...

    def ahead(self, owner: str, after: Place, limit: int, *, changes_only: bool = False) -> list[Due]:
        """Return at most `limit` of what lies ahead of the accounts that follow a clock, in order, from a place on.

        Of a task what `ahead_of` says; the next step of one that queries move also if its planned time lies before the place. Of an
        account the end of its window of requests. Of these only changes of status, if only they are asked for.
        """
        ...

    def chance(self, account: str) -> ChanceState:
        """Return from what the next task of an account is drawn."""
        ...

    def put_seed(self, account: str, seed: int) -> None:
        """Begin all chance of an account, or (empty) of all without a seed of their own, anew. Raises TooManyError."""
        ...

    def next_draw(self, account: str) -> int:
        """Count what an account leaves to chance that belongs to no task; return how often it had since its chance began."""
        ...

    # Accounts

    def settings(self, account: str) -> AccountSettings:
        """Return what holds for an account: its own settings, else the server's."""
        ...

    def own_settings(self, account: str) -> Mapping[str, Any]:
        """Return what an account has set for itself; `balance` and `quota` with what it had spent before."""
        ...

    def configure(self, account: str | None, changes: Changes, now: int) -> None:
        """Set what holds for an account, or (None) for every account without a setting of its own. Raises TooManyError."""
        ...

    def spent(self, account: str | None, machine: int) -> Decimal:
        """What an account, or (None) everybody, has paid, less what came back."""
        ...

    def slots(self, account: str | None, machine: int) -> int:
        """How many slots the tasks of an account, or (None) of everybody, hold."""
        ...

    def count_request(self, account: str, now: int) -> bool:
        """Count a request in its window; False if there have been too many."""
        ...

    def followers(self) -> int:
        """Return how many of `accounts` go by the server's clock, counted up to PAGE."""
        ...

    def requests_used(self, account: str, now: int) -> int:
        """Return how many requests the window of an account has counted; 0 where none is limited."""
        ...

    def accounts(self, *, after: str = "", limit: int = PAGE) -> list[str]:
        """Return at most `limit` accounts that have made a task or have settings of their own, after one, in an order that stays.

        Raises UnknownCursorError.
        """
        ...

    # Queued scenarios

    def queue_scenario(self, account: str, operation_id: str, scenario: Scenario, times: int) -> None:
        """Let a scenario apply to the next requests for an operation, of one account or (empty) of all. Raises TooManyError."""
        ...

    def take_scenario(self, account: str, operation_id: str) -> tuple[Scenario, str] | None:
        """Use up one turn of the first scenario in the queue of the account, else of all; with the queue's account."""
        ...

    def give_back_scenario(self, owner: str, operation_id: str, scenario: Scenario) -> None:
        """Put a turn back that did not come to pass."""
        ...

    def unqueue(self, account: str, operation_id: str, scenario: str) -> int:
        """Take what an account (empty: all) has queued out of its queues, and return how many entries that were.

        Of one operation, unless that is empty; of one scenario, as its text names it, unless that is empty.
        """
        ...

    def queued(self, account: str | None) -> list[tuple[str, str, QueueEntry]]:
        """Return owner, operation and entry of what is queued for an account, for all (empty), or for whomever (None)."""
        ...

    # Deliveries

    def claim(
        self, machine: int, *, only: str | None = None, without: Collection[str] = ()
    ) -> tuple[Delivery, Task] | None:
        """Take the delivery that has been due the longest by the clock of its account, with its task; `finish` gives it back.

        `only` of an account, or (empty) of those that follow the server's clock; or `without` some of these.
        """
        ...

    def next_due(self, only: str) -> int | None:
        """Return the time of the next attempt by the clock of an account, or (empty) of those that follow the server's; None if there is none.

        0 if a delivery is to be sent again.
        """
        ...

    def next_wake(self, without: Collection[str] = ()) -> int | None:
        """Return the machine's time of the next attempt of all; it may lie in the past. None if no clock comes to one by itself."""
        ...

    def finish(self, delivery: Delivery, attempt: Attempt, *, retry_at: int | None, outcome: Outcome) -> None:
        """Note an attempt of a claimed delivery: another one follows at `retry_at`, or it is settled as `outcome`."""
        ...

    def resend(self, delivery_id: str) -> bool:
        """Make a settled delivery due once more; False if there is none of that id, or it is pending."""
        ...

    def deliveries(
        self,
        account: str | None = None,
        *,
        after: str = "",
        limit: int = PAGE,
        newest_first: bool = False,
        outcome: str | None = None,
    ) -> list[Delivery]:
        """Return at most `limit` callbacks of an account or of all, after that of an id, all or those of an outcome (`pending` too).

        Raises UnknownCursorError.
        """
        ...

    def upcoming_deliveries(self, whose: str, limit: int) -> list[Delivery]:
        """Return at most `limit` callbacks that are next of an account, or (empty) by the server's clock: of each task only the first pending."""
        ...

    def deliveries_of(self, task_ids: Iterable[str]) -> dict[str, list[Delivery]]:
        """Return the callbacks of each of these tasks that has some, in the order in which they are made."""
        ...

    def pending(self, limit: int) -> list[str]:
        """Return the ids of at most `limit` tasks of which a callback is pending."""
        ...

    def delivery(self, delivery_id: str) -> Delivery | None:
        """Return one delivery."""
        ...

    def delivery_counts(self) -> dict[str, int]:
        """Return how many deliveries there are, by outcome."""
        ...
