"""What a database costs beside memory, and what a second worker brings."""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measured import CORES, CREATE, PATH, Load, Server, in_turns, klingkit_command, running
from benchmarks.row import Part, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASE = "klingkit_benchmark"
AT_ONCE = 16


@contextmanager
def new_database(url: str) -> Iterator[str]:
    """Make a database of our own beside the one that a URL names; give its URL for `--state`."""
    import psycopg  # noqa: PLC0415 - only who measures PostgreSQL needs it

    def execute(*commands: str) -> None:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            for command in commands:
                connection.execute(command.encode())

    drop = f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"
    execute(drop, f"CREATE DATABASE {DATABASE}")
    try:
        yield f"{url.rpartition('/')[0]}/{DATABASE}"
    finally:
        execute(drop)


def sqlite(count: int, rounds: int) -> Part:
    """Measure create and query on SQLite, beside memory."""
    with tempfile.TemporaryDirectory() as folder:
        return _beside_memory("SQLite", f"sqlite:///{folder}/state.db", 2.0, count, rounds)


def postgresql(url: str, count: int, rounds: int) -> Part:
    """Measure create and query on PostgreSQL, beside memory."""
    with new_database(url) as state:
        return _beside_memory("PostgreSQL", state, 3.0, count, rounds)


def _beside_memory(name: str, state: str, goal: float, count: int, rounds: int) -> Part:
    rows = []
    with (
        running("memory", klingkit_command) as (memory, _),
        running(name, lambda port: klingkit_command(port, "--state", state)) as (database, _),
    ):
        servers = (memory, database)
        for at_once in (1, AT_ONCE):
            creates = [server.request("POST", PATH, CREATE) for server in servers]
            queries = [server.query_of_new_task() for server in servers]
            for what, requests in (("create", creates), ("query", queries)):
                measures = [
                    partial(server.cost, request, count, at_once)
                    for server, request in zip(servers, requests, strict=True)
                ]
                in_turns(measures, 1)
                beside, ours = in_turns(measures, rounds)
                rows.append(Row(f"{what}, {at_once} at once", ours, beside, "us", goal))
    return Part(f"On {name}, beside memory (CPU of the simulator, not of the database's server)", "memory", rows)


def workers(count: int, rounds: int) -> Part:
    """Measure the throughput of one and of two workers on SQLite, creates and queries by turns."""
    with ExitStack() as stack:
        servers = []
        for number in (1, 2):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            options = ("--state", f"sqlite:///{folder}/state.db", "--workers", str(number))
            command = partial(_command, options=options)
            servers.append(stack.enter_context(running(f"{number} workers", command))[0])
        mixed = {server: [server.request("POST", PATH, CREATE), server.query_of_new_task()] for server in servers}
        for server, requests in mixed.items():
            server.load(requests, 300, AT_ONCE)
        loads: dict[int, list[Load]] = {1: [], 2: []}
        measures = [
            partial(_throughput, server, requests, count, loads, number)
            for number, (server, requests) in enumerate(mixed.items(), 1)
        ]
        one, two = in_turns(measures, rounds)
    cpu = [statistics.median(load.server for load in loads[number]) / count * 1e6 for number in loads]
    title = (
        f"Two workers on SQLite (as long as their CPU time takes if it is spread evenly, or as the load's own CPU, taken off, has left "
        f"them; a request takes {cpu[0]:.0f} us of CPU with one worker and {cpu[1]:.0f} with two)"
    )
    row = Row("requests a second, two workers beside one", two, one, "a second", 1.5, at_least=True)
    return Part(title, "one worker", [row])


def _command(port: int, options: tuple[str, ...]) -> list[str]:
    return klingkit_command(port, *options)


def _throughput(server: Server, requests: list[bytes], count: int, loads: dict[int, list[Load]], number: int) -> float:
    load = server.load(requests, count, AT_ONCE)
    loads[number].append(load)
    return count / seconds(load, number)


def seconds(load: Load, number: int) -> float:
    """Return how long so many workers would have taken if the load had run on another machine.

    Not less than their CPU time, spread evenly, and than the time that the load has left them of the cores.
    """
    return max(load.server / number, load.wall - load.own / CORES)
