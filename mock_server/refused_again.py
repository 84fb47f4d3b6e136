"""What a client does wrong when it is refused, as the journal shows it.

A pause between two requests is the longer one of the simulator's time and the machine's: where the clock stands still, a client
that really sleeps has waited, and so has one whose sleep moves the clock.
"""

from __future__ import annotations

from collections import defaultdict, deque
from itertools import pairwise
from typing import TYPE_CHECKING

from .handlers import CREATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from klingkit.contract import Contract, ErrorSpec

    from .journal import Entry

    Errors = Mapping[str, ErrorSpec]
    """The catalogue, by key."""

Found = tuple[str, str, "Entry"]
"""Kind and text of a mistake, and the request that shows it."""

WAITING_HELPS = {"slow down", "retry"}
"""What the table of errors says to do where the same request may succeed later."""
PASSING = {408, 425, 429}
"""Refusals below 500 that may pass."""
BROKEN = {"reset", "reset-within", "cut"}
"""Faults after which no client has read the answer."""
AT_ONCE, AT_ONCE_S = 4, 0.05
"""So many requests in a row, each so soon after the one before, are repeated at once; a first repetition may be."""
HURRIED, HURRIED_S = 6, 1.0
"""So many with such pauses, which do not grow either, are repeated without backing off."""
STORM, STORM_S = 50, 0.5
"""So many refusals of an account in such a time: more than the threads of a good client that are refused together."""
PATIENCE = 0.95
"""The part of Retry-After after which a request counts as one that has waited."""


def advise_refused(contracts: Sequence[Contract], entries: list[Entry]) -> Iterator[Found]:
    """Yield each mistake once, with the first request that shows it; an error is of the same status in each contract."""
    errors = {key: error for contract in contracts for key, error in contract.errors.items()}
    hopeless = {
        str(row["code"])
        for contract in contracts
        for row in contract.document["x-errors"]
        if row["http"] == 429 and row["action"] not in WAITING_HELPS
    }
    for requests in _by_request(entries).values():
        yield from _too_soon(requests)
        yield from _without_backing_off(errors, requests, hopeless)
        yield from _in_vain(errors, requests, hopeless)
    yield from _storms(errors, entries, hopeless)


def _by_request(entries: list[Entry]) -> dict[tuple[str, str, str, int], list[Entry]]:
    """Return the requests that are the same but for their time."""
    same: dict[tuple[str, str, str, int], list[Entry]] = defaultdict(list)
    for entry in entries:
        same[entry.account, entry.method, entry.path, entry.fingerprint].append(entry)
    return same


def _http(errors: Errors, entry: Entry) -> int:
    """Return the status of a refusal, its own where a scenario has put it under 200; 0 if nothing was refused."""
    if not entry.error:
        return 0
    return errors[entry.error].http if entry.status == 200 else entry.status


def _may_pass(errors: Errors, entry: Entry, hopeless: set[str]) -> bool:
    """Tell whether a request came to nothing for the client, and may succeed later."""
    if entry.fault in BROKEN:
        return True
    http = _http(errors, entry)
    return http >= 500 or (http in PASSING and entry.error not in hopeless)


def _pause(before: Entry, after: Entry) -> float:
    return max((after.at - before.at) / 1000, after.wall - before.wall)


def _what(entry: Entry) -> str:
    return {**dict.fromkeys(CREATES, "a create"), "get_task": "a query", "list_tasks": "a query of the list"}.get(
        entry.operation, "a request"
    )


def _too_soon(requests: list[Entry]) -> Iterator[Found]:
    for before, after in pairwise(requests):
        asked, pause = before.retry_after_s, _pause(before, after)
        if asked is not None and pause < asked * PATIENCE:
            text = f"{_what(after)} was sent again after {pause:.2f} s; request {before.number} was answered Retry-After: {asked}"
            yield "ignores-retry-after", text, after
            return


def _without_backing_off(errors: Errors, requests: list[Entry], hopeless: set[str]) -> Iterator[Found]:
    refused: list[Entry] = []
    for entry in requests:
        if not _may_pass(errors, entry, hopeless):
            if entry.operation in CREATES and entry.task_id:
                return  # what comes after a success is for another picture, maybe of another thread
            refused = []
            continue
        refused.append(entry)
        pauses = [_pause(before, after) for before, after in pairwise(refused[-HURRIED:])]
        if _hurries(pauses):
            text = f"{_what(entry)} was sent {len(pauses) + 1} times in {sum(pauses):.2f} s, and refused each time"
            yield "no-backing-off", text, entry
            return


def _hurries(pauses: list[float]) -> bool:
    last = pauses[1 - AT_ONCE :]
    if len(last) == AT_ONCE - 1 and max(last) < AT_ONCE_S:
        return True
    return len(pauses) == HURRIED - 1 and max(pauses) < HURRIED_S and pauses[-1] < pauses[0] * 1.2


def _in_vain(errors: Errors, requests: list[Entry], hopeless: set[str]) -> Iterator[Found]:
    for before, after in pairwise(requests):
        if before.error == after.error and _is_final(errors, before, hopeless):
            text = (
                f"{_what(after)} was sent again as it was after {before.status}"
                f" {before.rule.partition(';')[0] or before.error} (first: request {before.number})"
            )
            yield "repeats-refusal", text, after
            return


def _is_final(errors: Errors, entry: Entry, hopeless: set[str]) -> bool:
    """Tell whether the same request would be refused again; 1102 has advice of its own, and a scenario can hide a task for a while."""
    of_the_api = bool(entry.operation) or any(kind == "wrong-path" for kind, _ in entry.advice)
    if entry.error == "1102" or entry.scenario.endswith("source=task") or not of_the_api:
        return False
    http = _http(errors, entry)
    return entry.error in hopeless or (400 <= http < 500 and http not in PASSING)


def _storms(errors: Errors, entries: list[Entry], hopeless: set[str]) -> Iterator[Found]:
    last: dict[str, deque[Entry]] = defaultdict(lambda: deque(maxlen=STORM))
    told = set()
    for entry in entries:
        if entry.account in told or not (_may_pass(errors, entry, hopeless) or entry.error in hopeless):
            continue
        refused = last[entry.account]
        refused.append(entry)
        if len(refused) == STORM and _pause(refused[0], entry) < STORM_S:
            told.add(entry.account)
            text = f"{STORM} requests were refused within {STORM_S:g} s (first: request {refused[0].number})"
            yield "storm", text, entry
