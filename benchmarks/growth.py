"""Whether requests cost more when there is more: `python -m benchmarks.growth`; with `--state sqlite:////tmp/kling.db` of that store.

A server with few tasks and one with many stand side by side, and are asked in turns. Linux only.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.growing.operations import DELIVERED, HEAVY, OF_API, OF_CONTROL
from benchmarks.growing.server import Cost, Filled, Request, filled

if TYPE_CHECKING:
    from collections.abc import Callable

GOAL = 1.3
FEW = 1000


class Names:
    """Tasks and a delivery of one server, for the paths of requests."""

    def __init__(self, server: Filled) -> None:
        page = server.ask(Request("", "GET", "/_mock/tasks?limit=500", key="growth-one"))
        self._ids = [task["task_id"] for task in page if task["contract"].startswith("cometapi")]
        task_id = server.ask(DELIVERED)["data"]["task_id"]
        server.ask(Request("", "POST", "/_mock/clock/advance", {"by": "1h"}, key="growth-1"))
        delivery = Request("", "GET", f"/_mock/deliveries?task_id={task_id}")
        self._delivery: str = server.ask(delivery)[0]["id"]
        self._turn = 0

    def __call__(self) -> dict[str, str]:
        self._turn += 1
        return {"task_id": self._ids[self._turn % len(self._ids)], "delivery_id": self._delivery}


def compared(few: Filled, many: Filled, count: int, rounds: int) -> list[tuple[str, list[Cost], list[Cost]]]:
    """Return the costs of each request on both servers, round by round."""
    names: dict[Filled, Callable[[], dict[str, str]]] = {server: Names(server) for server in (few, many)}
    requests = OF_API + OF_CONTROL
    for server in (few, many):
        for request in requests:  # what is made once is made
            server.cost(request, 3, names[server])
    found: list[tuple[str, list[Cost], list[Cost]]] = []
    for request in track(requests, "requests"):
        often = max(1, count // 20) if request.name in HEAVY else count
        costs: tuple[list[Cost], list[Cost]] = ([], [])
        for _ in range(rounds):
            for into, server in zip(costs, (few, many), strict=True):
                into.append(server.cost(request, often, names[server]))
        found.append((request.name, *costs))
    return found


def shown(tasks: int, found: list[tuple[str, list[Cost], list[Cost]]]) -> tuple[Table, list[str]]:
    """Return the table of costs, and the names of the requests that cost more than they may."""
    table = Table("request", f"CPU us, {FEW:,}", f"{tasks:,}", "ratio", "time us", f"{tasks:,}", "ratio")
    over = []
    for name, few, many in found:
        cpu = [statistics.median(cost.cpu for cost in costs) for costs in (few, many)]
        wall = [statistics.median(cost.wall for cost in costs) for costs in (few, many)]
        ratios = cpu[1] / cpu[0], wall[1] / wall[0]
        if max(ratios) > GOAL:
            over.append(name)
        cells = [cell for pair, ratio in zip((cpu, wall), ratios, strict=True) for cell in (*pair, ratio)]
        table.add_row(name, *(f"{cell:.2f}" if place % 3 == 2 else f"{cell:.0f}" for place, cell in enumerate(cells)))
    return table, over


@click.command()
@click.option("--tasks", type=int, help="How many are many; 1,000,000 in memory, 100,000 in a database.")
@click.option("--state", help="Beginning of the URL of a database: `-few` and `-many` are added.")
@click.option("--count", default=200, help="Requests a round.")
@click.option("--rounds", default=5, help="Rounds, of which the median counts.")
def main(tasks: int | None, state: str | None, count: int, rounds: int) -> None:
    """Measure, and print the ratios; exit 1 if one is over its goal."""
    console = Console(width=120)
    tasks = tasks or (100_000 if state else 1_000_000)

    def options(number: int, name: str) -> list[Any]:
        return ["--tasks", str(number), *(["--state", f"{state}-{name}"] if state else [])]

    with filled(*options(FEW, "few")) as few, filled(*options(tasks, "many")) as many:
        console.print(f"{tasks:,} tasks: filled in {many.filled_s} s, {many.rss():.0f} MB; {FEW:,}: {few.rss():.0f} MB")
        table, over = shown(tasks, compared(few, many, count, rounds))
    console.print(table)
    console.print(f"at most {GOAL} times: " + (f"[red]not {', '.join(over)}" if over else "all"))
    raise SystemExit(bool(over))


if __name__ == "__main__":
    main()
