"""What one client burdens a server with, while others are served."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT_ALIVE = 1000
SLOW = 200
PACE_S = 0.5
"""A slow client sends, or takes, a little each time."""
QUERY = b"GET /kling/v1/images/generations/1 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer slow\r\n\r\n"
HEAD = QUERY.replace(b"GET", b"POST").replace(b"/1 ", b" ").replace(b"\r\n\r\n", b"\r\nContent-Length: 100000\r\n\r\n")
LARGE_ANSWER = b"GET /_mock/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def _connected(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    return connection


@contextmanager
def kept_alive(port: int) -> Iterator[None]:
    """Hold connections that have asked once, and then do nothing."""
    with ExitStack() as held:
        for _ in range(KEPT_ALIVE):
            connection = held.enter_context(_connected(port))
            connection.sendall(QUERY)
            connection.recv(4096)
        yield


@contextmanager
def slow(port: int) -> Iterator[None]:
    """Hold connections of which one half sends a body, and the other takes an answer, a little at a time."""
    with ExitStack() as held:
        connections = [held.enter_context(_connected(port)) for _ in range(SLOW)]
        senders, readers = connections[: SLOW // 2], connections[SLOW // 2 :]
        for connection in senders:
            connection.sendall(HEAD)
        for connection in readers:
            connection.sendall(LARGE_ANSWER)
        ended = threading.Event()
        thread = threading.Thread(target=_keep_slow, args=(senders, readers, ended))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _keep_slow(senders: list[socket.socket], readers: list[socket.socket], ended: threading.Event) -> None:
    with selectors.DefaultSelector() as selector:
        for connection in readers:
            selector.register(connection, selectors.EVENT_READ)
        while not ended.wait(PACE_S):
            for connection in senders:
                try:
                    connection.send(b" ")
                except OSError:
                    senders.remove(connection)
            for key, _ in selector.select(0):
                ready: socket.socket = key.fileobj  # type: ignore[assignment]
                if not ready.recv(64):
                    selector.unregister(ready)


@contextmanager
def silent_receiver() -> Iterator[str]:
    """Give the URL of a receiver of callbacks that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
