"""All measurements in one run: `python -m benchmarks.run`; it writes `benchmarks/RESULTS.md`, and ends with 1 if a goal is missed.

Needs Linux and `pip install -e '.[test,benchmarks]'`. `--prism PATH` is the `prism` of `npm install @stoplight/prism-cli@5`,
`--postgres URL` a PostgreSQL in which a database can be made for the time of the run.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markdown import Markdown

from benchmarks import commands, in_process, serve, states
from benchmarks.measured import ROOT, Refused
from benchmarks.row import Part, markdown

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 15
RESULTS = Path(__file__).with_name("RESULTS.md")
PACKAGES = ("flask", "werkzeug", "granian", "uvicorn", "uvloop", "httptools", "jsonschema-rs", "sqlalchemy", "psycopg")
BEFORE = """## Before

At 545e05e, on two cores: create 2.2 to 2.6 and query 1.6 to 2.1 times the hello at one connection, 0.36 to 0.39 and 0.44 to 0.47
of Prism; at 16 connections a create took 1.6 times the CPU that it took with one thread (1280 us against 805); start 1.58 times the
hello's. In process a create took 555 us, a query 355 us.
"""


def machine(prism: str | None) -> str:
    """Describe what it was measured on."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    packages = [f"{name} {version(name)}" for name in PACKAGES]
    if prism:
        packages.append(
            "Prism " + subprocess.run([prism, "--version"], capture_output=True, text=True, check=False).stdout.strip()
        )
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip() or 'unknown'}; {cpu[1] if cpu else platform.machine()}, "
        f"{os.cpu_count()} cores, Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}; {', '.join(packages)}.\n\n"
        f"CPU time is that of the server's process tree per request, from the kernel's scheduler, so that others on the machine count "
        f"less; servers are asked in turns, and the median of the rounds counts."
    )


@click.command()
@click.option("--prism", help="Path to Prism 5; without it nothing is compared with that.")
@click.option(
    "--postgres", envvar="KLINGKIT_TEST_POSTGRES_URL", help="URL of a PostgreSQL; without it that is left out."
)
@click.option("--growth/--no-growth", default=True, help="Whether a server with much in its store is measured too.")
@click.option("--count", default=400, help="Requests a round.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, show_default="benchmarks/RESULTS.md")
def main(prism: str | None, postgres: str | None, growth: bool, count: int, out: Path) -> None:
    """Measure everything, print it and write it down."""
    console = Console(width=130)
    began = time.monotonic()
    parts: list[Part] = []
    said: list[str] = []
    measures: list[Callable[[], tuple[list[Part], list[str]]]] = [
        lambda: serve.against(prism, count, ROUNDS, total=10_000),
        lambda: ([commands.commands(5)], []),
        lambda: ([states.sqlite(count // 2, 7)], []),
        lambda: ([states.postgresql(postgres, count // 2, 7)] if postgres else [], []),
        lambda: ([states.workers(3000, 5)], []),
    ]
    for measure in measures:
        try:
            more, notes = measure()
        except (Refused, OSError) as error:  # one that cannot be measured does not end the others
            more, notes = [], [f"Not measured: {error}."]
        parts += more
        said += notes
    text = [f"# Speed\n\n`python -m benchmarks.run` of {machine(prism)}\n", markdown(parts), *said]
    text.append(_verdict(parts))
    text.append(in_process.where_it_goes(count, ROUNDS))
    if growth:
        text.append(_growth())
    text.append(BEFORE)
    out.write_text("\n".join(text))
    console.print(Markdown("\n".join(text)))
    console.print(f"{time.monotonic() - began:.0f} s; written to {out.name}")
    raise SystemExit(bool(said) or not all(row.is_met for part in parts for row in part.rows))


def _verdict(parts: list[Part]) -> str:
    missed = [
        f"- {row.what}: {row.ratio:.2f} instead of {row.goal:g}"
        for part in parts
        for row in part.rows
        if not row.is_met
    ]
    return "## What misses its goal\n\n" + ("\n".join(missed) if missed else "Nothing.") + "\n"


def _growth() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env={**os.environ, "COLUMNS": "120"},
    )
    return (
        f"## With little and with much in the store\n\n```\n{done.stdout.strip() or done.stderr.strip()[-500:]}\n```\n"
    )


if __name__ == "__main__":
    main()
