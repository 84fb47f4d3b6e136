"""Whether requests cost more when there is more: `python -m benchmarks.growth`; with `--state URL` of that store.

A server with few tasks and one with many stand side by side, and are asked in turns; then one without and one with a burden; then one
that is to keep within its memory. Linux only.
"""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks.growing.burdens import KEPT_ALIVE, SLOW, kept_alive, silent_receiver, slow
from benchmarks.growing.mixed import send_mixed
from benchmarks.growing.operations import CREATE, DELIVERED, HEAVY, OF_API, OF_CONTROL, OF_OTHERS
from benchmarks.growing.server import Cost, Filled, Request, filled

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

GOAL = 1.3
GOAL_OF_OTHERS = 1.1
FEW = 1000
KEYS = 60_000
PENDING = 5000
MAX_MEMORY_MB = 64
BASE_MB = 64
"""What the process itself takes, as the README says."""
QUIET_S = 3
"""Until what has begun has come to rest, and memory was given back."""

Costs = tuple[list[Cost], list[Cost]]


class Names:
    """Tasks and a delivery of one server, for the paths of requests."""

    def __init__(self, server: Filled) -> None:
        page = server.ask(Request("", "GET", "/_mock/tasks?limit=500", key="growth-one"))
        self._ids = [task["task_id"] for task in page if task["contract"].startswith("cometapi")]
        self._ids += [server.ask(CREATE)["data"]["task_id"] for _ in range(20)]
        task_id = server.ask(DELIVERED[0])["data"]["task_id"]
        server.ask(DELIVERED[1])
        delivery = Request("", "GET", f"/_mock/deliveries?task_id={task_id}")
        self._delivery: str = server.ask(delivery)[0]["id"]
        self._turn = 0

    def __call__(self) -> dict[str, str]:
        self._turn += 1
        return {"task_id": self._ids[self._turn % len(self._ids)], "delivery_id": self._delivery}


