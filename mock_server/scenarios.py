"""Scenarios: named, reproducible behaviours of the service. One table; everything that offers scenarios reads it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from klingkit.contract.nearest import nearest_names

from .clock import duration_text, parse_duration
from .foreign_text import plain
from .progressions import PROGRESSIONS
from .scenario_arguments import REDIRECTS, WITH_BODY, page, printable, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from klingkit.contract import Contract

MARKER = re.compile(r"\[\[([^\[\]]{1,100})\]\]")
PREFER = re.compile(r'(?:^|[,;\s])(scenario|progression)\s*=\s*(?:"([^"]*)"|([^\s;,]*))', re.IGNORECASE)
LONGEST_FAULT_MS = 600_000
"""For how long an answer can be held up: no client waits so long."""
LONGEST = 200
"""Characters of a scenario, as somebody gives it."""
LOOKED_THROUGH = 10_000
"""Characters of a prompt in which a scenario is looked for: four times of what a prompt may have."""
CHOOSE = "a scenario is NAME, NAME:ARGUMENT where it takes one, and @0.3 after it for a probability"


FaultKind = Literal["reset", "reset-within", "cut", "drip", "delay"]
"""What happens to an answer on the wire: a reset before its first byte or within, an end before its announced length, a byte at a
time, or all of it late."""
CallbackFault = Literal["", "lost", "lost-all", "late", "twice", "reordered", "early"]
"""What happens to the callbacks of a task: the first attempt of each, or every attempt, is lost; each is late, comes twice, or comes
a step early; the last two change places. Empty: nothing."""


NO_URLS = ("empty", "null", "missing")
"""What stands in place of a URL: an empty text (if nothing else is said), null, or nothing at all."""


class UnknownNameError(ValueError):
    """There is nothing of that name; the message names what there is."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure below the API, on the wire."""

    kind: FaultKind
    ms: int = 0
    """Of `drip`: in all. Of `delay`: before the answer."""
    spread: bool = False
    """Whether `ms` is the median of a log-normal distribution."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a scenario does; a field that is not set leaves that part of the service as it is."""

    name: str
    """With its argument in normal form."""
    error: str = ""
    """Key of the error catalogue that is answered; the rules are skipped and nothing is made."""
    http: int | None = None
    """Status under which `error` is answered, if not its own."""
    message: str = ""
    """Text with which `error` is answered, if not its own."""
    retry_after_s: int | None = None
    """What the header Retry-After of the answer asks for; None: there is no such header."""
    reason: str = ""
    """The task fails, and says this."""
    path: tuple[str, ...] = ()
    """Statuses on the wire that the task passes, from the first one; the last is where it stays."""
    rule: str = ""
    """Id of the async rule by which the task fails."""
    slowdown: float = 1
    """Factor of the durations of the task."""
    hidden_polls: int = 0
    """So many first queries of the task do not find it."""
    urls: Literal["", "none", "expired"] = ""
    """`none`: the result has no URLs. `expired`: they are served only for `url_life_ms`."""
    no_url: str = ""
    """How it has none: one of `NO_URLS`."""
    url_life_ms: int = 0
    most_pictures: int | None = None
    """The result has no more pictures than these; None: as many as were asked for."""
    shape: str = ""
    """One of the shapes in `task_bodies.py` that the answers take."""
    success_shape: str = ""
    """One of those that a task takes, in answers and callbacks, once it has succeeded."""
    units: str = "8"
    """What such a shape says that the task cost."""
    fault: Fault | None = None
    callback: CallbackFault = ""
    callback_late_ms: int = 0
    probability: float = 1

    @property
    def text(self) -> str:
        """As it was chosen, with its probability."""
        return self.name if self.probability == 1 else f"{self.name}@{self.probability:g}"

    @property
    def fits_queries(self) -> bool:
        """Whether it does something to the answer of a query; others shape the task that a create makes."""
        return bool(self.error or self.shape or self.fault)


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
    is_text: bool = False
    """Whether the argument is any text, so that an @ in it need not begin a probability."""


