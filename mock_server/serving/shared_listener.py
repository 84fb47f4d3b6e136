"""How one of several workers takes connections from the socket that all of them listen on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Collection

PAUSE_S = 0.002
"""For which a worker that has connections takes no more after it took one: else the first to wake would take all that come together, and serve them
alone for as long as they are kept."""
MOST_AT_ONCE = 64
OUT_OF_FILES_S = 0.1


class SharedListener:
    """Takes connections in turn with other processes: one, and twice as many each time as long as more are waiting."""

    def __init__(
        self, listener: socket.socket, protocol: Callable[[], asyncio.BaseProtocol], held: Collection[object]
    ) -> None:
        """Make each connection one of a protocol; `held` are those that this worker has."""
        self._listener = listener
        self._protocol = protocol
        self._held = held
        self._loop = asyncio.get_running_loop()
        self._at_once = 1
        self._opening: set[asyncio.Task[object]] = set()
        self._resumed: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._resume()

    def close(self) -> None:
        """Take no more."""
        if self._resumed:
            self._resumed.cancel()
        self._loop.remove_reader(self._listener)

    def _resume(self) -> None:
        self._loop.add_reader(self._listener, self._take)

    def _take(self) -> None:
        self._loop.remove_reader(self._listener)
        pause = PAUSE_S if self._held or self._opening else 0
        try:
            for _ in range(self._at_once):
                self._open(self._listener.accept()[0])
            self._at_once = min(2 * self._at_once, MOST_AT_ONCE)
        except BlockingIOError:  # all are taken
            self._at_once = 1
        except OSError:  # too many files are open, or the client has gone
            pause = OUT_OF_FILES_S
        self._resumed = self._loop.call_later(pause, self._resume)

    def _open(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