def compared(few: Filled, many: Filled, requests: list[Request], count: int, rounds: int) -> dict[str, Costs]:
    """Return the costs of each request on both servers, round by round."""
    names: dict[Filled, Callable[[], dict[str, str]]] = {server: Names(server) for server in (few, many)}
    for server in (few, many):
        for request in requests:  # what is made once is made
            server.cost(request, 3, names[server])
    found: dict[str, Costs] = {}
    for request in requests:
        often = max(2, count // 20) if request.name in HEAVY else count
        costs: Costs = ([], [])
        for turn in range(rounds):
            for place in (0, 1) if turn % 2 else (1, 0):
                server = (few, many)[place]
                costs[place].append(server.cost(request, often, names[server]))
        found[request.name] = costs
    return found


def with_tasks(console: Console, tasks: int, state: str | None, count: int, rounds: int) -> list[str]:
    """Compare few with many tasks; return what costs more than it may."""

    def options(number: int, name: str) -> list[Any]:
        return ["--tasks", str(number), *(["--state", f"{state}-{name}"] if state else [])]

    table = Table("request", f"CPU us, {FEW:,}", f"{tasks:,}", "ratio", f"time us, {FEW:,}", f"{tasks:,}", "ratio")
    over = []
    with filled(*options(FEW, "few")) as few, filled(*options(tasks, "many")) as many:
        console.print(f"{tasks:,} tasks: filled in {many.filled_s} s, {many.rss():.0f} MB; {FEW:,}: {few.rss():.0f} MB")
        found = compared(few, many, OF_API + OF_CONTROL, count, rounds)
        began = time.perf_counter()
        many.ask(Request("", "POST", "/_mock/reset"))
        console.print(f"reset of all {tasks:,}: {(time.perf_counter() - began) * 1000:.0f} ms")
    for name, pair in found.items():
        cpu = [statistics.median(cost.cpu for cost in costs) for costs in pair]
        wall = [statistics.median(cost.wall for cost in costs) for costs in pair]
        ratios = cpu[1] / cpu[0], wall[1] / wall[0]
        if ratios[0] > GOAL:
            over.append(name)
        cells = [f"{cpu[0]:.0f}", f"{cpu[1]:.0f}", f"{ratios[0]:.2f}", f"{wall[0]:.0f}", f"{wall[1]:.0f}"]
        table.add_row(name, *cells, f"{ratios[1]:.2f}")
    console.print(table)
    return over


def with_burdens(console: Console, count: int, rounds: int) -> list[str]:
    """Compare how long others wait with and without each burden; return where that is longer than it may be."""
    none: Callable[[int], AbstractContextManager[None]] = lambda _: nullcontext()
    table = Table("burden", "request", "time us without", "with", "ratio")
    over = []
    with silent_receiver() as hook:
        pending = ["--tasks", str(PENDING), "--pending", str(PENDING), "--hook"]
        burdens = [
            (f"{KEYS:,} keys", ["--tasks", str(KEYS), "--keys", str(KEYS)], none),
            (f"{PENDING:,} callbacks that nobody takes", [*pending, "http://127.0.0.1:9/"], none),
            (f"{PENDING:,} callbacks to a receiver that never answers", [*pending, hook], none),
            (f"{KEPT_ALIVE:,} connections kept alive", [], kept_alive),
            (f"{SLOW} slow connections", [], slow),
        ]
        for name, options, burden in burdens:
            with ExitStack() as stack:
                free, burdened = stack.enter_context(filled()), stack.enter_context(filled(*options))
                stack.enter_context(burden(burdened.port))
                time.sleep(QUIET_S)
                found = compared(free, burdened, OF_OTHERS, count, rounds)
            for request, pair in found.items():
                wall = [statistics.median(cost.wall for cost in costs) for costs in pair]
                if wall[1] / wall[0] > GOAL_OF_OTHERS:
                    over.append(f"{request} with {name}")
                table.add_row(name, request, f"{wall[0]:.0f}", f"{wall[1]:.0f}", f"{wall[1] / wall[0]:.2f}")
    console.print(table)
    return over


def with_memory(console: Console, requests: int) -> list[str]:
    """Send many requests to a server with little memory; return whether it takes more than it may."""
    limit = BASE_MB + MAX_MEMORY_MB
    table = Table("requests", "MB", "most meanwhile, MB", f"limit, {BASE_MB} + --max-memory {MAX_MEMORY_MB}MB")
    with filled("--tasks", "0", "--max-memory", str(MAX_MEMORY_MB)) as server:
        table.add_row("none", f"{server.rss():.0f}", f"{server.peak():.0f}", "")
        send_mixed(server.port, requests)
        time.sleep(QUIET_S)
        rss = server.rss()
        table.add_row(f"{requests:,} mixed", f"{rss:.0f}", f"{server.peak():.0f}", str(limit))
    console.print(table)
    return [f"memory: {rss:.0f} MB, not {limit}"] if rss > limit else []


@click.command()
@click.option("--tasks", type=int, help="How many are many; 1,000,000 in memory, 100,000 in a database.")
@click.option("--state", help="Beginning of the URL of a database, to which `-few` and `-many` are added; tasks alone.")
@click.option("--requests", default=200_000, help="Before memory is read; 0 for none.")
@click.option(
    "--burdens/--no-burdens", default=True, help="Whether it is measured how others are served beside burdens."
)
@click.option("--count", default=60, help="Requests a round.")
@click.option("--rounds", default=7, help="Rounds, of which the median counts.")
def main(*, tasks: int | None, state: str | None, requests: int, burdens: bool, count: int, rounds: int) -> None:
    """Measure, and print the ratios; exit 1 if one is over its goal."""
    console = Console(width=120)
    over = with_tasks(console, tasks or (100_000 if state else 1_000_000), state, count, rounds)
    if burdens and not state:
        over += with_burdens(console, count, rounds)
    if requests and not state:
        over += with_memory(console, requests)
    goals = f"goals: at most {GOAL} times the CPU; others wait at most {GOAL_OF_OTHERS} times as long; "
    console.print(goals + (f"[red]not {', '.join(over)}" if over else "all are met"))
    raise SystemExit(bool(over))


if __name__ == "__main__":
    main()
