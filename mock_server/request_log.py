"""What is kept of an answered request: an entry in the journal and a line in the log."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from .counts import CREATED, REFUSALS, REQUESTS
from .foreign_text import HEADER, log, plain
from .handlers import CREATES
from .journal import SHORT, Entry, fingerprint, kept
from .request_state import FAULT, NOBODY

if TYPE_CHECKING:
    from .request_state import RequestState
    from .scenario import Fault
    from .simulator import Simulator

MAX_HEADERS = 100
AUTHORIZATION = "HTTP_AUTHORIZATION"


def keep(simulator: Simulator, state: RequestState, http: int) -> None:
    """Put a request of the API into the journal; its key does not get there."""
    shown = kept(state.raw, state.body)
    entry = Entry(
        at=state.clock_state.at(simulator.clocks.machine()),
        wall=state.started,
        frozen=state.clock_state.standing is not None,
        request_id=state.request_id,
        account=state.account,
        contract=state.contract.text,
        operation=state.operation,
        method=state.environ["REQUEST_METHOD"],
        path=state.environ["PATH_INFO"][:SHORT],
        headers=_headers(state.environ),
        body=shown,
        fingerprint=fingerprint(state.raw, shown, state.environ.get("QUERY_STRING", "")),
        status=http,
        answer=kept(state.answer),
        scenario=state.scenario,
        rule=state.rule,
        evidence=state.evidence,
        error=state.error,
        retry_after_s=state.retry_after_s,
        fault=_fault(state),
        ms=round(max(time.time() - state.started, 0.0) * 1000, 1),
        task_id=state.task_id,
        questions=_questions(simulator, state),
        advice=state.advice,
    )
    simulator.store.journal.add(entry)


def count(simulator: Simulator, state: RequestState, http: int) -> None:
    """Count a request of the API for the metrics."""
    counts, contract, operation = simulator.counts, state.contract.name, state.operation or "none"
    counts.add((REQUESTS, contract, operation, str(http)))
    counts.add_duration(operation, time.time() - state.started)
    if state.error:
        counts.add((REFUSALS, state.rule.partition(";")[0], state.error))
    elif state.task_id and operation in CREATES:
        counts.add((CREATED, contract))


def write_line(simulator: Simulator, state: RequestState, http: int) -> None:
    """Log a request in one line, as text or with fields for JSON."""
    if not log.isEnabledFor(logging.INFO):
        return
    method, path = state.environ["REQUEST_METHOD"], state.environ["PATH_INFO"]
    ms = (time.time() - state.started) * 1000
    line = f"{method} {path[:200]} {http}"
    # `log.info` would look for the line of code that calls it, which costs as much as all the rest.
    record = logging.LogRecord(log.name, logging.INFO, "", 0, line, None, None)
    if simulator.settings.log_format == "json":
        record.__dict__["fields"] = _fields(state, http, ms)
    else:
        record.msg = f"{line} {ms:.1f} ms {', '.join(_notes(state))}"
    log.handle(record)


def _headers(environ: dict[str, Any]) -> list[tuple[str, str]]:
    headers = [
        (name[5 : SHORT + 5], value[:SHORT])
        for name, value in environ.items()
        if name[:5] == "HTTP_" and name != AUTHORIZATION
    ]
    if media_type := environ.get("CONTENT_TYPE"):
        headers.append(("CONTENT_TYPE", media_type[:SHORT]))
    return headers[:MAX_HEADERS]


def _questions(simulator: Simulator, state: RequestState) -> tuple[str, ...]:
    find = simulator.find_questions
    return find(state.contract, state.body) if find and state.body is not None else ()


def _fault(state: RequestState) -> str:
    fault: Fault | None = state.environ.get(FAULT)
    return fault.kind if fault else ""


def _fields(state: RequestState, http: int, ms: float) -> dict[str, Any]:
    """Return what JSON says of a request; all that came from outside is plain."""
    return {
        "request_id": state.request_id if state.of_api else "",
        "method": plain(state.environ["REQUEST_METHOD"]),
        "path": plain(state.environ["PATH_INFO"]),
        "status": http,
        "ms": round(ms, 1),
        "account": plain(state.account) if state.account != NOBODY else "",
        "operation": state.operation,
        "task_id": state.task_id,
        "clock": state.clock,
        "scenario": plain(state.scenario, HEADER),
        "rule": plain(state.rule, HEADER),
        "warnings": [plain(text, HEADER) for _, text in state.advice],
    }


def _notes(state: RequestState) -> list[str]:
    notes = [state.account]
    if state.of_api:
        notes.append(f"request {state.request_id}")
    if state.task_id:
        notes.append(f"task {state.task_id}")
    if state.clock:
        notes.append(f"clock {state.clock}")
    if state.chosen:
        notes.append(f"scenario {state.chosen.scenario.name} ({state.chosen.source})")
    if state.rule:
        notes.append(f"rule {state.rule}")
    return notes + [f"warning: {text}" for _, text in state.advice]
