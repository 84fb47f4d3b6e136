"""The simulator on a port, in a thread of this process: for the tests of a subprocess or of another language."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .bridge import Bridge
from .listening import bound
from .server import BACKLOG, server_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..simulator import Simulator
    from .bridge import Wsgi


class ThreadServer:
    """Serves a simulator's application on a free port of 127.0.0.1 until it is stopped; tells of crashes."""

    def __init__(self, wsgi: Wsgi, simulator: Simulator, crashed: Callable[[Exception], None], port: int = 0) -> None:
        listener = bound("127.0.0.1", port)
        listener.listen(BACKLOG)  # connections wait from now on until the thread takes them
        port = listener.getsockname()[1]
        simulator.own_ports.add(port)
        self.url = f"http://127.0.0.1:{port}"
        self._server = server_of(Bridge(wsgi, simulator, crashed), stop_seconds=0)
        self._thread = _ServerThread(target=self._server.run, args=([listener],), name="klingkit", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, and end what is still being answered."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()


class _ServerThread(threading.Thread):
    keeps_real_time = True
    """A test may replace `asyncio.sleep`; a server on a socket takes its time all the same."""
