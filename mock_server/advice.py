"""Likely mistakes of a client (api-facts, section 8): named while a request is answered, or found in the journal."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from klingkit.contract.choice import WITH_PLAIN
from klingkit.contract.nearest import nearest_names

from .contracts import create_path
from .field_hints import MAX_NAMED, texts_for_objects
from .foreign_text import plain
from .handlers import CREATES
from .picture_hints import refused_pictures
from .refused_again import advise_refused
from .scenario_arguments import UnknownNameError
from .scenario_choice import LOOKED_THROUGH, MARKER, parse_scenario
from .scenarios import scenario_table
from .tasks import snapshot
from .tokens import read_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from klingkit.contract import Contract

    from .field_hints import Named
    from .journal import Entry
    from .request_state import RequestState
    from .simulator import Simulator

REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
FLOAT = re.compile(r"\d(\.\d{1,20})?e\+?\d{1,2}", re.IGNORECASE)
FAST_POLLS = 4
"""So many queries of one task less than a second apart, without growing pauses, are too fast."""

REMEDIES = {
    "unknown-field": "the service ignores the field in silence: correct its name or leave it out",
    "unknown-scenario": "correct the name of the scenario in the prompt; `klingkit scenarios` lists them",
    "plain-picture": "put the pictures into subject_image_list, or let the simulator make plain pictures too: --plain-generation",
    "text-for-object": "put each picture into an object of its own",
    "picture": "check pictures before they are sent, as KlingClient does",
    "empty-picture": "leave the field out, or give it a picture",
    "data-url": "send the bare Base64, without data:image/...;base64, before it",
    "bytes-text": "decode the Base64 to text: base64.b64encode(data).decode()",
    "wrong-scheme": "give a URL that the service can fetch, or the Base64 of the file",
    "file-name": "read the file and send its Base64; the service cannot see it",
    "base64-lines": "encode without line breaks: b64encode, not encodebytes; base64 -w0, not base64",
    "base64-spaces": "send it without white space; in a form, a + becomes a space",
    "base64-quoted": "send it as it is: JSON needs no percent-encoding",
    "base64-url-safe": "encode with the standard alphabet: b64encode, not urlsafe_b64encode",
    "base64-padding": "keep the = at the end",
    "no-base64": "give a URL that begins with http:// or https://, or the Base64 of the file",
    "token-without-exp": "sign each token with exp, and make another one before that",
    "wrong-path": "query the task under the path of the create, with /{task_id} after it",
    "mangled-id": "read task_id as a string: as a number it loses its last digits",
    "request-id": "query with data.task_id; request_id is for the vendor's support",
    "poll-after-end": "stop when task_status is succeed or failed",
    "poll-too-fast": "wait at least a second between two queries, and longer as time goes by",
    "same-again": "send an external_task_id, and look for the first task before making a second one",
    "never-fetched": "copy the pictures when the task succeeds: their URLs expire after 30 days",
    "ignores-retry-after": "wait as long as Retry-After says (in a test, `skip_sleep` moves the clock)",
    "no-backing-off": "wait a second before the second attempt and longer before each further one (in a test, `skip_sleep` moves the clock)",
    "repeats-refusal": "do not repeat it: the same request is refused again; correct it, or give up",
    "storm": "stop sending when requests are refused, and send fewer at a time",
    "retry-1102": "do not repeat 1102: there is no balance, and waiting does not help",
}
"""What to do about each kind."""
PLAIN = "the real path makes a plain picture of this, and bills it"


@dataclass(frozen=True, slots=True)
class Advice:
    """One mistake, with the request that shows it."""

    kind: str
    text: str
    account: str
    request: int
    """Number in the journal; 0 if it is no single request."""


def on_refusal(simulator: Simulator, state: RequestState, task_id: str) -> list[Named]:
    """Name what a refused request shows: pictures of a wrong form, an id that a float has changed, a request_id taken for a task's."""
    found, body, contract = [], state.body, state.contract
    if body is not None:
        asked = contract.requests[state.operation]
        found += refused_pictures(asked, body)
        found += texts_for_objects(asked, body)
        if _wants_plain(body) and contract.name in WITH_PLAIN and not contract.choice.plain_generation:
            found.append(("plain-picture", f"subject_image_list is missing: {PLAIN}"))
    if REQUEST_ID.fullmatch(task_id):
        found.append(("request-id", "the id looks like a request_id; a task's is data.task_id of the create's answer"))
    if task_id and (near := _nearly(simulator, state.account, task_id)):
        found.append(("mangled-id", f"there is a task {near}: the id was probably read as a number"))
    return found


def _nearly(simulator: Simulator, account: str, task_id: str) -> str:
    """Return the id of the account's task that becomes the given one as a float, also as that is written; empty if there is none."""
    if not FLOAT.fullmatch(task_id):
        return simulator.store.near_id(account, task_id)
    number = str(int(float(task_id)))
    task = simulator.store.get(number)
    return number if task and task.account == account else simulator.store.near_id(account, number)


def _wants_plain(body: dict[str, Any]) -> bool:
    return body.get("subject_image_list") is None and bool(body.get("prompt") or body.get("image"))


