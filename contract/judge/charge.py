"""Whether a create may have cost something, by its answer: doubt costs, and only knowledge is free."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .reading import envelope_of, inner_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..spec import Contract
    from ..targets.target import Reply, Request

REFUSED = range(400, 500)
"""Status of a refusal that makes nothing. What failed, or came too late (5xx), may have been carried out all the same."""
NO_SUCH_METHOD = (404, 405)
LONG_NUMBER = re.compile(r"\d{15,}")
"""What ids of tasks look like, which no text of a refusal has but from the request."""
REQUEST_ID = re.compile(r" \(request id: [^)]{0,200}\)")
"""What makes each refusal of the gateway another text."""
TASK_NAMED = re.compile(r"\b(?:task|job)s?[\W_]{0,3}(?:id)?[\W_]{0,3}([a-z]{0,20}[\W_]?\d[\w-]{0,100})", re.IGNORECASE)
"""A task in the words of a text, such as `created task-17`."""
TASK_KEY = re.compile(rb'"\w{0,40}(?:task|job)_?id\w{0,40}"\s{0,20}:\s{0,20}(?!null|""|\s)', re.IGNORECASE)
"""An id of a task in the bytes of a body, of which a reader may see nothing, since a later key of that name wins."""
WHERE_IT_IS = ("location", "content-location", "link")
"""Headers that can lead to what was made."""
OTHER_IDS = ("request", "trace", "log", "time")
"""Begin the names of what is long or an id, and not that of a task."""


def may_cost(contract: Contract, request: Request, reply: Reply) -> bool:
    """Tell whether a create may have been carried out, by its answer.

    It was not if that is a refusal which the contract knows, in its own status, envelope and code, and no task is named in it.
    """
    if reply.http not in REFUSED or _names_task(request, reply):
        return True
    if request.method != contract.operations["create_task"].method and reply.http in NO_SUCH_METHOD:
        return False
    code = inner_of(reply.body).get("code")
    if isinstance(code, bool) or not isinstance(code, (int, str)):
        return True
    known = {(error.http, error.envelope, error.code) for error in contract.errors.values()}
    return (reply.http, envelope_of(reply.body), code) not in known


def _names_task(request: Request, reply: Reply) -> bool:
    """Tell whether something that can be the id of a task stands anywhere in a reply."""
    body = reply.body if isinstance(reply.body, dict) else {}
    if body.get("data") is not None or TASK_KEY.search(reply.content):
        return True
    if any("task" in name or "job" in name or name in WHERE_IT_IS for name in reply.headers):
        return True
    sent = request.data.decode(errors="replace")
    for name, value in _scalars(reply.body):
        if value and (name == "id" or "task" in name or "job" in name):
            return True
        text = REQUEST_ID.sub("", str(value))
        numbers = [*LONG_NUMBER.findall(text), *TASK_NAMED.findall(text)]
        if not name.startswith(OTHER_IDS) and any(number not in sent for number in numbers):
            return True
    return False


def _scalars(body: Any) -> Iterator[tuple[str, Any]]:
    """Yield what stands in some JSON that is no object and no list, with its name in small letters alone."""
    left: list[tuple[str, Any]] = [("", body)]
    while left:
        name, value = left.pop()
        if isinstance(value, dict):
            left += [(re.sub("[^a-z]", "", key.lower()), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            left += [(name, inner) for inner in value]
        else:
            yield name, value
