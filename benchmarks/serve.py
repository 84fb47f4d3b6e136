"""What the simulator costs beside a bare Flask hello, Prism, or another server of the same API, in one run and in turns.

`python -m benchmarks.serve --peer URL --peer-pid PID` measures another running server, such as an older klingkit; whatever that
refuses is left out. `python -m benchmarks.run` measures everything.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import zlib
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.measured import (
    CREATE,
    PATH,
    Refused,
    Server,
    hello_command,
    in_turns,
    klingkit_command,
    prism_command,
    running,
)
from benchmarks.row import Part, Row, markdown

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = (1, 16)
STARTS = 7


def large_create() -> bytes:
    """Return a create with four pictures of 7 MB: PNG files that are right up to their pixels, then noise."""
    size = b"IHDR" + struct.pack(">IIBBBBB", 1024, 768, 8, 2, 0, 0, 0)
    header = b"\x89PNG\r\n\x1a\n\0\0\0\r" + size + struct.pack(">I", zlib.crc32(size)) + b"\x7f\xff\xff\xffIDAT"
    picture = base64.b64encode(header + os.urandom(7 * 1024 * 1024)).decode()
    return json.dumps({"subject_image_list": [{"subject_image": picture}] * 4}).encode()


def start_times(commands: list[Callable[[int], list[str]]], rounds: int) -> list[float]:
    """Return the median ms to the first answer of each."""

    def started(command: Callable[[int], list[str]]) -> float:
        with running("a server", command) as (_, seconds):
            return seconds * 1000

    measures = [partial(started, command) for command in commands]
    in_turns(measures, 1)  # what is compiled once is compiled
    return in_turns(measures, rounds)


class Beside:
    """Servers side by side: the hello first, then the simulator, then what else there is."""

    def __init__(self, others: list[Server], hello: Server, ours: Server) -> None:
        self.others, self.hello, self.ours = others, hello, ours
        self.bare = hello.request("GET", "/")
        self.creates = {server: server.request("POST", PATH, CREATE) for server in (ours, *others)}
        for requests in (self.creates, self.queries()):
            for server, request in requests.items():
                server.load([request], 200, 1)
        hello.load([self.bare], 500, 1)

    def queries(self) -> dict[Server, bytes]:
        """Return the query of a new task of each, since old ones are dropped when there are many."""
        return {server: server.query_of_new_task() for server in (self.ours, *self.others)}

    def costs(self, requests: dict[Server, bytes], count: int, rounds: int, at_once: int) -> list[float]:
        """Return the CPU time in us of a bare hello, and of such a request to the simulator and to each other."""
        measures = [partial(self.hello.cost, self.bare, count, at_once)]
        measures += [partial(server.cost, request, count, at_once) for server, request in requests.items()]
        return in_turns(measures, rounds)

    def memory(self, total: int) -> list[float]:
        """Return the MB that each has after so many more requests."""
        self.hello.load([self.bare], total, 16)
        for server, query in self.queries().items():
            server.load([self.creates[server], query], total, 16)
        return [server.rss() for server in (self.hello, self.ours, *self.others)]

    def large(self, rounds: int) -> tuple[list[float], list[Server], list[str]]:
        """Return the us of CPU that four 7 MB pictures take: `json.loads`, the simulator, who else takes them; and why others do not."""
        body = large_create()
        takes, refusals = [self.ours], []
        for server in self.others:
            try:
                server.ask(server.request("POST", PATH, body))
                takes.append(server)
            except (Refused, OSError) as error:
                refusals.append(str(error))
        requests = [self.hello.request("POST", "/json", body)] + [
            server.request("POST", PATH, body) for server in takes
        ]
        servers = [self.hello, *takes]
        measures = [partial(server.cost, request, 3, 1) for server, request in zip(servers, requests, strict=True)]
        return in_turns(measures, rounds), takes, refusals


def against(prism: str | None, count: int, rounds: int, total: int) -> tuple[list[Part], list[str]]:
    """Measure all that is compared with the hello and Prism; return it, with what has to be said of it."""
    commands: dict[str, Callable[[int], list[str]]] = {"hello": hello_command, "klingkit": klingkit_command}
    if prism:
        commands["Prism"] = partial(prism_command, prism)
    starts = start_times([*commands.values()], STARTS)
    with ExitStack() as stack:
        hello, ours, *others = [stack.enter_context(running(*each))[0] for each in commands.items()]
        beside = Beside(others, hello, ours)
        found: list[tuple[str, str, float, float, list[float]]] = []
        for at_once in AT_ONCE:
            at = f"{at_once} connection{'s' * (at_once > 1)}"
            found.append((f"create, {at}", "us", 2.0, 0.30, beside.costs(beside.creates, count, rounds, at_once)))
            found.append((f"query, {at}", "us", 1.5, 0.35, beside.costs(beside.queries(), count, rounds, at_once)))
        found.append(("start to first answer", "ms", 1.4, 0.15, starts))
        found.append((f"memory after {total} more requests", "MB", 1.4, 0.4, beside.memory(total)))
        large, _, refusals = beside.large(rounds)
    rows = [Row(what, numbers[1], numbers[0], unit, goal) for what, unit, goal, _, numbers in found]
    rows.append(Row("create with four 7 MB pictures, beside `json.loads`", large[1] / 1000, large[0] / 1000, "ms", 1.8))
    parts = [Part("Beside a bare Flask hello", "hello", rows)]
    if prism:
        beside_prism = [Row(what, numbers[1], numbers[2], unit, goal) for what, unit, _, goal, numbers in found]
        parts.append(Part("Beside Prism", "Prism", beside_prism))
    return parts, [f"Of the large body: {refusal}." for refusal in refusals]


@click.command()
@click.option("--count", default=500, help="Requests a round.")
@click.option("--rounds", default=9, help="Rounds, of which the median counts.")
@click.option("--peer", required=True, help="URL of another server of the same API.")
@click.option("--peer-pid", required=True, type=int, help="Its process id.")
def main(count: int, rounds: int, peer: str, peer_pid: int) -> None:
    """Print what the simulator costs beside another server."""
    parts = urlsplit(peer)
    other = Server("the peer", parts.port or 80, peer_pid, parts.hostname or "127.0.0.1")
    with running("hello", hello_command) as (hello, _), running("klingkit", klingkit_command) as (ours, _):
        beside = Beside([other], hello, ours)
        rows = []
        for at_once in AT_ONCE:
            for what, requests in (("create", beside.creates), ("query", beside.queries())):
                _, mine, theirs = beside.costs(requests, count, rounds, at_once)
                rows.append(Row(f"{what}, {at_once} at once", mine, theirs, "us", 1))
        large, takes, refusals = beside.large(3)
        if other in takes:
            rows.append(Row("create with four 7 MB pictures", large[1] / 1000, large[2] / 1000, "ms", 1))
        rows.append(Row("memory", ours.rss(), other.rss(), "MB", 1))
    Console().print(Markdown(markdown([Part("Beside the peer", "the peer", rows)])), *refusals)


if __name__ == "__main__":
    main()