def _fixed(name: str, summary: str, **fields: Any) -> ScenarioRow:
    return ScenarioRow(name, summary, lambda _: fields)


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
        is_text=True,
    )


def _status(name: str, summary: str, error: str, statuses: Sequence[int], default: int) -> ScenarioRow:
    def make(argument: str) -> dict[str, Any]:
        http = whole_number(argument, default, statuses)
        message = {"message": page(http)} if error != "upstream_failed" else {}
        return {"argument": str(http), "error": error, "http": http, **message}

    return ScenarioRow(name, summary, make, f"status, {default} if not given")


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


@cache
def scenario_table(contract: Contract) -> dict[str, ScenarioRow]:
    """Return the table of a contract, by name."""
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
    ]
    rows = [
        *errors,
        *gateway,
        _status("gateway", "the gateway answers with this status", "upstream_failed", range(400, 600), 524),
        ScenarioRow(
            "retry-after",
            "answers 429 with code 1302 and a header Retry-After, as a proxy may",
            _retry_after,
            "time, 2s if not given",
        ),
        _fixed("fail-moderation", "the task fails: moderation refuses it", rule="moderation"),
        _fixed("fail-pixels", "the task fails: a picture is too small or too long", rule=by_pixels),
        _fixed("fail-fetch", "the task fails: a picture cannot be fetched", rule=by_fetch),
        ScenarioRow(
            "fail",
            "the task fails with this reason",
            lambda text: {"reason": text or contract.errors["1303"].message},
            f"any text, {contract.errors['1303'].message} if not given",
            is_text=True,
        ),
        ScenarioRow("slow", "the task takes longer", _slow, "factor, 10 if not given"),
        _fixed("instant", "the task ends at once", slowdown=0),
        _fixed("stuck-submitted", "the task stays submitted for ever", path=(lifecycle.submitted,)),
        _fixed("stuck-processing", "the task is processed for ever", path=(lifecycle.submitted, lifecycle.processing)),
        ScenarioRow(
            "path", "the task passes just these statuses", lambda arg: _path(contract, arg), "statuses joined with >"
        ),
        ScenarioRow(
            "late-visible",
            "the first query does not find the task",
            _late_visible,
            "so many queries, 1 if not given",
        ),
        ScenarioRow(
            "no-url",
            "the task succeeds, and its pictures have no URL",
            _no_url,
            "empty, null or missing; empty if not given",
        ),
        ScenarioRow(
            "fewer-pictures",
            "the task succeeds with fewer pictures than were asked for",
            lambda arg: _fewer_pictures(contract, arg),
            "how many at most, 0 if not given",
        ),
        ScenarioRow(
            "expired-url",
            "the pictures have expired when the task succeeds",
            _expired_url,
            "for how long they are served, 0s if not given",
        ),
        _fixed("string-code", "`code` is a string, also in successes", shape="string-code"),
        ScenarioRow(
            "code-under-200",
            "an error answered with HTTP 200",
            lambda arg: _under_200(contract, arg),
            "code, 5000 if not given",
        ),
        ScenarioRow("shape-units", "a success says what it cost", _units, "units, 8 if not given"),
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
        ),
        ScenarioRow(
            "delay",
            "the answer comes late",
            _delay,
            "time, 1s if not given, 10m at most; lognormal:1s draws around a median",
        ),
        _status("html", "a page with this status", "html_502", WITH_BODY, 503),
        _fixed("html-200", "a page with 200, as for a wrong path", error="html_200"),
        _fixed("html-502", "a proxy's page with 502", error="html_502"),
        _fixed("html-504", "a proxy's page with 504", error="html_504"),
        _status("redirect", "a redirect to / with this status", "moved", REDIRECTS, 302),
        _fixed("redirect-301", "a redirect to /", error="moved"),
        ScenarioRow(
            "callback-lost", "the first attempt of each callback is lost on its way", _lost, "all: every attempt"
        ),
        ScenarioRow(
            "callback-late",
            "each callback comes late",
            _late,
            "how late, 60s if not given",
        ),
        _calling_back("callback-twice", "each callback comes twice", "twice"),
        _calling_back("callback-reordered", "the callback of the end comes before the one before it", "reordered"),
        _calling_back("callback-early", "each callback comes a step before a query shows it", "early"),
    ]
    return {row.name: row for row in rows}


