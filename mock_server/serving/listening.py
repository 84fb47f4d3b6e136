"""A socket for the port of a server, or one line that says why there is none."""

from __future__ import annotations

import errno
import socket
import time

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
