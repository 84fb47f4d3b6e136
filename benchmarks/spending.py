"""What a create is spent on by file, and what a start and a `verify` are spent on before they answer or ask."""

from __future__ import annotations

import cProfile
import pstats
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benchmarks.measured import ENVIRONMENT, ROOT, in_turns
from klingkit.contract.rules import RequestRules
from klingkit.mock_server import app, request_log
from klingkit.mock_server.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

SHOWN = 12
INSIDE: dict[str, tuple[Any, str]] = {
    "who asks, whose contract, the ids of the request": (app, "_find_account"),
    "the body: JSON, and fields that are not known": (app, "_read_body"),
    "the rules": (RequestRules, "judge"),
    "the task in the store, and what its time brings": (MemoryStore, "add"),
    "the answer, and how well it is known": (app, "_succeed"),
    "the entry of the journal": (request_log, "keep"),
    "the counters": (request_log, "count"),
}
"""Steps of a create, none of them inside another, and the function that takes each."""
WHOLE = "the whole"
STEPS = {
    "an empty Python": "pass",
    "`import flask`, as much as the hello imports": "import flask",
    "what `klingkit serve` imports": "import klingkit.mock_server.serving.serve",
    "the same, and Flask with the control API, for the first request beside the API": (
        "import klingkit.mock_server.serving.serve, klingkit.mock_server.beside"
    ),
    "what it imports, and the simulator made of `openapi.yaml`": (
        "import klingkit.mock_server.serving.serve as serve; from klingkit.mock_server.settings import Settings; "
        "serve.Simulator(Settings())"
    ),
    "what `klingkit verify` imports": "import klingkit.contract.verify.run",
    "`import hypothesis`, which is not ours": "import hypothesis",
    "what `klingkit verify` imports, and the cases that Hypothesis draws while others are sent": (
        "from klingkit.contract import load_contract; import klingkit.contract.verify.run; "
        "from klingkit.contract.verify.selection import EXPLORED, explored_cases; explored_cases(load_contract(), 0, EXPLORED)"
    ),
    "what `klingkit verify` imports, and the bodies of its labelled cases, six of them of 14 MB": (
        "from klingkit.contract import load_contract; import klingkit.contract.verify.run; "
        "from klingkit.contract.cases.catalogue import build_cases; "
        "any(case.request.data is None for case in build_cases(load_contract(), callback_url='http://127.0.0.1:1/'))"
    ),
}


def of_create(create: Callable[[], None], count: int) -> str:
    """Return the share of a create by file, from the profiler."""
    profile = cProfile.Profile(builtins=False)  # what is built in counts for who calls it
    profile.enable()
    for _ in range(count):
        create()
    profile.disable()
    by_file: Counter[str] = Counter()
    for (file, _, _), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        by_file[_named(file)] += own
    whole = sum(by_file.values())
    shares = [f"{name} {own / whole:.0%}" for name, own in by_file.most_common(SHOWN)]
    return f"Of a create in process, the profiler gives to: {', '.join(shares)}; the rest is below each of these.\n"


def of_steps(create: Callable[[], None], count: int) -> str:
    """Return a table of the us that each step of a create takes, by the clock of the machine; the median counts."""
    taken: dict[str, list[int]] = {what: [] for what in INSIDE}

    def timed(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def inside(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter_ns()
            found = function(*arguments, **named)
            taken[what].append(time.perf_counter_ns() - began)
            return found

        return inside

    with ExitStack() as stack:
        for what, (owner, name) in INSIDE.items():
            stack.enter_context(patch.object(owner, name, timed(what, getattr(owner, name))))
        taken[WHOLE] = []
        whole = timed(WHOLE, create)
        for _ in range(count):
            whole()
    steps = {what: statistics.median(each) / 1000 for what, each in taken.items()}
    steps["all else"] = 2 * steps[WHOLE] - sum(steps.values())
    lines = [f"| {what} | {us:.0f} |" for what, us in steps.items()]
    return "\n".join(
        ["\nus of a create in process, without connection and log line:\n", "| | us |", "|---|---:|", *lines, ""]
    )


def of_starts(rounds: int) -> str:
    """Return a table of the ms that the steps of a start take."""

    def timed(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, env=ENVIRONMENT)
        return (time.perf_counter() - began) * 1000

    measures = [partial(timed, code) for code in STEPS.values()]
    in_turns(measures, 1)
    lines = [f"| {name} | {ms:.0f} |" for name, ms in zip(STEPS, in_turns(measures, rounds), strict=True)]
    return "\n".join(["\nms of a whole process:\n", "| | ms |", "|---|---:|", *lines, ""])


def _named(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(ROOT / "klingkit")) if path.is_relative_to(ROOT / "klingkit") else path.stem
