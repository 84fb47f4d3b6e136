"""What the simulator costs beside a bare Flask hello, in one run: `python benchmarks/serve.py`.

The hello runs under granian with one blocking thread, which is as little as Flask on a socket costs (`pip install '.[benchmarks]'`).
Linux only: CPU time and memory of each server's process tree come from /proc. `--peer URL --peer-pid PID` measures another
running server of the same API side by side, such as an older klingkit.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/kling/v1/images/generations"
HEADERS = {"Authorization": "Bearer any", "Content-Type": "application/json"}
PICTURE = {"subject_image": "https://example.com/a.png"}
CREATE = json.dumps({"subject_image_list": [PICTURE, PICTURE], "prompt": "two friends in Paris", "n": 1}).encode()
HERE = Path(__file__).parent
MOST_CONNECTIONS = 16
TICKS = os.sysconf("SC_CLK_TCK")
Request = tuple[str, str, bytes | None]


class Server:
    """A running server: where it listens, and its process tree."""

    def __init__(self, name: str, port: int, pid: int, host: str = "127.0.0.1") -> None:
        self.name, self.pid = name, pid
        self.connections = [http.client.HTTPConnection(host, port) for _ in range(MOST_CONNECTIONS)]

    def tree(self) -> list[int]:
        found, new = [], [self.pid]
        while new:
            found += new
            new = [int(child) for pid in new for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return found

    def cpu(self) -> float:
        """CPU time of the tree in s, so far."""
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.tree()]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats) / TICKS

    def rss(self) -> float:
        """Resident memory of the tree in MB."""
        status = [Path(f"/proc/{pid}/status").read_text() for pid in self.tree()]
        return sum(int(match[1]) for text in status if (match := re.search(r"VmRSS:\s+(\d+)", text))) / 1024

    def ask(self, request: Request, connection: int = 0) -> bytes:
        method, path, body = request
        self.connections[connection].request(method, path, body, HEADERS)
        response = self.connections[connection].getresponse()
        data = response.read()
        if response.status != 200:
            raise SystemExit(f"{self.name}: {method} {path} answered {response.status}: {data[:200]!r}")
        return data

    def cost(self, request: Request, count: int, connections: int) -> float:
        """CPU time in us per request, with so many connections at a time."""

        def ask_often(connection: int) -> None:
            for _ in range(count // connections):
                self.ask(request, connection)

        before = self.cpu()
        if connections == 1:
            ask_often(0)
        else:
            with ThreadPoolExecutor(connections) as pool:
                list(pool.map(ask_often, range(connections)))
        return (self.cpu() - before) / (count // connections * connections) * 1e6


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hello_command(port: int) -> list[str]:
    granian = str(Path(sys.executable).with_name("granian"))
    options = ["--interface", "wsgi", "--blocking-threads", "1", "--no-log", "--working-dir", str(HERE)]
    return [granian, *options, "--port", str(port), "hello:app"]


def klingkit_command(port: int) -> list[str]:
    return [str(Path(sys.executable).with_name("klingkit")), "serve", "--port", str(port)]


@contextmanager
def running(command: list[str], port: int) -> Iterator[tuple[int, float]]:
    """Start a server; give its process id and the s until its first answer."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port)) as probe:
                    probe.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    if probe.recv(1):
                        break
            except OSError:
                if process.poll() is not None or time.perf_counter() - started > 20:
                    raise SystemExit(f"{command[0]} did not start") from None
                time.sleep(0.001)
        yield process.pid, time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def start_times(rounds: int) -> tuple[float, float]:
    """Median s to the first answer: hello, klingkit; taken in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for into, command in zip(times, (hello_command, klingkit_command), strict=True):
            port = free_port()
            with running(command(port), port) as (_, seconds):
                into.append(seconds)
    return statistics.median(times[0]), statistics.median(times[1])


def median_costs(pairs: list[tuple[Server, Request]], count: int, rounds: int, connections: int = 1) -> list[float]:
    """Median us of CPU per request of each pair, measured in turns."""
    costs: list[list[float]] = [[] for _ in pairs]
    for _ in range(rounds):
        for into, (server, request) in zip(costs, pairs, strict=True):
            into.append(server.cost(request, count, connections))
    return [statistics.median(of_pair) for of_pair in costs]


def large_create() -> bytes:
    """A create with four pictures of 7 MB: PNG files that are right up to their pixels, then noise."""
    size = b"IHDR" + struct.pack(">IIBBBBB", 1024, 768, 8, 2, 0, 0, 0)
    header = b"\x89PNG\r\n\x1a\n\0\0\0\r" + size + struct.pack(">I", zlib.crc32(size)) + b"\x7f\xff\xff\xffIDAT"
    picture = base64.b64encode(header + os.urandom(7 * 1024 * 1024)).decode()
    return json.dumps({"subject_image_list": [{"subject_image": picture}] * 4}).encode()


@click.command()
@click.option("--count", default=2000, help="Requests a round.")
@click.option("--rounds", default=5, help="Rounds, of which the median counts.")
@click.option("--total", default=20_000, help="Requests before memory is read.")
@click.option("--peer", help="URL of another server of the same API.")
@click.option("--peer-pid", type=int, help="Its process id.")
def main(count: int, rounds: int, total: int, peer: str | None, peer_pid: int | None) -> None:
    """Measure, and print ratios to the bare hello; exit 1 if one is over its limit."""
    hello_start, kling_start = start_times(rounds)
    ports = free_port(), free_port()
    table = Table("what", "bare hello", "klingkit", "ratio", "limit", *(["peer", "peer ratio"] if peer else []))
    failed = False

    def row(what: str, unit: str, limit: float, bare: float, *rest: float) -> None:
        nonlocal failed
        ours, *theirs = rest
        failed = failed or ours > limit * bare
        peer_cells = [cell for their in theirs for cell in (f"{their:.0f} {unit}", f"{their / bare:.2f}")]
        table.add_row(what, f"{bare:.0f} {unit}", f"{ours:.0f} {unit}", f"{ours / bare:.2f}", f"{limit:g}", *peer_cells)

    with (
        running(hello_command(ports[0]), ports[0]) as (pid, _),
        running(klingkit_command(ports[1]), ports[1]) as (own, _),
    ):
        hello, kling = Server("hello", ports[0], pid), Server("klingkit", ports[1], own)
        servers = [kling]
        if peer and peer_pid:
            parts = urlsplit(peer)
            servers.append(Server("peer", parts.port or 80, peer_pid, parts.hostname or ""))
        ids = [json.loads(server.ask(("POST", PATH, CREATE)))["data"]["task_id"] for server in servers]
        bare: Request = ("GET", "/", None)
        creates: list[tuple[Server, Request]] = [(server, ("POST", PATH, CREATE)) for server in servers]
        queries: list[tuple[Server, Request]] = [
            (server, ("GET", f"{PATH}/{task_id}", None)) for server, task_id in zip(servers, ids, strict=True)
        ]
        median_costs([(hello, bare), *creates, *queries], count // 4, 1)  # warm up
        for number in (1, MOST_CONNECTIONS):
            at = f", {number} connections" if number > 1 else ""
            row(f"query{at}", "us", 2.5, *median_costs([(hello, bare), *queries], count, rounds, number))
            row(f"create{at}", "us", 3.5, *median_costs([(hello, bare), *creates], count, rounds, number))
        row("start to first answer", "ms", 1.5, hello_start * 1000, kling_start * 1000)
        for server, request in ((hello, bare), *creates):
            for _ in range(total):
                server.ask(request)
        row(f"memory after {total} more requests", "MB", 1.6, hello.rss(), *(server.rss() for server in servers))
        body = large_create()
        large: list[tuple[Server, Request]] = [(server, ("POST", PATH, body)) for server in servers]
        row(
            "create with four 7 MB pictures",
            "us",
            2,
            *median_costs([(hello, ("POST", "/json", body)), *large], 5, rounds),
        )
    Console(width=120).print(table)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
