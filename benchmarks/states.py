"""What a database costs beside memory, and what a second worker brings."""

from __future__ import annotations

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

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {DATABASE}")
        try:
            yield f"{url.rpartition('/')[0]}/{DATABASE}"
        finally:
            connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def states(postgres: str | None, count: int, rounds: int) -> list[Part]:
    """Measure create and query on each store."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        urls = {"SQLite": f"sqlite:///{folder}/state.db"}
        if postgres:
            urls["PostgreSQL"] = stack.enter_context(new_database(postgres))
        options = {"memory": (), **{name: ("--state", url) for name, url in urls.items()}}
        servers = [
            stack.enter_context(running(name, partial(_command, options=each)))[0] for name, each in options.items()
        ]
        goals = {"SQLite": 2.0, "PostgreSQL": 3.0}
        rows = []
        for at_once in (1, AT_ONCE):
            creates = {server: server.request("POST", PATH, CREATE) for server in servers}
            queries = {server: server.query_of_new_task() for server in servers}
            for what, requests in (("create", creates), ("query", queries)):
                for server, request in requests.items():
                    server.load([request], 100, at_once)
                costs = in_turns(
                    [partial(server.cost, request, count, at_once) for server, request in requests.items()], rounds
                )
                rows += [
                    Row(f"{what} on {server.name}, {at_once} at once", cost, costs[0], "us", goals[server.name])
                    for server, cost in zip(servers[1:], costs[1:], strict=True)
                ]
    return [Part("On a database, beside memory (CPU of the simulator)", "memory", rows)]


def _command(port: int, options: tuple[str, ...]) -> list[str]:
    return klingkit_command(port, *options)


def workers(count: int, rounds: int) -> Part:
    """Measure the throughput of one and of two workers on SQLite, creates and queries by turns."""
    with ExitStack() as stack:
        servers = []
        for number in (1, 2):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            options = ("--state", f"sqlite:///{folder}/state.db", "--workers", str(number))
            servers.append(stack.enter_context(running(f"{number} workers", partial(_command, options=options)))[0])
        mixed = {server: [server.request("POST", PATH, CREATE), server.query_of_new_task()] for server in servers}
        for server, requests in mixed.items():
            server.load(requests, 300, AT_ONCE)
        one, two = in_turns(
            [
                partial(_throughput, server, requests, count, number)
                for number, (server, requests) in enumerate(mixed.items(), 1)
            ],
            rounds,
        )
    row = Row("requests a second, two workers beside one", two, one, "a second", 1.5, at_least=True)
    return Part("Two workers on SQLite", "one worker", [row])


def _throughput(server: Server, requests: list[bytes], count: int, number: int) -> float:
    return count / seconds(server.load(requests, count, AT_ONCE), number)


def seconds(load: Load, number: int) -> float:
    """Return how long so many workers would have taken if the load had run on another machine.

    Not less than their CPU time, spread evenly, and than the time that the load has left them of the cores.
    """
    return max(load.server / number, load.wall - load.own / CORES)
