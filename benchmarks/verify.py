"""How long a full verify takes, and how many cases a second beside Schemathesis on the same server, in one run.

`python benchmarks/verify.py SCHEMATHESIS`, where SCHEMATHESIS is the command of an installation in an environment of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
KEY = "sk-benchmark"


FOLDER = tempfile.TemporaryDirectory()
"""One for all runs: Hypothesis keeps there what it has read of an editable installation, which takes it a second."""


def timed(*command: str) -> tuple[float, str]:
    """Seconds and output of a command."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=FOLDER.name)
    return time.perf_counter() - started, done.stdout


def klingkit(*arguments: str) -> tuple[float, str]:
    return timed(sys.executable, "-m", "klingkit", *arguments)


@click.command()
@click.argument("schemathesis", type=click.Path(path_type=Path, exists=True))
def main(schemathesis: Path) -> None:
    """Print a line for each measurement."""
    for name, arguments in (
        ("rules", ("rules",)),
        ("cases", ("cases",)),
        ("plan", ("verify", "http://127.0.0.1:9", "--plan")),
    ):
        print(f"{name}: {min(klingkit(*arguments)[0] for _ in range(5)):.2f} s (limit 0.7)")
    for speed in ((), ("--instant",)):
        server = subprocess.Popen(
            [sys.executable, "-m", "klingkit", "serve", "--port", "0", "--key", KEY, *speed],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert server.stdout
        url = re.findall(r"http://[^ ]+", server.stdout.readline())[0]
        seconds, output = min(klingkit("verify", url, "--key", KEY, "--budget", "5") for _ in range(3))
        cases = sum(map(int, re.findall(r"(\d+) (?:hold|deviate)", output)))
        print(
            f"verify {' '.join(speed) or 'at the default speed'}: {seconds:.2f} s (limit 5), {cases / seconds:.0f} cases/s"
        )
        if speed:
            config = ("--config-file", str(ROOT / ".ci/schemathesis.toml"))
            header = f"Authorization: Bearer {KEY}"
            other, text = timed(
                str(schemathesis.resolve()),
                *config,
                "run",
                str(ROOT / "openapi.yaml"),
                "--url",
                url,
                "-H",
                header,
                "--seed",
                "1",
            )
            count = int(re.findall(r"(\d+) generated", text)[0])
            print(
                f"schemathesis: {other:.2f} s, {count / other:.0f} cases/s; ratio {cases / seconds / (count / other):.1f} (goal 5), "
                f"whole runs {other / seconds:.1f}"
            )
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
