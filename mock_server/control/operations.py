"""The operations of the control API (`control.yaml`), one method per operationId. They know nothing of Flask.

`account` is whose key the request carries; None: the server. A wrong value raises ControlError and changes nothing.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import jsonschema_rs

from klingkit.contract import UnknownChoiceError
from klingkit.contract.behaviours import as_json, aspects_of
from klingkit.contract.choice import CONTRACTS

from ..advice import REMEDIES, advise
from ..auth import NAMELESS
from ..callbacks import check_secret
from ..clock import parse_duration
from ..clocks import SERVER
from ..contracts import create_path
from ..handlers import HANDLERS
from ..progressions import PROGRESSIONS
from ..scenario_arguments import check_known
from ..scenario_choice import parse_for
from ..scenarios import scenario_table
from ..store import PAGE, TooManyError, UnknownCursorError
from ..tasks import shortened
from ..turns import JourneyEndedError
from .bodies import clock_body, clock_health, delivery_body, entry_bodies, task_bodies
from .document import control_document, control_operations, control_parameters, described
from .metrics import exposition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from klingkit.contract import Contract

    from ..journal import Entry
    from ..simulator import Simulator
    from ..store.store import TaskRecord
    from ..time_travel import Event

Result = TypeVar("Result")
MAX_WAIT_MS = 60_000
OPEN = ("get_index", "get_health")
"""Operations that are there without a control API too."""


class ControlError(Exception):
    """The request cannot be carried out; the message says what can be done instead."""

    def __init__(self, message: str, http: int = 400) -> None:
        super().__init__(message)
        self.http = http


class Operations:
    """What the control API does with one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._validators: dict[str, Any] = {}

    def call(self, operation_id: str, account: str | None, arguments: dict[str, Any], body: Any = None) -> Any:
        """Carry out an operation with its path and query arguments and its body; return JSON.

        Raises ControlError.
        """
        _, _, operation = control_operations()[operation_id]
        known = control_parameters()[operation_id]
        for name, value in arguments.items():
            if name not in known:
                raise ControlError(f"unknown parameter {name[:60]!r}; the valid ones: {', '.join(known) or 'none'}")
            if known[name]["type"] == "integer":
                arguments[name] = _integer(name, value, known[name])
            elif not _is_text(value):
                raise ControlError(f"{name}: {value[:60]!r} has a character that nothing here has")
        if "requestBody" in operation:
            arguments = {**arguments, **self._valid(operation_id, operation, body)}
        self._simulator.store.refresh()
        method: Callable[..., Any] = getattr(self, operation_id)
        return method(account, **arguments)

    def get_index(self, _: str | None) -> dict[str, Any]:
        """Return every operation that there is."""
        there = control_operations() if self._simulator.settings.control else OPEN
        operations = [control_operations()[operation_id] for operation_id in there]
        return {
            "contract": self._names(),
            "version": _version(),
            "operations": [
                {"method": method, "path": path, "summary": operation["summary"]}
                for method, path, operation in operations
            ],
        }

    def get_api(self, account: str | None, *, contract: str | None = None) -> dict[str, Any]:
        """Return the document of a contract, of several by its name."""
        served = {found.name: found for found in self._contracts(account)}
        try:
            check_known("contract", contract or next(iter(served)), served)
        except ValueError as error:
            raise ControlError(str(error)) from None
        return served[contract or next(iter(served))].document

    def get_health(self, account: str | None) -> dict[str, Any]:
        """Tell that the server runs, which contract it follows, since when (s), and what it holds."""
        simulator = self._simulator
        statuses = simulator.store.count_statuses(simulator.clocks.machine())
        return {
            "status": "ok",
            "version": _version(),
            "contract": self._names(),
            "seed": simulator.store.chance(account or SERVER).seed,
            "worker": os.getpid(),
            "workers": simulator.settings.workers,
            "uptime_s": round(time.monotonic() - simulator.started, 3),
            "clock": clock_health(simulator),
            "tasks": {status: statuses.get(status, 0) for status in simulator.contract.lifecycle.transitions},
            "callbacks": simulator.store.delivery_counts(),
            "requests": simulator.store.journal.count,
        }

    def get_metrics(self, account: str | None, *, accept: str = "") -> tuple[bytes, str]:
        """Return what happened so far, in the format of Prometheus that is accepted, and its content type."""
        return exposition(self._simulator, lambda: self.get_health(account), accept)

    def get_openapi(self, _: str | None) -> dict[str, Any]:
        """Return the document."""
        return described(self._simulator.contracts.served)

    def get_account(self, account: str | None) -> dict[str, Any]:
        """Return settings, money and slots."""
        store, machine = self._simulator.store, self._simulator.clocks.machine()
        settings = store.settings(account or "")
        spent = store.spent(account, machine)
        used = spent if account else Decimal(0)
        return {
            "account": account,
            "contract": self._contracts(account)[0].name,
            "plain_generation": settings.plain_generation,
            "assume": dict(settings.assume),
            "balance": None if settings.balance is None else _text(settings.balance - used),
            "quota": None if settings.quota is None else _text(settings.quota - used),
            "spent": _text(spent),
            "currency": " and ".join(dict.fromkeys(found.currency for found in self._contracts(account))),
            "concurrency": settings.concurrency,
            "slots_held": store.slots(account, machine),
            "requests": settings.requests,
            "window": f"{settings.window_ms}ms",
            "disabled": settings.disabled,
            "expired": settings.expired,
            "progression": settings.progression,
            "scenario": settings.scenario.text if settings.scenario else None,
            "query_scenario": settings.query_scenario.text if settings.query_scenario else None,
            "callback_secret": settings.callback_secret is not None,
            "callback_retries": settings.callback_retries,
        }

    def list_accounts(self, account: str | None, **page: Any) -> list[dict[str, Any]]:
        """Return a page of the accounts that have made a task or have settings of their own; of one account itself."""
        with _paging("account"):
            names = [account] if account else self._simulator.store.accounts(**page)
        return [self.get_account(name) for name in names]

    def set_account(self, account: str | None, **changes: Any) -> dict[str, Any]:
        """Change settings."""
        try:
            for name in changes.keys() & {"balance", "quota"}:
                changes[name] = None if changes[name] is None else _amount(name, changes[name])
            if "window" in changes:
                changes["window_ms"] = parse_duration(changes.pop("window"))
                if not changes["window_ms"]:
                    raise ValueError("window: a window of no time limits nothing; give a second or more")  # noqa: TRY301
            for name, operation_id in (("scenario", "create_task"), ("query_scenario", "get_task")):
                if changes.get(name) is not None:
                    changes[name] = parse_for(changes[name], self._contracts(account), operation_id)
            if changes.get("contract") is not None:
                self._simulator.contracts.check_own(changes["contract"])
            if "assume" in changes:
                changes["assume"] = tuple(sorted(changes["assume"].items()))
                self._simulator.contracts.check_assume(changes["assume"])
                if account is not None:
                    self._check_reaches_an_account(changes["assume"])
            own = self._simulator.store.settings(account or "")
            if changes.keys() & {"plain_generation", "assume"} and changes.get(
                "plain_generation", own.plain_generation
            ):
                self._simulator.contracts.check_plain(changes.get("assume", own.assume))
            check_known("progression", changes.get("progression", "time"), PROGRESSIONS)
            check_known(
                "callback_retries",
                changes.get("callback_retries", "default"),
                self._simulator.contract.callbacks.retry_after_ms,
            )
            if changes.get("callback_secret") is not None:
                check_secret(changes["callback_secret"])
            self._simulator.store.configure(account, changes, self._simulator.clocks.now(account or SERVER))
        except (ValueError, TooManyError) as error:
            raise ControlError(str(error)) from None
        return self.get_account(account)

    def _check_reaches_an_account(self, assume: tuple[tuple[str, str], ...]) -> None:
        """Refuse what is about requests that name no account."""
        names = {name for name, _ in assume}
        for question in (each for contract in self._simulator.contracts.served for each in contract.assumptions):
            kinds = [about.partition("/")[2] for about in question.about]
            if question.id in names and kinds and set(kinds) <= set(NAMELESS):
                raise ValueError(
                    f"assume: {question.id} is about requests that name no account, and does nothing for one: "
                    "set it without a key, for everybody"
                )

    def list_tasks(
        self, account: str | None, *, external_task_id: str | None = None, **page: Any
    ) -> list[dict[str, Any]]:
        """Return a page of tasks, oldest first, or those of an external id."""
        if external_task_id is not None:
            return task_bodies(self._simulator, self._named(account, external_task_id))
        with _paging("task"):
            return task_bodies(self._simulator, self._simulator.store.records(account, **page))

    def get_task(self, account: str | None, *, task_id: str) -> dict[str, Any]:
        """Return one task."""
        return task_bodies(self._simulator, [self._find(account, task_id)])[0]

    def move_task(self, account: str | None, *, task_id: str) -> dict[str, Any]:
        """Bring a task one step further."""
        self._find(account, task_id)
        self._simulator.move(task_id)
        return self.get_task(account, task_id=task_id)

    def list_scenarios(self, account: str | None) -> dict[str, Any]:
        """Return the table, and what is queued."""
        rows = [
            {"name": row.name, "summary": row.summary, "argument": row.argument}
            for row in {
                name: row for found in self._contracts(account) for name, row in scenario_table(found).items()
            }.values()
        ]
        return {"scenarios": rows, "queued": self._queued(account)}

    def queue_scenario(
        self, account: str | None, *, scenario: str, times: int = 1, operation: str = "create_task"
    ) -> list[dict[str, Any]]:
        """Let a scenario apply to the next requests for an operation."""
        try:
            contracts = self._contracts(account)
            check_known("operation", operation, dict.fromkeys(name for found in contracts for name in found.routes))
            parsed = parse_for(scenario, contracts, operation)
            self._simulator.store.queue_scenario(account or "", operation, parsed, times)
        except (ValueError, TooManyError) as error:
            raise ControlError(str(error)) from None
        return self._queued(account)

    def get_clock(self, account: str | None) -> dict[str, Any]:
        """Tell the time."""
        return clock_body(self._simulator, account, [])

    def freeze_clock(self, account: str | None) -> dict[str, Any]:
        """Let the clock stand still."""
        self._change(lambda: self._simulator.clocks.freeze(account or SERVER))
        return clock_body(self._simulator, account, [])

    def resume_clock(self, account: str | None) -> dict[str, Any]:
        """Let the clock go on."""
        self._change(lambda: self._simulator.traveller.resume(account or SERVER))
        self._simulator.callbacks.wake()
        return clock_body(self._simulator, account, [])

    def advance_clock(
        self, account: str | None, *, by: str | None = None, to: str | int | None = None
    ) -> dict[str, Any]:
        """Move the clock, and return what happened on the way."""
        events = self._change(lambda: self._travel(account or SERVER, by, to))
        return clock_body(self._simulator, account, events)

    def _travel(self, owner: str, by: str | None, to: str | int | None) -> list[Event]:
        traveller = self._simulator.traveller
        if by is not None:
            return traveller.advance(parse_duration(by), owner)
        if to == "next":
            return traveller.advance_to_next(owner)
        if to == "idle":
            return traveller.run_until_idle(owner)
        return traveller.advance_to(to if isinstance(to, int) else _moment(str(to)), owner)

    def _change(self, change: Callable[[], Result]) -> Result:
        """Do what has to do with a clock or a seed."""
        try:
            return change()
        except (ValueError, TooManyError) as error:
            raise ControlError(str(error)) from None
        except JourneyEndedError as error:
            raise ControlError(str(error), 409) from None

    def list_journal(self, account: str | None, *, after: int = 0, limit: int = PAGE, **wanted: Any) -> dict[str, Any]:
        """Return a page of the requests that fit, oldest first."""
        journal = self._simulator.store.journal
        fits = self._filter(account, wanted)
        entries = filter(fits, journal.entries(account, after=after))
        return {"dropped": journal.dropped, "entries": entry_bodies(self._simulator, list(islice(entries, limit)))}

    def wait_for_request(
        self, account: str | None, *, timeout: str = "5s", after: int = 0, **wanted: Any
    ) -> dict[str, Any]:
        """Return the first request that fits, waiting for it."""
        try:
            ms = parse_duration(timeout)
        except ValueError as error:
            raise ControlError(str(error)) from None
        if ms > MAX_WAIT_MS:
            raise ControlError(f"timeout {timeout} is longer than {MAX_WAIT_MS // 1000}s")
        found = self._simulator.store.journal.wait_for(self._filter(account, wanted), ms / 1000, after)
        if found is None:
            raise ControlError(f"no such request came within {timeout}", 404)
        return entry_bodies(self._simulator, [found])[0]

    def list_deliveries(self, account: str | None, *, task_id: str | None = None, **page: Any) -> list[dict[str, Any]]:
        """Return a page of the callbacks, oldest first, or those of a task."""
        store = self._simulator.store
        if task_id is not None:
            self._find(account, task_id)
            return [delivery_body(delivery) for delivery in store.deliveries_of([task_id]).get(task_id, [])]
        with _paging("delivery"):
            return [delivery_body(delivery) for delivery in store.deliveries(account, **page)]

    def resend_delivery(self, account: str | None, *, delivery_id: str) -> dict[str, Any]:
        """Make one more attempt of a callback that is settled."""
        simulator = self._simulator
        delivery = simulator.store.delivery(delivery_id)
        if delivery is None or account not in {None, delivery.account}:
            raise ControlError(f"there is no delivery {delivery_id[:60]!r}", 404)
        if not simulator.store.resend(delivery_id):
            raise ControlError(f"delivery {delivery_id} is pending; only a settled one can be sent again")
        with simulator.callbacks.held(delivery.account):
            simulator.callbacks.deliver_due(delivery.account)
        simulator.callbacks.settle(delivery.account)  # another process may have been faster
        return delivery_body(simulator.store.delivery(delivery_id) or delivery)

    def get_advice(self, account: str | None) -> list[dict[str, Any]]:
        """Return likely mistakes of the client."""
        return [
            {
                "kind": mistake.kind,
                "text": mistake.text,
                "do": REMEDIES[mistake.kind],
                "account": mistake.account,
                "request": mistake.request,
            }
            for mistake in advise(self._simulator, account)
        ]

    def get_evidence(self, account: str | None, *, contract: str | None = None) -> dict[str, Any]:
        """Return every aspect of every behaviour of a contract."""
        choice = contract and contract.replace(" ", "+")  # which a plus in a query string stands for
        try:
            chosen = self._simulator.contracts.by_text(choice) if choice else self._contracts(account)[0]
        except UnknownChoiceError as error:
            raise ControlError(str(error)) from None
        return as_json(chosen, aspects_of(chosen))

    def set_seed(self, account: str | None, *, seed: int) -> dict[str, Any]:
        """Begin all chance anew, of an account or of all."""
        self._change(lambda: self._simulator.store.put_seed(account or SERVER, seed))
        return self.get_health(account)

    def reset(self, account: str | None) -> dict[str, Any]:
        """Forget everything, or everything of one account; complete when it returns."""
        self._simulator.reset(account)
        return self.get_health(account)

    def _valid(self, operation_id: str, operation: dict[str, Any], body: Any) -> dict[str, Any]:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        components = control_document()["components"]
        validator = self._validators.get(operation_id)
        if validator is None:
            validator = jsonschema_rs.Draft202012Validator({**schema, "components": components})
            self._validators[operation_id] = validator
        for error in validator.iter_errors(body):
            place = ".".join(map(str, error.instance_path)) or "the body"
            known = schema if "properties" in schema else components["schemas"][schema["$ref"].rpartition("/")[2]]
            hint = f"; the fields are {', '.join(known['properties'])}" if place == "the body" else ""
            raise ControlError(f"{place}: {_said(error)[:300]}{hint}")
        fields: dict[str, Any] = body
        return fields

    def _filter(self, account: str | None, wanted: dict[str, Any]) -> Callable[[Entry], bool]:
        try:
            contracts = self._contracts(account)
            check_known("operation", wanted.get("operation", "create_task"), HANDLERS)
            check_known(
                "rule",
                wanted.get("rule", "path.known"),
                dict.fromkeys(rule for found in contracts for rule in found.rules),
            )
        except ValueError as error:
            raise ControlError(str(error)) from None

        def fits(entry: Entry) -> bool:
            return (
                account in {None, entry.account}
                and wanted.get("operation", entry.operation) == entry.operation
                and wanted.get("task_id", entry.task_id) == entry.task_id
                and wanted.get("request_id", entry.request_id) == entry.request_id
                and wanted.get("status", entry.status) == entry.status
                and wanted.get("rule", entry.rule.partition(";")[0]) == entry.rule.partition(";")[0]
            )

        return fits

    def _find(self, account: str | None, task_id: str) -> TaskRecord:
        record = self._simulator.store.record(task_id)
        if record is None or account not in {None, record.task.account}:
            raise ControlError(f"there is no task {task_id[:60]!r}" + (" of that key" if account else ""), 404)
        return record

    def _named(self, account: str | None, external_task_id: str) -> list[TaskRecord]:
        """Return the tasks of an account with an external id, at most one for each path at which tasks are made."""
        if account is None:
            raise ControlError("external_task_id is looked up in one account: send its key")
        store = self._simulator.store
        paths = dict.fromkeys(create_path(contract) for contract in self._simulator.contracts.served)
        found = (store.record(store.find(account, path, shortened(external_task_id))) for path in paths)
        return list(filter(None, found))

    def _contracts(self, account: str | None) -> list[Contract]:
        """Return the contracts that answer an account, one for each family of paths."""
        simulator = self._simulator
        settings = simulator.store.settings(account or "")
        return [simulator.contracts.of(served, settings) for served in simulator.contracts.served]

    def _names(self) -> str:
        return " and ".join(found.name for found in self._contracts(None))

    def _queued(self, account: str | None) -> list[dict[str, Any]]:
        return [
            {"operation": operation, "scenario": entry.scenario.text, "times": entry.turns}
            for operation, entry in self._simulator.store.queued(account or "")
        ]


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - start-up does not wait for it

    return version("klingkit")


