"""How long commands take: `verify --instant` of the local simulator, and those that ask nobody."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.measured import ENVIRONMENT, in_turns, klingkit_command, running
from benchmarks.row import Part, Row

KLINGKIT = str(Path(sys.executable).with_name("klingkit"))


def commands(rounds: int) -> Part:
    """Measure the s of each command."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running("klingkit", instant) as (server, _),
    ):
        url = f"http://127.0.0.1:{server.port}"
        named = {
            "`verify` of a local simulator with `--instant`": (("verify", url, "--key", "any", "--budget", "5"), 1.5),
            "`rules`": (("rules",), 0.3),
            "`cases`": (("cases",), 0.3),
            "`verify --plan`": (("verify", "http://127.0.0.1:9", "--plan"), 0.3),
        }
        for arguments, _ in named.values():
            _timed(arguments, folder)  # what is compiled once is compiled
        times = in_turns([partial(_timed, arguments, folder) for arguments, _ in named.values()], rounds)
    return Part("Commands", "", [Row(name, s, 1, "s", named[name][1]) for name, s in zip(named, times, strict=True)])


def instant(port: int) -> list[str]:
    """Return the command of a simulator whose tasks end at once."""
    return klingkit_command(port, "--instant")


def _timed(arguments: tuple[str, ...], folder: str) -> float:
    started = time.perf_counter()
    subprocess.run([KLINGKIT, *arguments], cwd=folder, stdout=subprocess.DEVNULL, check=False, env=ENVIRONMENT)
    return time.perf_counter() - started