def parse_scenario(text: str, contract: Contract, operation_id: str = "create_task") -> Scenario:
    """Return the scenario that `NAME`, `NAME:ARGUMENT` or either with `@PROBABILITY` means, its argument in normal form.

    Raises UnknownNameError for an unknown name; ValueError for a wrong argument or probability, and for one that can do nothing
    to the operation.
    """
    if len(text) > LONGEST:
        raise ValueError(f"{text[:60]!r} and so on is longer than the {LONGEST} characters that a scenario may have")
    table = scenario_table(contract)
    name, argument, chance = _parts(text, table)
    check_known("scenario", name, table)
    row = table[name]
    if argument and not row.argument:
        raise ValueError(f"scenario {name} takes no argument, and {argument[:60]!r} was given")
    try:
        probability = float(chance or 1)
    except ValueError:
        probability = -1
    if not 0 <= probability <= 1:
        raise ValueError(f"{chance[:20]!r} is not a probability: {CHOOSE}")
    fields = {"argument": argument, "probability": probability, **row.make(argument)}
    normal = plain(fields.pop("argument"), 150)
    scenario = Scenario(f"{name}:{normal}" if argument else name, **fields)
    if operation_id != "create_task" and not scenario.fits_queries:
        raise ValueError(f"scenario {name} shapes the task that a create makes; it does nothing to {operation_id}")
    return scenario


def _parts(text: str, table: dict[str, ScenarioRow]) -> tuple[str, str, str]:
    """Return name, argument and probability as they are given; in a text only a number after the last @ is one."""
    chosen, _, chance = text.strip().partition("@")
    name, colon, argument = chosen.partition(":")
    if colon and name in table and table[name].is_text:
        argument = text.strip().partition(":")[2]
        before, at, last = argument.rpartition("@")
        chance = last if at and re.fullmatch(r"[0-9]*\.?[0-9]+", last) else ""
        argument = printable(before if chance else argument)
    return name, argument, chance


def read_prefer(header: str, contract: Contract, operation_id: str) -> tuple[Scenario | None, str | None]:
    """Return scenario and progression that a `Prefer` header (RFC 7240) names; other preferences are ignored.

    Raises ValueError for one that there is not.
    """
    found = reversed(PREFER.findall(_as_sent(header)))  # of two the first counts (RFC 7240)
    wanted = {name.lower(): quoted or plain for name, quoted, plain in found}
    if "progression" in wanted:
        check_known("progression", wanted["progression"], PROGRESSIONS)
    scenario = parse_scenario(wanted["scenario"], contract, operation_id) if "scenario" in wanted else None
    return scenario, wanted.get("progression")


def _as_sent(header: str) -> str:
    """Return a header in UTF-8, as most clients send one, where it is that: WSGI reads every header as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def check_known(what: str, name: str, valid: Collection[str]) -> None:
    """Raise UnknownNameError, which names the valid ones and the nearest, if a name is none of them."""
    if name not in valid:
        close = nearest_names(name[:60], valid, most=1, alike=0.6)
        hint = f"did you mean {close[0]}? The" if close else "the"
        raise UnknownNameError(f"unknown {what} {name[:60]!r}; {hint} valid ones: {', '.join(valid)}")


def find_marker(prompt: str, contract: Contract) -> Scenario | None:
    """Return the scenario of the first `[[NAME]]` in a prompt that names one; other brackets are ordinary text."""
    table = scenario_table(contract)
    for text in MARKER.findall(prompt[:LOOKED_THROUGH]):
        if _parts(text, table)[0] not in table:  # before `parse_scenario` looks for the nearest name, which costs
            continue
        try:
            return parse_scenario(text, contract)
        except ValueError:
            continue
    return None
