"""Scenarios: named, reproducible behaviours of the service. One table; everything that offers scenarios reads it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .clock import duration_text, parse_duration
from .scenario import LONGEST_FAULT_MS, NO_URLS, CallbackFault, Fault, FaultKind
from .scenario_arguments import REDIRECTS, WITH_BODY, check_known, page, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from klingkit.contract import Contract


@dataclass(frozen=True, slots=True)
class ScenarioRow:
    """One row of the table."""

    name: str
    summary: str
    make: Callable[[str], dict[str, Any]]
    """From the argument (empty if none was given) to the fields of the scenario; raises ValueError for a wrong one.

    Beside the fields stands `argument`, its normal form, where an argument can be written in several ways.
    """
    argument: str = ""
    """What the argument is; empty if there is none."""
    example: str = ""
    """Such an argument."""
    is_text: bool = False
    """Whether the argument is any text, so that an @ in it need not begin a probability."""
    error: str = "0"
    """Key of the error that it answers, which a contract need not have."""


def _fixed(name: str, summary: str, **fields: Any) -> ScenarioRow:
    return ScenarioRow(name, summary, lambda _: fields, error=fields.get("error", "0"))


def _calling_back(name: str, summary: str, fault: CallbackFault) -> ScenarioRow:
    return _fixed(name, summary, callback=fault)


def _success(name: str, summary: str) -> ScenarioRow:
    return _fixed(name, summary, success_shape=name)


def _on_the_wire(name: str, summary: str, kind: FaultKind) -> ScenarioRow:
    return _fixed(name, summary, fault=Fault(kind))


def _path(contract: Contract, argument: str) -> dict[str, Any]:
    lifecycle = contract.lifecycle
    statuses = tuple(word.strip() for word in argument.split(">"))
    order = {lifecycle.submitted: 0, lifecycle.processing: 1, lifecycle.succeeded: 2, lifecycle.failed: 2}
    ranks = [order.get(status, -1) for status in statuses]
    if ranks[0] != 0 or -1 in ranks or any(after <= before for before, after in pairwise(ranks)):
        raise ValueError(
            f"{argument[:60]!r} is no path: join statuses with '>', from {lifecycle.submitted} on, such as "
            f"{lifecycle.submitted}>{lifecycle.failed}; they are {', '.join(order)}"
        )
    return {
        "argument": ">".join(statuses),
        "path": statuses,
        "rule": "moderation" if statuses[-1] == lifecycle.failed else "",
    }


def _delay(argument: str) -> dict[str, Any]:
    spread = argument.startswith("lognormal")
    ms = _fault_ms(argument.removeprefix("lognormal").removeprefix(":"), 1000)
    return {"argument": "lognormal:" * spread + duration_text(ms), "fault": Fault("delay", ms, spread)}


def _drip(argument: str) -> dict[str, Any]:
    ms = _fault_ms(argument, 3000)
    return {"argument": duration_text(ms), "fault": Fault("drip", ms)}


def _fault_ms(argument: str, default: int) -> int:
    ms = _ms(argument, default)
    if ms > LONGEST_FAULT_MS:
        raise ValueError(
            f"{argument[:40]!r} is too long: an answer is held up for {duration_text(LONGEST_FAULT_MS)} at most"
        )
    return ms


def _ms(argument: str, default: int) -> int:
    return parse_duration(argument) if argument else default


def _slow(argument: str) -> dict[str, Any]:
    try:
        factor = float(argument or 10)
    except ValueError:
        factor = 0
    if not 0 < factor <= 1e6:
        raise ValueError(f"{argument[:60]!r} is not a factor: give a number above 0, such as 10")
    return {"argument": f"{factor:g}", "slowdown": factor}


def _answering(name: str, summary: str, error: str) -> ScenarioRow:
    return ScenarioRow(
        name,
        summary,
        lambda text: {"error": error, **({"message": text} if text else {})},
        "another text for it",
        "try again later",
        is_text=True,
        error=error,
    )


def _status(name: str, summary: str, error: str, statuses: Sequence[int], *, default: int, example: int) -> ScenarioRow:
    def make(argument: str) -> dict[str, Any]:
        http = whole_number(argument, default, statuses)
        message = {"message": page(http)} if error != "upstream_failed" else {}
        return {"argument": str(http), "error": error, "http": http, **message}

    return ScenarioRow(name, summary, make, f"status, {default} if not given", str(example), error=error)


def _under_200(contract: Contract, argument: str) -> dict[str, Any]:
    codes = [key for key, error in contract.errors.items() if error.envelope == "kling" and key != "0"]
    if argument:
        check_known("code", argument, codes)
    return {"error": argument or "5000", "http": 200}


def _retry_after(argument: str) -> dict[str, Any]:
    seconds = math.ceil(_ms(argument, 2000) / 1000)
    return {"argument": f"{seconds}s", "error": "1302", "retry_after_s": seconds}


def _late_visible(argument: str) -> dict[str, Any]:
    polls = whole_number(argument, 1, range(1, 1001))
    return {"argument": str(polls), "hidden_polls": polls}


def _fewer_pictures(contract: Contract, argument: str) -> dict[str, Any]:
    most = whole_number(argument, 0, range(contract.request.nodes[("n",)]["maximum"]))
    return {"argument": str(most), "most_pictures": most}


def _expired_url(argument: str) -> dict[str, Any]:
    ms = _ms(argument, 0)
    return {"argument": duration_text(ms), "urls": "expired", "url_life_ms": ms}


def _no_url(argument: str) -> dict[str, Any]:
    if argument:
        check_known("form of no URL", argument, NO_URLS)
    return {"urls": "none", "no_url": argument or NO_URLS[0]}


def _units(argument: str) -> dict[str, Any]:
    if argument and not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", argument):
        raise ValueError(f"{argument[:20]!r} is not a number of units: give one such as 8 or 0.5")
    return {"success_shape": "shape-units", "units": argument or "8"}


def _lost(argument: str) -> dict[str, Any]:
    if argument not in {"", "all"}:
        raise ValueError(f"{argument[:60]!r}: only 'all' can follow callback-lost")
    fault: CallbackFault = "lost-all" if argument else "lost"
    return {"callback": fault}


def _late(argument: str) -> dict[str, Any]:
    fault: CallbackFault = "late"
    ms = _ms(argument, 60_000)
    return {"argument": duration_text(ms), "callback": fault, "callback_late_ms": ms}


@lru_cache(maxsize=64)
def scenario_table(contract: Contract) -> dict[str, ScenarioRow]:
    """Return the table of a contract, by name: what answers an error that it has not is left out."""
    lifecycle = contract.lifecycle
    by_pixels, by_fetch = (
        next(rule.id for rule in contract.rules.values() if rule.id.endswith(end)) for end in (".pixels", ".fetch")
    )
    errors = [
        _answering(f"error-{key}", f"answers {error.http} with code {key}, {error.message}", key)
        for key, error in contract.errors.items()
        if error.envelope == "kling" and key != "0"
    ]
    gateway = [
        _answering(f"gateway-{contract.errors[key].http}", f"the gateway answers: {contract.errors[key].message}", key)
        for key in ("invalid_token", "quota_exhausted", "saturated", "upstream_failed", "no_channel")
        if key in contract.errors
    ]
    rows = [
        *errors,
        *gateway,
        _status(
            "gateway",
            "the gateway answers with this status",
            "upstream_failed",
            range(400, 600),
            default=524,
            example=502,
        ),
        ScenarioRow(
            "retry-after",
            "answers 429 with code 1302 and a header Retry-After, as a proxy may",
            _retry_after,
            "time, 2s if not given",
            "5s",
        ),
        _fixed("fail-moderation", "the task fails: moderation refuses it", rule="moderation"),
        _fixed("fail-pixels", "the task fails: a picture is too small or too long", rule=by_pixels),
        _fixed("fail-fetch", "the task fails: a picture cannot be fetched", rule=by_fetch),
        ScenarioRow(
            "fail",
            "the task fails with this reason",
            lambda text: {"reason": text or contract.errors["1303"].message},
            f"any text, {contract.errors['1303'].message} if not given",
            "Image is too dark",
            is_text=True,
        ),
        ScenarioRow("slow", "the task takes longer", _slow, "factor, 10 if not given", "20"),
        _fixed("instant", "the task ends at once", slowdown=0),
        _fixed("stuck-submitted", "the task stays submitted for ever", path=(lifecycle.submitted,)),
        _fixed("stuck-processing", "the task is processed for ever", path=(lifecycle.submitted, lifecycle.processing)),
        ScenarioRow(
            "path",
            "the task passes just these statuses",
            lambda arg: _path(contract, arg),
            "statuses joined with >",
            f"{lifecycle.submitted}>{lifecycle.failed}",
        ),
        ScenarioRow(
            "late-visible",
            "the first query does not find the task",
            _late_visible,
            "so many queries, 1 if not given",
            "3",
        ),
        ScenarioRow(
            "no-url",
            "the task succeeds, and its pictures have no URL",
            _no_url,
            "empty, null or missing; empty if not given",
            "null",
        ),
        ScenarioRow(
            "fewer-pictures",
            "the task succeeds with fewer pictures than were asked for",
            lambda arg: _fewer_pictures(contract, arg),
            "how many at most, 0 if not given",
            "1",
        ),
        ScenarioRow(
            "expired-url",
            "the pictures have expired when the task succeeds",
            _expired_url,
            "for how long they are served, 0s if not given",
            "30s",
        ),
        _fixed("string-code", "`code` is a string, also in successes", shape="string-code"),
        ScenarioRow(
            "code-under-200",
            "an error answered with HTTP 200",
            lambda arg: _under_200(contract, arg),
            "code, 5000 if not given",
            "1303",
        ),
        ScenarioRow("shape-units", "a success says what it cost", _units, "units, 8 if not given", "0.5"),
        _success("shape-no-message", "a success has no `task_status_msg`"),
        _success("shape-no-index", "the pictures have no `index`"),
        _success("shape-page", "a success as on a page of CometAPI: with units, no `task_status_msg`, no `index`"),
        _success("shape-watermark", "each picture has a `watermark_url` too"),
        _success("shape-callback", "a success as a recorded callback: empty `videos` and `audios`, its order of keys"),
        _fixed("shape-no-code", "an older shape: no `code`", shape="shape-no-code"),
        _fixed("shape-flat", "an older shape: the task's fields at the top", shape="shape-flat"),
        _fixed("shape-nested", "an older shape: the task deeper than `data`", shape="shape-nested"),
        _on_the_wire("reset", "carried out, then the connection is reset before the answer", "reset"),
        _on_the_wire("reset-within", "the connection is reset after the first bytes of a good answer", "reset-within"),
        _on_the_wire("cut", "the answer ends before its announced length", "cut"),
        ScenarioRow(
            "drip",
            "the answer comes a byte at a time",
            _drip,
            "time in all, 3s if not given, 10m at most",
            "5s",
        ),
        ScenarioRow(
            "delay",
            "the answer comes late",
            _delay,
            "time, 1s if not given, 10m at most; lognormal:1s draws around a median",
            "5s",
        ),
        _status("html", "a page with this status", "html_502", WITH_BODY, default=503, example=429),
        _fixed("html-200", "a page with 200, as for a wrong path", error="html_200"),
        _fixed("html-502", "a proxy's page with 502", error="html_502"),
        _fixed("html-504", "a proxy's page with 504", error="html_504"),
        _status("redirect", "a redirect to / with this status", "moved", REDIRECTS, default=302, example=307),
        _fixed("redirect-301", "a redirect to /", error="moved"),
        ScenarioRow(
            "callback-lost", "the first attempt of each callback is lost on its way", _lost, "all: every attempt", "all"
        ),
        ScenarioRow(
            "callback-late",
            "each callback comes late",
            _late,
            "how late, 60s if not given",
            "5m",
        ),
        _calling_back("callback-twice", "each callback comes twice", "twice"),
        _calling_back("callback-reordered", "the callback of the end comes before the one before it", "reordered"),
        _calling_back("callback-early", "each callback comes a step before a query shows it", "early"),
    ]
    return {row.name: row for row in rows if row.error in contract.errors}
