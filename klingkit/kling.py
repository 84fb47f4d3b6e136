"""What a test holds of a simulator: the fixtures `kling_mock` and `kling_server`, and `klingkit.mock()`."""

from __future__ import annotations

import json
import random
import time
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

from klingkit.mock_server.account_settings import AccountSettings
from klingkit.mock_server.app import create_app
from klingkit.mock_server.auth import account_name
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.clocks import SERVER
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.deliveries import Reply
from klingkit.mock_server.handlers import CREATES
from klingkit.mock_server.outbound import NotAllowedError
from klingkit.mock_server.scenario_arguments import check_known
from klingkit.mock_server.serving.deliver_to_app import is_asgi, post
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator

from .at_the_caller import at_the_caller
from .environment import environment
from .no_connection import every_host, hosts_of, no_connection_to
from .raised_errors import RaisedErrors
from .received_callbacks import Callback, ReceivedCallbacks
from .request_lines import request_line, titled
from .skipped_sleep import in_ms, sleep_skipped
from .task_view import TaskView
from .virtual_clock import VirtualClock, delivering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal
    from pathlib import Path

    from klingkit.client import KlingClient
    from klingkit.contract import Contract

Json = dict[str, Any]
MAX_JOURNAL = 10_000
SECRET_KEY = "klingkit-test-secret-key-of-nobody"  # noqa: S105 - it opens nothing
"""What KLING_SECRET_KEY is meanwhile; the simulator takes every one."""
MOST_LINES = 30
"""Requests that a report of a failed test shows."""
LOOK_AGAIN_S = 0.02
"""How often a wait looks whether another thread or process has submitted a task."""


def _is_assumed(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for text in (*value, *value.values()))


