"""Look whether a target speaks this API and takes the key, before a run; and within one, whether it is still there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cases.case import NEVER, UNKNOWN_TASK, Case
from ..judge.reading import describe
from ..targets.target import NoAnswerError, Reply, Request, without
from .sending import TRIES, NotTestedError, UnavailableError

if TYPE_CHECKING:
    from ..spec import Contract
    from .selection import Options
    from .sending import Sender


class UnusableTargetError(Exception):
    """Nothing can be tested there; the message says why, in one line."""


def probe(sender: Sender, contract: Contract, options: Options) -> None:
    """Query a task that nobody has, which costs nothing. Raises UnusableTargetError if the answer is no answer of this API."""
    for name, other in (("key", False), ("other key", True)):
        if other and options.other_key is None:
            continue
        if problem := _probe(sender, contract, name, other_key=other):
            raise UnusableTargetError(f"{sender.target.name}{problem}")


def _probe(sender: Sender, contract: Contract, name: str, *, other_key: bool) -> str:
    """Say why a target cannot be tested; empty if it can."""
    for tries in (1, TRIES):  # nobody waits for what is not there at all
        try:
            return _problem(_query(sender, contract, tries, other_key=other_key), name)
        except UnavailableError as error:
            outcome = error.outcome
            if isinstance(outcome, NoAnswerError) and not outcome.arrived:
                break
        except NotTestedError:
            return ""
    return _problem(outcome, name) if isinstance(outcome, Reply) else f": {outcome}"


def is_there(sender: Sender, contract: Contract) -> bool:
    """Tell whether a target answers a query, however it does."""
    try:
        _query(sender, contract, TRIES)
    except UnavailableError:
        return False
    except NotTestedError:
        pass
    return True


def _query(sender: Sender, contract: Contract, tries: int, *, other_key: bool = False) -> Reply:
    operation = contract.operations["get_task"]
    request = Request(operation.method, operation.path.replace("{task_id}", UNKNOWN_TASK))
    case = Case("probe", request, operation.operation_id, NEVER, other_key=other_key)
    # Nothing of the answer is kept, but may be shown: no key stands in it, also if the run keeps its answers.
    return without(sender.keys, sender.ask(case, request, tries))


def _problem(reply: Reply, name: str) -> str:
    """Say why a target cannot be tested that has answered so; empty if it can."""
    if 300 <= reply.http < 400:
        return " redirects; give the address that it redirects to"
    if reply.http >= 500:
        return f" is out of order: a query was answered with {describe(reply)}"
    body = reply.body if isinstance(reply.body, dict) else {}
    if not (isinstance(body.get("error"), dict) or ("code" in body and "message" in body)):
        return f" is some other service, or a wrong address: a query was answered with {describe(reply)}"
    return f" does not accept the {name}: {describe(reply)}" if reply.http == 401 else ""
