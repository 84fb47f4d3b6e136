"""All measurements in one run: `python -m benchmarks.run`; it writes `benchmarks/RESULTS.md`, and ends with 1 if a goal is missed.

Needs Linux and `pip install -e '.[test,benchmarks]'`. `--prism PATH` is the `prism` of `npm install @stoplight/prism-cli@5`,
`--postgres URL` a PostgreSQL in which a database can be made for the time of the run. What fails is named; the rest is written all the same.
"""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from rich.console import Console
from rich.markdown import Markdown

from benchmarks import commands, floors, in_process, serve, spending, states
from benchmarks.measured import ROOT
from benchmarks.row import Part, markdown

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
ROUNDS = 15
GROWTH_S = 330
"""After that the measurement with much in the store is ended."""
GROWN = "Not all of this meets its goals"
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
@click.option(
    "--growth",
    default=200_000,
    show_default=True,
    help="Tasks of the server with much in its store; 0 leaves that out.",
)
@click.option("--no-growth", "growth", flag_value=0, type=int, help="The same as `--growth 0`.")
@click.option("--count", default=400, help="Requests a round.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, show_default="benchmarks/RESULTS.md")
def main(prism: str | None, postgres: str | None, growth: int, count: int, out: Path) -> None:
    """Measure everything, print it and write it down."""
    console = Console(width=130)
    began = time.monotonic()
    measured_on = machine(prism)  # before, since a checkout may go on meanwhile
    failed: list[str] = []

    def measured(name: str, measure: Callable[[], T], otherwise: T) -> T:
        """Measure a part; one that fails does not end the others, and is named."""
        console.print(f"{time.monotonic() - began:4.0f} s: {name}")
        try:
            return measure()
        except Exception as error:  # noqa: BLE001 - whatever it is, what was measured before is not lost
            failed.append(f"Not measured: {name} ({type(error).__name__}: {error}).")
            return otherwise

    def parts_of(name: str, measure: Callable[[], Part]) -> list[Part]:
        return measured(name, lambda: [measure()], [])

    nothing: tuple[list[Part], list[str]] = ([], [])
    parts, said = measured("beside others", lambda: serve.against(prism, count, ROUNDS, total=10_000), nothing)
    parts += parts_of("commands", lambda: commands.commands(5))
    parts += parts_of("SQLite", lambda: states.sqlite(count // 2, 7))
    if postgres:
        parts += parts_of("PostgreSQL", lambda: states.postgresql(postgres, count // 2, 7))
    parts += parts_of("two workers", lambda: states.workers(3000, 5))
    spent = measured("where the time goes", lambda: in_process.where_it_goes(count, ROUNDS), "")
    spent += measured("what the start is spent on", lambda: spending.of_starts(5), "")
    spent += measured("what a database costs at least", lambda: floors.of_databases(postgres), "")
    growth_text = measured("growth", lambda: _growth(growth), "") if growth else ""
    text = [
        f"# Speed\n\n`python -m benchmarks.run` of {measured_on}\n",
        markdown(parts),
        *(f"{line}\n" for line in said + failed),
    ]
    text += [_verdict(parts), spent, growth_text, BEFORE]
    out.write_text("\n".join(filter(None, text)))
    console.print(Markdown("\n".join(filter(None, text))))
    console.print(f"{time.monotonic() - began:.0f} s; written to {out.name}")
    is_good = not failed and all(row.is_met for part in parts for row in part.rows)
    raise SystemExit(not is_good or GROWN in growth_text)


def _verdict(parts: list[Part]) -> str:
    missed = [
        f"- {part.title}: {row.what}: {row.ratio:.2f} instead of {row.goal:g}"
        for part in parts
        for row in part.rows
        if not row.is_met
    ]
    return "## What misses its goal\n\n" + ("\n".join(missed) if missed else "Nothing.") + "\n"


def _growth(tasks: int) -> str:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "benchmarks.growth", "--tasks", str(tasks)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "120"},
    )
    try:
        output, _ = process.communicate(timeout=GROWTH_S)
        end = f"\n{GROWN}.\n" if process.returncode else ""
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # it ends its servers
        output, _ = process.communicate()
        output = output.partition("Traceback")[0].partition("Aborted!")[0]
        end = f"\n{GROWN}: it was ended after {GROWTH_S} s.\n"
    return f"## With 1,000 tasks and with {tasks:,} in the store\n\n```\n{output.strip()}\n```\n{end}"


if __name__ == "__main__":
    main()