class Kling:
    """A simulator with a virtual clock, in which each query moves a task one step; `used` lends it to one test.

    It serves a contract by its name, or `all`; with the folder of a recording it answers as that says. Raises ValueError for a
    contract that there is not, BrokenRecordingError.
    """

    url = ""
    """Base URL of the service that the code under test is to call."""
    key = "klingkit-test"
    """What COMETAPI_KEY is meanwhile; of the contract `kling` what KLING_API_KEY and KLING_ACCESS_KEY are."""

    def __init__(self, recording: str | None = None, contract: str | None = None) -> None:
        by_polls = AccountSettings(progression="polls")
        settings = Settings(
            contract=contract or Settings().contract,
            speed=1,
            account=by_polls,
            max_journal=MAX_JOURNAL,
            recording=recording,
        )
        self.simulator = Simulator(settings, clock=ClockState(START), send=self._send)
        self._served = self.simulator.contracts.served
        self._hosts = hosts_of(*self._served)
        self._app = create_app(self.simulator)
        self._stand_ready()
        self._begin("")

    def _stand_ready(self) -> None:
        self._errors = RaisedErrors()
        self.clock = VirtualClock(lambda: self.control)

    def _begin(self, name: str) -> None:  # noqa: ARG002 - for those who need a name
        """Begin a test of that name."""
        self.control = self._take_control()
        self._account = account_name(self._account_key) if self._account_key else None
        self._application: Any = None
        self._received = ReceivedCallbacks()
        self._errors.take()
        self._elsewhere: list[str] = []
        self._patches = ExitStack()

    def _take_control(self) -> Control:
        return Control.of(self.simulator, key=self._account_key)

    @property
    def _account_key(self) -> str | None:
        """Whose account the test sees; None: every account of the simulator."""
        return None

    @property
    def _owner(self) -> str:
        """Whose clock the test moves."""
        return self._account or SERVER

    @contextmanager
    def used(
        self,
        *,
        scenario: str | None = None,
        progression: str | None = None,
        balance: Decimal | str | float | None = None,
        seed: int | None = None,
        plain_generation: bool | None = None,
        assume: Mapping[str, str] | None = None,
        answers: str | Path | None = None,
        name: str = "",
    ) -> Iterator[Self]:
        """Lend it to a test, with base URL and key in the environment; afterwards everything is as it was before.

        A test of the same name gets the same key, and so the same ids. Meanwhile no connection leaves this process for the hosts
        of any contract, by whatever library.
        Raises ValueError for an option that cannot be used; at the end, what the simulator or a receiver raised.
        """
        if seed is not None and not isinstance(seed, int):
            raise ValueError(f"seed: {seed!r:.60} is not a whole number")
        self._begin(name)
        options = {
            "scenario": scenario,
            "progression": progression,
            "balance": balance,
            "plain_generation": plain_generation,
            "assume": self._assumed(assume, answers),
        }
        with ExitStack() as stack:
            stack.callback(self._reset)
            chosen = {option: value for option, value in options.items() if value is not None}
            at_the_caller(lambda: self._set_up(chosen, 0 if seed is None else seed))
            stack.enter_context(environment(**self._variables()))
            stack.enter_context(no_connection_to(every_host(), self._refused))
            stack.enter_context(self._open())
            stack.callback(self._patches.close)
            yield self
        self.raise_errors()

    def _assumed(self, assume: Mapping[str, str] | None, answers: str | Path | None) -> dict[str, str] | None:
        """Return what is assumed by a file of answers, and beside it. Raises ValueError."""
        if assume is not None and not _is_assumed(assume):
            raise ValueError(f"assume: {assume!r:.60} is no {{id: alternative}}, such as {{'prompt-length': 'bytes'}}")
        if answers is None:
            return None if assume is None else dict(assume)
        from pathlib import Path

        from klingkit.contract.assumption_answers import load_answers

        found = load_answers(Path(answers), self._served[0].name if len(self._served) == 1 else "all")
        return {**dict(found.assume), **(assume or {})}

    def _variables(self) -> dict[str, str]:
        """Return the environment variables that lead code to the simulator, for each contract that it serves."""
        found: dict[str, str] = {}
        for contract in self._served:
            url = self._url_of(contract)
            if contract.jwt:
                found |= {"KLING_BASE_URL": url, "KLING_API_KEY": self.key}
                found |= {"KLING_ACCESS_KEY": self.key, "KLING_SECRET_KEY": SECRET_KEY}
            else:
                found |= {"COMETAPI_BASE_URL": url, "COMETAPI_KEY": self.key}
        return found

    def _url_of(self, contract: Contract) -> str:  # noqa: ARG002 - on a port all are at the same
        return self.url

    def _open(self) -> AbstractContextManager[object]:
        """Return the context in which the code under test reaches the simulator."""
        return ExitStack()

    def _refused(self, host: str) -> None:
        self._elsewhere.append(f"{host} (not let out)")

    # What is to happen

    def scenario(self, name: str, *, times: int = 1, operation: str = "create_task") -> None:
        """Let a scenario apply to the next requests for an operation.

        Raises ValueError, which names the valid ones, for one that there is not.
        """
        __tracebackhide__ = True
        at_the_caller(lambda: self.control.scenario(name, times=times, operation=operation))

    def deliver_callbacks_to(self, app: Any, *, secret: str | None = None) -> None:
        """Deliver callbacks straight into a WSGI or ASGI application, signed if there is a secret (`whsec_...`).

        They come when the clock is moved, or when somebody looks at `callbacks` or waits for one. ASGI needs httpx.
        Raises TypeError for what is no application, ValueError for a secret that is no Base64.
        """
        __tracebackhide__ = True
        is_asgi(app)
        at_the_caller(lambda: self.control.configure(callback_secret=secret))
        self._application = app

    def skip_sleep(self, limit: str = "1h") -> None:
        """Let `time.sleep` and `asyncio.sleep` move the clock and return at once, until the test ends.

        Code that has taken `sleep` out of its module before, as `from time import sleep` does, really sleeps. Whoever sleeps longer than `limit` in all gets an AssertionError: it waits for what never comes.
        """
        __tracebackhide__ = True
        skipping = sleep_skipped(self._let_pass, limit, self._errors.add)
        at_the_caller(lambda: self._patches.enter_context(skipping))

    def sleep(self, seconds: float) -> None:
        """Move the clock by as much; not while a callback is delivered, which takes no time."""
        self._let_pass(in_ms(seconds))

    def _let_pass(self, ms: int) -> None:
        if not delivering.get():
            self._advance(ms)

    def client(self) -> KlingClient:
        """Return our client on this simulator; it waits on the virtual clock."""
        from klingkit.client import KlingClient

        return KlingClient(
            self.key,
            self.url,
            contract=self._served[0].name,
            sleep=self.sleep,
            monotonic=lambda: self.control.clock()["now"] / 1000,
            rng=random.Random(self.control.health()["seed"]),  # noqa: S311 - the same in each run
        )

    # What has happened

    @property
    def tasks(self) -> list[TaskView]:
        """Tasks, oldest first."""
        return [TaskView(**task) for task in self.control.tasks()]

    def task(self, task_id: str) -> TaskView:
        """Return one task. Raises ValueError if there is none of that id."""
        __tracebackhide__ = True
        return TaskView(**at_the_caller(lambda: self.control.task(str(task_id))))

    @property
    def journal(self) -> list[Json]:
        """Requests and their answers, oldest first; keys are masked, pictures elided."""
        return self.control.journal()

    @property
    def creates(self) -> int:
        """How many creates have come, those that were refused included."""
        entries = self.simulator.store.journal.entries()
        return sum(entry.operation in CREATES and self._account in {None, entry.account} for entry in entries)

    @property
    def callbacks(self) -> list[Callback]:
        """Callbacks that were received, with those that are due now."""
        self._deliver()
        return self._received.all()

    @property
    def spent(self) -> Decimal:
        """Money that was spent, less what came back."""
        return self.simulator.store.spent(self._account, self.simulator.clocks.machine())

    @property
    def balance(self) -> Decimal | None:
        """Money that is left; None: unlimited."""
        paid_in = self.simulator.store.settings(self._account or "").balance
        return None if paid_in is None else paid_in - self.spent

    @property
    def advice(self) -> list[Json]:
        """Likely mistakes of the code under test: `kind`, `text`, what to `do`, and the `request` that shows it."""
        return self.control.advice()

    def wait_for_callback(
        self, status: str | None = None, *, task_id: str | None = None, timeout: float = 1.0
    ) -> Callback:
        """Return the first callback that fits and was taken (answered 2xx), and move the clock as far as it needs.

        `timeout` is real time (s), for a task that another thread or process is still to submit. Raises AssertionError, which
        says what came, if none fits, and what a receiver has raised meanwhile.
        """
        __tracebackhide__ = True
        if status is not None:
            statuses = self._served[0].lifecycle.transitions
            at_the_caller(lambda: check_known("status", status, statuses))

        def found() -> Callback | None:
            return self._received.taken(status, task_id)

        deadline = time.monotonic() + timeout
        while True:
            self._deliver()
            self._run_until(lambda: found() is not None or bool(self._errors))
            left = deadline - time.monotonic()
            if found() or self._errors or left <= 0:
                break
            self._received.wait(min(left, LOOK_AGAIN_S))
        if callback := found():
            return callback
        self.raise_errors()
        wanted = " ".join(filter(None, (status, task_id and f"of task {task_id}")))
        title = " ".join(filter(None, ("no callback", wanted, "came and was answered 2xx; received:")))
        raise AssertionError(self._lines(title, self._callback_lines()))

    def _callback_lines(self) -> list[str]:
        tasks = self.tasks
        if tasks and not any(task.callback_url for task in tasks):
            return ["no task has a callback_url"]
        return [
            f"{callback.status} of task {callback.task_id}: answered {callback.http_status}"
            for callback in self._received.all()
        ]

    def assert_created(self, *, times: int | None = None, **fields: Any) -> None:
        """Fail unless a create came (or just so many did) whose body has these fields; says what came."""
        __tracebackhide__ = True
        creates = [entry for entry in self.journal if entry["operation"] in CREATES]
        fitting = [entry for entry in creates if _has(entry["request"], fields)]
        if len(fitting) != times if times is not None else not fitting:
            wanted = f"with {json.dumps(fields)} " if fields else ""
            number = "no create" if times is None else f"{len(fitting)} creates, not {times},"
            raise AssertionError(
                self._lines(f"{number} {wanted}came; received:", [request_line(entry) for entry in creates])
            )

    def assert_no_advice(self) -> None:
        """Fail if the requests show a likely mistake; names each, and what to do."""
        __tracebackhide__ = True
        if found := self.advice:
            lines = [f"{hint['kind']} (request {hint['request']}): {hint['text']}; {hint['do']}" for hint in found]
            raise AssertionError(titled("likely mistakes of the code under test:", lines))

    def raise_errors(self) -> None:
        """Raise what the simulator or a receiver of callbacks has raised, if anything; once."""
        __tracebackhide__ = True
        errors = self._errors.take()
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup("the simulator or receivers of callbacks raised", errors)

    def report(self, failed: BaseException | None = None) -> str:
        """Return what came, and what was raised, in lines for the report of a test that failed; forgets what was raised.

        What has made it fail is not repeated.
        """
        errors = [error for error in self._errors.take() if error is not failed]
        lines = self._lines(f"{self.url} received:", [request_line(entry) for entry in self.journal])
        if self._elsewhere:
            lines = "\n".join([lines, titled("sent elsewhere:", self._elsewhere)])
        return "\n".join([lines, *("".join(traceback.format_exception(error)) for error in errors)])

    def _lines(self, title: str, lines: list[str]) -> str:
        """Return what came in lines, the last of them if there are many, and a hint at what came for another account."""
        if len(lines) > MOST_LINES:
            lines = [f"... {len(lines) - MOST_LINES} before these", *lines[-MOST_LINES:]]
        others = self._requests_of_others()
        hint = f"requests with another key than COMETAPI_KEY, which are of another account: {others}"
        return "\n  ".join([titled(title, lines), *([hint] if others else [])])

    def _deliver(self) -> None:
        """Deliver what is due now."""
        if not delivering.get():
            self._advance(0)

    # What is asked of the simulator beside its control API

    def _set_up(self, options: Json, seed: int) -> None:
        self.simulator.ids.begin(seed)
        self.simulator.store.put_seed(self._owner, seed)
        if options:
            Control.of(self.simulator).configure(**options)

    def _reset(self) -> None:
        self.simulator.reset()

    def _advance(self, ms: int) -> None:
        self.simulator.traveller.advance(ms, self._owner)

    def _run_until(self, done: Callable[[], bool]) -> None:
        self.simulator.traveller.run_until(done, self._owner)

    @property
    def keeps_all(self) -> bool:
        """Whether all requests are still in the journal."""
        return not self.simulator.store.journal.dropped

    def _requests_of_others(self) -> int:
        entries = self.simulator.store.journal.entries()
        return sum(self._account not in {None, entry.account} for entry in entries if entry.account)

    def _send(self, url: str, body: bytes, headers: dict[str, str], *, timeout_ms: int) -> Reply:
        token = delivering.set(True)
        try:
            if self._application is None:
                reply = self._send_outside(url, body, headers, timeout_ms)
            else:
                reply, raised = post(self._application, url, headers, body)
                for error in raised:
                    self._errors.add(error)
        finally:
            delivering.reset(token)
        task = json.loads(body)
        self._received.add(Callback(task["task_id"], task["task_status"], task, headers, url, reply.status))
        return reply

    def _send_outside(self, url: str, body: bytes, headers: dict[str, str], timeout_ms: int) -> Reply:  # noqa: ARG002
        """Take a callback that no application is to get: in this process there is nobody else."""
        if not url.startswith(("http://", "https://")):
            raise NotAllowedError("it is not an http(s) URL", "no-url")
        return Reply(200)


def _has(request: Any, fields: Json) -> bool:
    return isinstance(request, dict) and all(request.get(name) == value for name, value in fields.items())
