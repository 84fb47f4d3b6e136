"""A filled simulator in a process of its own, and what a request costs it. Linux only: its CPU time is read by its process id."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Request:
    """One request; what is in `path` and `body` between braces is a task of the server that is asked."""

    name: str
    method: str
    path: str
    body: Any = None
    key: str | None = None
    status: int = 200


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one request, in us: CPU time of the server, and the time until the answer was there."""

    cpu: float
    wall: float


class Filled:
    """A server that is running, with a connection to it."""

    def __init__(self, pid: int, port: int, filled_s: float) -> None:
        self.pid, self.port, self.filled_s = pid, port, filled_s
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self._cpu_clock = (~pid << 3) | 2  # as clock_getcpuclockid(3) makes it, which Python does not have

    def cpu(self) -> float:
        """CPU time in s, so far."""
        return time.clock_gettime(self._cpu_clock)

    def rss(self) -> float:
        """Resident memory in MB."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0

    def peak(self) -> float:
        """The most resident memory so far, in MB."""
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0

    def ask(self, request: Request, **names: str) -> Any:
        """Send a request and return its JSON, or its bytes. Raises SystemExit for another status than it is to have."""
        path = request.path
        text = "" if request.body is None else json.dumps(request.body)
        for name, value in names.items():
            path, text = path.replace(f"{{{name}}}", value), text.replace(f"{{{name}}}", value)
        headers = {"Content-Type": "application/json"} if text else {}
        if request.key:
            headers["Authorization"] = f"Bearer {request.key}"
        self._connection.request(request.method, path, text or None, headers)
        response = self._connection.getresponse()
        data = response.read()
        if response.status != request.status:
            raise SystemExit(f"{request.method} {path} answered {response.status}: {data[:200]!r}")
        return json.loads(data) if data[:1] in {b"{", b"["} else data

    def cost(self, request: Request, count: int, names: Callable[[], dict[str, str]]) -> Cost:
        """Return what a request costs: the mean CPU time, and the median time, of so many."""
        times = []
        before = self.cpu()
        for _ in range(count):
            these = names()
            began = time.perf_counter()
            self.ask(request, **these)
            times.append(time.perf_counter() - began)
        return Cost((self.cpu() - before) / count * 1e6, statistics.median(times) * 1e6)


@contextmanager
def filled(*options: str) -> Iterator[Filled]:
    """Start a simulator that fills itself, and give it when it serves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "benchmarks.growing.filled", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout
        if not (line := process.stdout.readline()):
            raise SystemExit(f"{' '.join(command)} did not start")
        yield Filled(process.pid, port, json.loads(line)["filled_s"])
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
