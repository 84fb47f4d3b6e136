"""The simulator on a port: uvicorn in one process, which holds all state."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from uvicorn import Config, Server

from ..app import create_app
from ..simulator import Simulator
from .banner import banner
from .bridge import Bridge
from .connection import Connection
from .log_handler import log_to_stderr

try:
    import resource
except ModuleNotFoundError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from ..settings import Settings

BACKLOG = 2048
MOST_FILES = 10_240
"""Open files, and so connections; no system that limits them allows less."""
STOP_SECONDS = 2
"""Time for requests to end after Ctrl-C."""
KEEP_ALIVE_SECONDS = 75
"""For a connection without a request; a client must not take its end for a fault."""
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


LONGEST_HEALTH = 10_000
"""Bytes that are read of an answer from whoever has the port."""


class CannotListenError(Exception):
    """Nothing can be bound to that address; the message says why."""


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that has a port of a host; 0 stands for any free one. Raises CannotListenError."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else "not a host name"
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            reason += f", {_who_listens(host, port)}"
        known = not isinstance(error, (socket.gaierror, UnicodeError))
        other = (
            "another with --port, or a free one with --port 0" if known else "an address of this machine with --host"
        )
        raise CannotListenError(f"cannot listen on {host} port {port}: {reason}; choose {other}") from error
    return listener


def _allow_many_connections() -> None:
    """Let this process have as many open files as it may: of 256, where a shell allows no more, others would use up all."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _who_listens(host: str, port: int) -> str:
    """Say what answers at an address that is taken, after a second at most."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    due = time.monotonic() + 1
    came = b""
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            connection.sendall(f"GET /_mock/health HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
            while (left := due - time.monotonic()) > 0 and len(came) < LONGEST_HEALTH:
                connection.settimeout(left)
                if not (data := connection.recv(LONGEST_HEALTH)):
                    break
                came += data
    except (OSError, UnicodeError):
        pass
    return "where a klingkit serves already" if b'"uptime_s"' in came else "where another program listens"


def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve on a socket of `listen` until SIGINT, SIGTERM or SIGHUP. Log lines go to stderr."""
    log_to_stderr(settings.log_format)
    _allow_many_connections()
    simulator = Simulator(settings)
    bridge = Bridge(create_app(simulator).wsgi_app, simulator)
    address, port = listener.getsockname()[:2]
    listener.listen(BACKLOG)
    simulator.own_ports.add(port)
    server = server_of(bridge, greeting=banner(simulator.contracts.served, settings, address, port))
    server.run([listener])
    _say_goodbye(simulator, server.ended_by)


def server_of(bridge: Bridge, *, stop_seconds: int = STOP_SECONDS, greeting: str = "") -> SimulatorServer:
    """Return a server, which is to be run with a socket; it prints a greeting when it serves."""
    config = Config(
        bridge,
        http=Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=stop_seconds,
    )
    return SimulatorServer(config, bridge, greeting)


class SimulatorServer(Server):
    """Ends after a signal with what is left to say, where uvicorn lets the signal kill the process in the end."""

    def __init__(self, config: Config, bridge: Bridge, greeting: str) -> None:
        super().__init__(config)
        self._bridge = bridge
        self._greeting = greeting
        self.ended_by = ""
        """Name of the signal."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and say so: from now on a signal ends it in order."""
        await super().startup(sockets)
        with suppress(OSError):  # nobody reads it
            sys.stdout.write(self._greeting)
            sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what waits, and then the connections."""
        self._bridge.end_waits()
        await super().shutdown(sockets)
        self._bridge.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; at once after a second Ctrl-C."""
        self.ended_by = signal.Signals(sig).name
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        main = threading.current_thread() is threading.main_thread()  # no other can get a signal
        caught = [number for number in SIGNALS if main and signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self.handle_exit) for number in caught}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _say_goodbye(simulator: Simulator, ended_by: str) -> None:
    log = logging.getLogger("klingkit")
    number = len(simulator.store.tasks())
    if ended_by == "SIGHUP":  # nobody asked for it: a terminal was closed
        log.warning("stopped by SIGHUP, and with it %d tasks; `nohup` keeps it running", number)
    spent = simulator.store.spent(None, simulator.clock.now())
    if spent:
        log.info(
            "this run would have cost %.2f %s",
            spent,
            " and ".join(dict.fromkeys(contract.currency for contract in simulator.contracts.served)),
        )
    pending = [delivery for delivery in simulator.store.deliveries() if not delivery.outcome]
    if pending:
        tasks = ", ".join(dict.fromkeys(delivery.task_id for delivery in pending))
        log.warning("%d callbacks are still pending, of task %s", len(pending), tasks[:400])
