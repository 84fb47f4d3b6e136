"""What a test holds of a `klingkit serve` that others use too: an account of its own, with a clock of its own."""

from __future__ import annotations

import os
import threading
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from klingkit.contract import load_contract
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.handlers import CREATES
from klingkit.mock_server.outbound import host_and_path

from .kling import Json, Kling
from .kling_kinds import key_of
from .no_connection import hosts_of
from .received_callbacks import Callback, ReceivedCallbacks
from .steerable import TOKEN, check_steered, with_remedy

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.contract import Contract

    from .task_view import TaskView


class NoServerError(Exception):
    """No server can be used at an address; the message says why, and what to do."""


def served_at(url: str) -> list[Contract]:
    """Return the contracts that a server serves. Raises NoServerError if it is none whose clock can be moved."""
    control = _control(url, None)
    try:
        check_steered(control, url)
        served = [load_contract(name) for name in control.health()["contract"].split(" and ")]
        control.clock()
    except ControlError as error:
        problem = with_remedy(error)
    except (ConnectionError, KeyError, TypeError, AttributeError, ValueError):
        problem = "nothing there answers as klingkit does: start one with `klingkit serve`"
    else:
        return served
    raise NoServerError(f"{host_and_path(url)}: {problem.removeprefix(f'{url}: ')}")


def _control(url: str, key: str | None) -> Control:
    try:
        return Control.over_http(url, key=key, token=os.environ.get(TOKEN) or None)
    except ControlError as error:
        problem = str(error)
    raise NoServerError(problem)


class OnServer(Kling):
    """An account of a server; each test has its own, whose clock stands still from now on. Others are not noticed, and notice nothing.

    Raises NoServerError, and ValueError for what only a simulator of its own could do.
    """

    def __init__(self, url: str, contract: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._run = uuid.uuid4().hex[:8]
        served = served_at(self.url)
        self._contract = contract if contract != "all" else None
        self._served = (load_contract(self._contract),) if self._contract else tuple(served)
        self._hosts = hosts_of(*self._served)
        self._stand_ready()
        self._begin("")

    def _begin(self, name: str) -> None:
        self.key = f"klingkit-test-{self._run}-{key_of(name)}"
        super()._begin(name)
        self._received = _CallbacksOfServer(self.control)

    def _take_control(self) -> Control:
        return _control(self.url, self.key)

    @property
    def _account_key(self) -> str | None:
        return self.key

    def __getattr__(self, name: str) -> Any:
        if name == "simulator":
            raise AttributeError("the simulator of --klingkit-server is another process: `control` reaches it")
        raise AttributeError(name)

    def deliver_callbacks_to(self, app: Any, *, secret: str | None = None) -> None:  # noqa: ARG002
        """Raise ValueError: no application of this process can be reached so."""
        raise ValueError(
            "deliver_callbacks_to(app) needs a simulator in this process; that of --klingkit-server calls the callback_url itself"
        )

    @property
    def creates(self) -> int:
        """How many creates have come, those that were refused included."""
        return sum(entry["operation"] in CREATES for entry in self.journal)

    @property
    def spent(self) -> Decimal:
        """Money that was spent, less what came back."""
        return Decimal(self.control.account()["spent"])

    @property
    def balance(self) -> Decimal | None:
        """Money that is left; None: unlimited."""
        left = self.control.account()["balance"]
        return None if left is None else Decimal(left)

    @property
    def keeps_all(self) -> bool:
        """Whether all requests are still in the journal."""
        return not self.control.dropped()

    def _set_up(self, options: Json, seed: int) -> None:
        named = {"contract": self._contract} if self._contract else {}
        self.control.reset()
        self.control.freeze()
        self.control.seed(seed)
        self.control.configure(**{"progression": "polls", **named, **options})

    def _reset(self) -> None:
        self.control.reset()

    def _advance(self, ms: int) -> None:
        self.control.advance(f"{ms}ms")

    def _run_until(self, done: Callable[[], bool]) -> None:
        while not done() and self._goes_on():
            self.control.advance_to("next")

    def _goes_on(self) -> bool:
        """Tell whether time alone brings anything else than the expiry of results."""
        ends = {
            status for contract in self._served for status, after in contract.lifecycle.transitions.items() if not after
        }
        return any(
            (task.status not in ends and task.progression != "manual" and _has_more(task))
            or any(delivery["due_at"] is not None for delivery in task.timeline["callbacks"])
            for task in self.tasks
        )

    def _requests_of_others(self) -> int:
        return 0  # they are none of our business


def _has_more(task: TaskView) -> bool:
    return len(task.timeline["happened"]) < len(task.timeline["planned"])


class _CallbacksOfServer(ReceivedCallbacks):
    """What a server tells of its callbacks: what became of them, and not what was in them."""

    def __init__(self, control: Control) -> None:
        super().__init__()
        self._control = control

    def all(self) -> list[Callback]:
        """Return those that were answered, in the order in which they came."""
        urls = {task["task_id"]: task["callback_url"] for task in self._control.tasks()}
        answered = [
            (
                attempt["at"],
                Callback(found["task_id"], found["status"], {}, {}, urls[found["task_id"]], attempt["http_status"]),
            )
            for found in self._control.deliveries()
            for attempt in found["attempts"]
            if attempt["http_status"] is not None and found["task_id"] in urls
        ]
        return [callback for _, callback in sorted(answered, key=lambda pair: pair[0])]

    def wait(self, seconds: float) -> None:
        """Wait so long: nobody tells us when one comes."""
        threading.Event().wait(seconds)  # a test may have replaced `time.sleep`
