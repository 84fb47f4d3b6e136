"""A running server that is measured: its CPU time and memory from /proc (Linux only), and a light load of our own."""

from __future__ import annotations

import json
import os
import re
import resource
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).parents[1]
PATH = "/kling/v1/images/generations"
PICTURE = {"subject_image": "https://example.com/a.png"}
CREATE = json.dumps({"subject_image_list": [PICTURE, PICTURE], "prompt": "two friends in Paris", "n": 1}).encode()
CORES = os.cpu_count() or 1
STARTS_S = 30.0
_COMPILED = tempfile.TemporaryDirectory()
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": _COMPILED.name}
"""Python finds our modules compiled, as it does where they are installed, and leaves nothing in the checkout."""
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Load(NamedTuple):
    """What a number of requests took, in s."""

    wall: float
    server: float
    """CPU of the server's process tree."""
    own: float
    """CPU of this process."""


class Server:
    """A running server: where it listens, and its process tree."""

    def __init__(self, name: str, port: int, pid: int, host: str = "127.0.0.1") -> None:
        self.name, self.port, self.pid, self.host = name, port, pid, host

    def tree(self) -> list[int]:
        """Return the processes."""
        found, new = [], [self.pid]
        while new:
            found += new
            tasks = [task for pid in new for task in Path(f"/proc/{pid}/task").iterdir()]
            new = [int(child) for task in tasks for child in (task / "children").read_text().split()]
        return found

    def cpu(self) -> float:
        """CPU time of all threads in s, so far; to the ns, where `/proc/PID/stat` counts in steps of 10 ms."""
        files = [file for pid in self.tree() for file in Path(f"/proc/{pid}/task").glob("*/schedstat")]
        return sum(int(file.read_text().split()[0]) for file in files) / 1e9

    def rss(self) -> float:
        """Resident memory of the tree in MB."""
        status = [Path(f"/proc/{pid}/status").read_text() for pid in self.tree()]
        return sum(int(match[1]) for text in status if (match := re.search(r"VmRSS:\s+(\d+)", text))) / 1024

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Return the bytes of a request."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAccept: */*\r\nAuthorization: Bearer any\r\n"
        )
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{head}\r\n".encode() + body

    def ask(self, request: bytes) -> bytes:
        """Send one request on a connection of its own; return the body of its answer. Raises Refused for any other than 200."""
        with socket.create_connection((self.host, self.port), timeout=60) as connection:
            try:
                connection.sendall(request)
            except OSError as error:  # it hangs up before it has read the whole
                raise Refused(f"{self.name} does not read it ({error.strerror})") from error
            return _read(self.name, connection)

    def query_of_new_task(self) -> bytes:
        """Return the query of a task that is made for it."""
        task_id = json.loads(self.ask(self.request("POST", PATH, CREATE)))["data"]["task_id"]
        return self.request("GET", f"{PATH}/{task_id}")

    def load(self, requests: list[bytes], count: int, connections: int) -> Load:
        """Send `count` requests, these in turn, with so many connections at a time; each must be answered 200."""
        sockets = [socket.create_connection((self.host, self.port), timeout=60) for _ in range(connections)]
        with selectors.DefaultSelector() as selector:
            for connection in sockets:
                selector.register(connection, selectors.EVENT_READ)
            own, server, wall = _own_cpu(), self.cpu(), time.perf_counter()
            for number, connection in enumerate(sockets):
                connection.sendall(requests[number % len(requests)])
            sent, answered = connections, 0
            while answered < count:
                for key, _ in selector.select(60):
                    ready: socket.socket = key.fileobj  # type: ignore[assignment]
                    _read(self.name, ready)
                    answered += 1
                    if sent < count:
                        ready.sendall(requests[sent % len(requests)])
                        sent += 1
            taken = Load(time.perf_counter() - wall, self.cpu() - server, _own_cpu() - own)
        for connection in sockets:
            connection.close()
        return taken

    def cost(self, request: bytes, count: int, connections: int) -> float:
        """Return the CPU time in us of a request."""
        return self.load([request], count, connections).server / count * 1e6


class Refused(Exception):  # noqa: N818 - what a server does
    """A server answers otherwise than with 200."""


def _read(name: str, connection: socket.socket) -> bytes:
    """Return the body of an answer."""
    data = connection.recv(65536)
    while b"\r\n\r\n" not in data:
        data += _more(name, connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = LENGTH.search(head)
    while len(body) < int(length[1]) if length else not body.endswith(b"0\r\n\r\n"):
        body += _more(name, connection)
    if b" 200 " not in head[:14]:
        raise Refused(f"{name} answered {head[9:13].decode().strip()}: {body[:100]!r}")
    return body


def _more(name: str, connection: socket.socket) -> bytes:
    if not (data := connection.recv(65536)):
        raise Refused(f"{name} hung up")
    return data


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hello_command(port: int) -> list[str]:
    """Return the command of a bare Flask hello under granian with one blocking thread, as little as Flask on a socket costs."""
    granian = str(Path(sys.executable).with_name("granian"))
    options = [
        "--interface",
        "wsgi",
        "--blocking-threads",
        "1",
        "--no-log",
        "--working-dir",
        str(Path(__file__).parent),
    ]
    return [granian, *options, "--port", str(port), "hello:app"]


def klingkit_command(port: int, *options: str) -> list[str]:
    """Return the command of a simulator."""
    return [str(Path(sys.executable).with_name("klingkit")), "serve", "--port", str(port), *options]


def prism_command(prism: str, port: int) -> list[str]:
    """Return the command of Prism with our document."""
    return [prism, "mock", "-p", str(port), str(ROOT / "openapi.yaml")]


@contextmanager
def running(name: str, command: Callable[[int], list[str]]) -> Iterator[tuple[Server, float]]:
    """Start a server on a free port; give it with the s until its first answer."""
    port = free_port()
    started = time.perf_counter()
    process = subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    try:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port)) as probe:
                    probe.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    if probe.recv(1):
                        break
            except OSError:
                if process.poll() is not None or time.perf_counter() - started > STARTS_S:
                    raise Refused(f"{name} did not start") from None
                time.sleep(0.001)
        yield Server(name, port, process.pid), time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def in_turns(measures: Sequence[Callable[[], float]], rounds: int) -> list[float]:
    """Return the median of what each measures, one after the other in each round."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for into, measure in zip(taken, measures, strict=True):
            into.append(measure())
    return [statistics.median(each) for each in taken]
