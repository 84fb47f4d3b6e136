"""What several operations of the control API ask of the simulator; what cannot be answered is a ControlError."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from ..auth import NAMELESS, is_account_name
from ..contracts import create_path
from ..store import TooManyError, UnknownCursorError
from ..tasks import shortened
from ..turns import JourneyEndedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from klingkit.contract import Assumption, Contract

    from ..simulator import Simulator
    from ..store.store import TaskRecord

Result = TypeVar("Result")


class ControlError(Exception):
    """The request cannot be carried out; the message says what can be done instead."""

    def __init__(self, message: str, http: int = 400) -> None:
        super().__init__(message)
        self.http = http


def account_named(name: str) -> str:
    """Return the name of an account that somebody gives. Raises ControlError for what can be none."""
    if not is_account_name(name):
        text = f"account: {name[:60]!r} is no name of an account, such as acct-2c70e12b7a06; /_mock/accounts lists them"
        raise ControlError(f"{text}, and without one you act on the server")
    return name


LATEST = "latest"
"""Stands for the id of the newest task."""


def meant(simulator: Simulator, account: str | None, task_id: str) -> str:
    """Return the id of the task that is meant: `latest` is the newest one of the account, or of all. Raises ControlError if there is none."""
    if task_id != LATEST:
        return task_id
    newest = simulator.store.tasks(account, newest_first=True, limit=1)
    if not newest:
        raise ControlError("there is no task yet" + (" of that account" if account else ""), 404)
    return newest[0].task_id


def find(simulator: Simulator, account: str | None, task_id: str) -> TaskRecord:
    """Return a task of an account, or (None) of anybody. Raises ControlError if there is none of that id."""
    task_id = meant(simulator, account, task_id)
    record = simulator.store.record(task_id)
    if record is None or account not in {None, record.task.account}:
        raise ControlError(f"there is no task {task_id[:60]!r}" + (" of that account" if account else ""), 404)
    return record


def named(simulator: Simulator, account: str | None, external_task_id: str) -> list[TaskRecord]:
    """Return the tasks of an account with an external id, at most one for each path at which tasks are made."""
    if account is None:
        raise ControlError("external_task_id is looked up in one account: send its key")
    store = simulator.store
    paths = dict.fromkeys(create_path(contract) for contract in simulator.contracts.served)
    found = (store.record(store.find(account, path, shortened(external_task_id))) for path in paths)
    return list(filter(None, found))


def contracts_of(simulator: Simulator, account: str | None) -> list[Contract]:
    """Return the contracts that answer an account, one for each family of paths."""
    settings = simulator.store.settings(account or "")
    return [simulator.contracts.of(served, settings) for served in simulator.contracts.served]


def is_for_accounts(question: Assumption) -> bool:
    """Tell whether an account can have an answer of its own to a question: not one about requests that name no account."""
    kinds = {about.partition("/")[2] for about in question.about}
    return not kinds or not kinds <= set(NAMELESS)


def check_reaches_an_account(simulator: Simulator, assumed: Collection[str]) -> None:
    """Raise ValueError for a question about requests that name no account."""
    for question in (each for contract in simulator.contracts.served for each in contract.assumptions):
        if question.id in assumed and not is_for_accounts(question):
            raise ValueError(
                f"assume: {question.id} is about requests that name no account, and does nothing for one: "
                "set it without a key, for everybody"
            )


def contract_names(simulator: Simulator) -> str:
    """Return the names of what is served, such as `cometapi and kling`; who wants them one by one splits them at ` and `."""
    return " and ".join(found.name for found in contracts_of(simulator, None))


@contextmanager
def paging(what: str) -> Iterator[None]:
    """Say what is wrong with where a page is to begin."""
    try:
        yield
    except UnknownCursorError as error:
        text = f"after: there is no {what} {str(error)[:60]!r}, or not any more; begin again without it"
        raise ControlError(text, 404) from None


def change_time(change: Callable[[], Result]) -> Result:
    """Do what has to do with a clock or a seed."""
    try:
        return change()
    except (ValueError, TooManyError) as error:
        raise ControlError(str(error)) from None
    except JourneyEndedError as error:
        raise ControlError(str(error), 409) from None
