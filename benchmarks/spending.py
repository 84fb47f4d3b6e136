"""What a create is spent on by file, and what a start and a `verify` are spent on before they answer or ask."""

from __future__ import annotations

import cProfile
import pstats
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measured import ENVIRONMENT, ROOT, in_turns

if TYPE_CHECKING:
    from collections.abc import Callable

SHOWN = 12
STEPS = {
    "an empty Python": "pass",
    "`import flask`, as much as the hello imports": "import flask",
    "what `klingkit serve` imports": "import klingkit.mock_server.serving.serve",
    "the same, and the simulator made of `openapi.yaml`": (
        "import klingkit.mock_server.serving.serve as serve; from klingkit.mock_server.settings import Settings; "
        "serve.Simulator(Settings())"
    ),
    "what `klingkit verify` imports": "import klingkit.contract.verify.run",
    "`import hypothesis`, which is not ours": "import hypothesis",
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
