"""The simulator on a port: uvicorn, in this process or in several (`workers.py`)."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from uvicorn import Config, Server

from ..app import create_app
from .bridge import Bridge
from .connection import Connection
from .garbage import LongCollections
from .shared_listener import SharedListener

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import FrameType

    from ..simulator import Simulator


BACKLOG = 2048
STOP_SECONDS = 2
"""Time for requests to end after Ctrl-C."""
KEEP_ALIVE_SECONDS = 75
"""For a connection without a request; a client must not take its end for a fault."""
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


def serve_one(simulator: Simulator, listener: socket.socket, greet: Callable[[], None]) -> str:
    """Serve in this process until a signal, whose name is returned; greet when it serves."""
    bridge = Bridge(create_app(simulator).wsgi_app, simulator)
    listener.listen(BACKLOG)
    simulator.own_ports.add(listener.getsockname()[1])
    LongCollections().watch()
    server = server_of(bridge, workers=simulator.settings.workers, greet=greet)
    server.run([listener])
    return server.ended_by


def server_of(
    bridge: Bridge, *, workers: int = 1, stop_seconds: int = STOP_SECONDS, greet: Callable[[], None] = lambda: None
) -> SimulatorServer:
    """Return a server, which is to be run with a socket; it greets when it serves. With `workers` others take from that socket too."""
    config = Config(
        bridge,
        workers=workers,
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
    return SimulatorServer(config, bridge, greet)


class SimulatorServer(Server):
    """Ends after a signal with what is left to say, where uvicorn lets the signal kill the process in the end."""

    def __init__(self, config: Config, bridge: Bridge, greet: Callable[[], None]) -> None:
        super().__init__(config)
        self._bridge = bridge
        self._greet = greet
        self._listeners: list[SharedListener] = []
        self.ended_by = ""
        """Name of the signal."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and say so: from now on a signal ends it in order."""
        if self.config.workers == 1:
            await super().startup(sockets)
        else:
            await super().startup([])
            held = self.server_state.connections
            self._listeners = [SharedListener(each, self._connection, held) for each in sockets or ()]
        self._greet()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what waits, and then the connections."""
        for listener in self._listeners:
            listener.close()
        self._bridge.end_waits()
        await super().shutdown(sockets)
        self._bridge.close()

    def _connection(self) -> Connection:
        return Connection(self.config, self.server_state, {})

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
