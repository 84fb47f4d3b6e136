"""A `klingkit serve` that is killed: a worker, its parent, or all of it at once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

START_S = 30.0
"""Time for it to serve, and before for the port to be free."""


class Server:
    """One server with its workers, in a process group of its own. Linux only: workers are found in /proc."""

    def __init__(self, options: list[str], env: dict[str, str], log: IO[bytes]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._options = options
        self._env = {**os.environ, **env}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it serves; workers of one that was killed may have the port for a moment."""
        command = [sys.executable, "-m", "klingkit", "serve", "--port", str(self.port), *self._options]
        due = time.monotonic() + START_S
        while True:
            self._process = subprocess.Popen(
                command, env=self._env, stdout=subprocess.PIPE, stderr=self._log, start_new_session=True
            )
            assert self._process.stdout
            if self._process.stdout.readline():
                return
            code = self._process.wait()
            if time.monotonic() > due:
                raise SystemExit(f"the server did not start, and ended with {code}; see its log")
            time.sleep(0.05)

    def workers(self) -> list[int]:
        """Return the process ids of its workers; its own if it has none."""
        assert self._process
        pid = self._process.pid
        with suppress(OSError):
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] or [pid]
        return []

    def kill(self, pid: int) -> None:
        """Kill a process as with `kill -9`."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def kill_parent(self) -> None:
        """Kill the parent alone, and wait until its workers have noticed."""
        assert self._process
        self._process.kill()
        self._process.wait()
        due = time.monotonic() + START_S
        while self._listens():
            if time.monotonic() > due:
                raise SystemExit("workers outlived their parent")
            time.sleep(0.02)

    def kill_all(self) -> None:
        """Kill it with all workers at once."""
        assert self._process
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """End it in order; return its exit code."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(START_S)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True