def _said(error: jsonschema_rs.ValidationError) -> str:
    """Say in plain words what the schema says in a pattern or in alternatives."""
    value = f"{error.instance!r:.60}"
    if "pattern" in error.schema_path:
        return f"{value} is no amount, such as 0.50"
    if "anyOf" in error.schema_path:
        return f"{value} is no name of a contract; give one of {', '.join(CONTRACTS)}, or null"
    return str(error.message)


def _is_text(value: Any) -> bool:
    """Tell whether a database takes a value: neither NUL nor half of a pair of surrogates."""
    return not isinstance(value, str) or ("\0" not in value and value.encode(errors="ignore").decode() == value)


def _integer(name: str, text: str | int, schema: dict[str, Any]) -> int:
    try:
        number = int(text)
    except ValueError:
        raise ControlError(f"{name}: {str(text)[:60]!r} is not a whole number") from None
    least, most = schema.get("minimum", number), schema.get("maximum", number)
    if not least <= number <= most:
        raise ControlError(f"{name}: {str(text)[:60]} is not from {least} to {most}")
    return number


@contextmanager
def _paging(what: str) -> Iterator[None]:
    """Say what is wrong with where a page is to begin."""
    try:
        yield
    except UnknownCursorError as error:
        text = f"after: there is no {what} {str(error)[:60]!r}, or not any more; begin again without it"
        raise ControlError(text, 404) from None


def _text(amount: Decimal) -> str:
    """Return an amount as text, the same one wherever it was added up."""
    return f"{amount.normalize():f}"


def _amount(name: str, value: str | float) -> Decimal:
    amount = Decimal(str(value))
    if amount != round(amount, 6):
        raise ValueError(f"{name}: {value} has more than six decimals")
    return amount


def _moment(text: str) -> int:
    try:
        return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text[:60]!r} is no moment: give next, idle, a time such as 2026-01-01T12:00:00Z, or Unix ms"
        ) from None
