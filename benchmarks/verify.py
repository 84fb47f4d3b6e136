"""How many cases a second `verify` sends beside Schemathesis, in one run: `python -m benchmarks.verify SCHEMATHESIS`.

SCHEMATHESIS is the command of an installation in an environment of its own; of its whole runs the times stand beside ours.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from pathlib import Path

import click

from benchmarks.commands import KLINGKIT, instant
from benchmarks.measured import ROOT, running

KEY = "sk-benchmark"


def timed(folder: str, *command: str) -> tuple[float, str]:
    """Return seconds and output of a command."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    return time.perf_counter() - started, done.stdout


@click.command()
@click.argument("schemathesis", type=click.Path(path_type=Path, exists=True))
def main(schemathesis: Path) -> None:
    """Print a line for each tool."""
    with tempfile.TemporaryDirectory() as folder, running("klingkit", instant) as (server, _):
        url = f"http://127.0.0.1:{server.port}"
        ours, output = min(timed(folder, KLINGKIT, "verify", url, "--key", KEY, "--budget", "5") for _ in range(3))
        cases = sum(map(int, re.findall(r"(\d+) (?:hold|deviate)", output)))
        config = ("--config-file", str(ROOT / ".ci/schemathesis.toml"))
        about = (str(ROOT / "openapi.yaml"), "--url", url, "-H", f"Authorization: Bearer {KEY}", "--seed", "1")
        other, text = timed(folder, str(schemathesis.resolve()), *config, "run", *about)
    count = int(re.findall(r"(\d+) generated", text)[0])
    print(f"verify: {ours:.2f} s, {cases / ours:.0f} cases/s")
    print(f"schemathesis: {other:.2f} s, {count / other:.0f} cases/s")
    print(
        f"cases/s {cases / ours / (count / other):.1f} times as many (goal 5); whole runs {other / ours:.1f} times as fast"
    )


if __name__ == "__main__":
    main()