def endless_token(header: str | None, contract: Contract) -> list[Named]:
    """Name a signed token that never ends, where a contract takes tokens."""
    token = read_token((header or "").strip().partition(" ")[2].strip()) if contract.jwt else None
    if token is None or token.expires is not None:
        return []
    return [
        (
            "token-without-exp",
            "the token names no exp: it is taken here for ever, and whether the service takes it is not known",
        )
    ]


def unknown_markers(contract: Contract, prompt: str) -> list[Named]:
    """Name what in a prompt looks like a scenario and is none; other text in double brackets is text."""
    found = []
    for marker in islice(MARKER.finditer(prompt[:LOOKED_THROUGH]), MAX_NAMED):
        text = marker[1]
        try:
            parse_scenario(text, contract)
        except UnknownNameError:
            name = text.strip().lower().partition("@")[0].partition(":")[0]
            if close := nearest_names(name, scenario_table(contract), most=1, alike=0.85):
                found.append(("unknown-scenario", f"[[{plain(text)}]] counts as text, did you mean [[{close[0]}]]?"))
        except ValueError as error:
            found.append(("unknown-scenario", f"[[{plain(text)}]] counts as text: {plain(str(error))}"))
    return found


def wrong_path(simulator: Simulator, contract: Contract, path: str) -> list[Named]:
    """Name an invented path: one that ends in the id of a task, or shares a word with the path of the create."""
    create = create_path(contract)
    words = path.strip("/").split("/")
    if set(words) & set(create.split("/")) - {""} or simulator.store.get(words[-1]):
        return [("wrong-path", f"there is no such path; tasks are made at {create} and queried at {create}/TASK_ID")]
    return []


def after_the_end(task_id: str) -> Named:
    """Name a query of a task whose end was shown before."""
    return "poll-after-end", f"task {task_id} has ended, and a query has shown that before"


def advise(simulator: Simulator, account: str | None = None) -> list[Advice]:
    """Return every mistake that the journal shows, of one account or of all, with the first request that shows it."""
    entries = [entry for entry in simulator.store.journal.entries() if account in {None, entry.account}]
    named: dict[tuple[str, str, str], Advice] = {}
    for entry in entries:
        for kind, text in entry.advice:
            named.setdefault((kind, text, entry.account), Advice(kind, text, entry.account, entry.number))
    found = list(named.values())
    found += _too_fast(entries)
    found += _same_again(entries)
    found += _retried_1102(entries)
    refused = advise_refused(simulator.contracts.served, entries)
    found += [Advice(kind, text, entry.account, entry.number) for kind, text, entry in refused]
    found.sort(key=lambda mistake: mistake.request)
    return found + list(_never_fetched(simulator, entries))


def _too_fast(entries: list[Entry]) -> Iterator[Advice]:
    """In the machine's time, also where the simulator's runs faster; where that stands still, nobody has to wait."""
    polls: dict[str, list[tuple[float, Entry]]] = defaultdict(list)
    for entry in entries:
        if entry.operation == "get_task" and entry.task_id and not entry.frozen:
            polls[entry.task_id].append((entry.wall, entry))
    for task_id, asked in polls.items():
        pauses = [after[0] - before[0] for before, after in pairwise(asked)]
        for end in range(FAST_POLLS - 1, len(pauses) + 1):
            last = pauses[end - FAST_POLLS + 1 : end]
            if max(last) < 1 and last[-1] < last[0] * 1.2:
                text = f"task {task_id} is queried every {sum(last) / len(last):.2f} s"
                yield Advice("poll-too-fast", text, asked[end][1].account, asked[end][1].number)
                break


def _same_again(entries: list[Entry]) -> Iterator[Advice]:
    seen: dict[tuple[str, int], int] = {}
    for entry in entries:
        if entry.operation not in CREATES or not entry.task_id:
            continue  # an external_task_id makes no second task
        key = (entry.account, entry.fingerprint)
        if key in seen:
            text = f"the same request made a second task, {entry.task_id}, and costs twice (first: request {seen[key]})"
            yield Advice("same-again", text, entry.account, entry.number)
        seen[key] = entry.number


def _retried_1102(entries: list[Entry]) -> Iterator[Advice]:
    broke: dict[str, int] = {}
    for entry in entries:
        if entry.operation in CREATES:
            if entry.error != "1102":
                broke.pop(entry.account, None)
            elif entry.account in broke:
                text = f"a create was repeated after 1102 (first: request {broke[entry.account]})"
                yield Advice("retry-1102", text, entry.account, entry.number)
            else:
                broke[entry.account] = entry.number


def _never_fetched(simulator: Simulator, entries: list[Entry]) -> Iterator[Advice]:
    queried = {entry.task_id: entry.account for entry in entries if entry.operation == "get_task" and entry.task_id}
    for task_id, account in queried.items():
        record = simulator.store.record(task_id)
        if record is None or record.task.account != account or not record.end_seen or record.fetched:
            continue
        task = record.task
        if snapshot(task, simulator.clocks.now(account)).status == simulator.contract_of(task).lifecycle.succeeded:
            yield Advice("never-fetched", f"the pictures of task {task.task_id} were not fetched", task.account, 0)
