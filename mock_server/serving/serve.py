"""What `klingkit serve` runs: one process, or several workers, and what is said at the start and at the end."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from ..contracts import Contracts
from ..simulator import Simulator
from ..store import StoreUnavailableError
from .banner import banner
from .log_handler import log_to_stderr
from .server import serve_one

try:
    import resource
except ModuleNotFoundError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import socket

    from ..settings import Settings

MOST_FILES = 10_240
"""Open files, and so connections; no system that limits them allows less."""
MOST_NAMED = 20
"""Tasks that a line of the log names."""


def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve on a socket of `bound` until SIGINT, SIGTERM or SIGHUP, with as many processes as are wanted. Log lines go to stderr."""
    log_to_stderr(settings.log_format)
    allow_many_connections()
    address, port = listener.getsockname()[:2]
    if settings.workers == 1:
        simulator = Simulator(settings)
        greeting = banner(simulator.contracts.served, settings, address, port)
        ended_by = serve_one(simulator, listener, lambda: _print(greeting))
    else:
        from .workers import Workers  # noqa: PLC0415 - one process needs none

        served = Contracts(settings.contract, assume=settings.assume).served
        ended_by = Workers(settings, listener).run(lambda: _print(banner(served, settings, address, port)))
        simulator = Simulator(settings)
    with suppress(StoreUnavailableError):  # the log has said so
        _say_goodbye(simulator, ended_by)


def _print(greeting: str) -> None:
    with suppress(OSError):  # nobody reads it
        sys.stdout.write(greeting)
        sys.stdout.flush()


def allow_many_connections() -> None:
    """Let this process have as many open files as it may: of 256, where a shell allows no more, others would use up all."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _say_goodbye(simulator: Simulator, ended_by: str) -> None:
    """Say what ends with the server; what is kept as state does not."""
    log = logging.getLogger("klingkit")
    store, is_kept = simulator.store, simulator.settings.state is not None
    if ended_by == "SIGHUP":  # nobody asked for it: a terminal was closed
        lost = "" if is_kept else f", and with it {store.count_tasks()} tasks"
        log.warning("stopped by SIGHUP%s; `nohup` keeps it running", lost)
    if spent := store.spent(None, simulator.clocks.machine()):
        log.info(
            "%s would have cost %.2f %s",
            "all tasks of this state" if is_kept else "this run",
            spent,
            " and ".join(dict.fromkeys(contract.currency for contract in simulator.contracts.served)),
        )
    if pending := store.delivery_counts()["pending"]:
        tasks = ", ".join(store.pending(MOST_NAMED))
        later = ", and are made when this state is served" if is_kept else ""
        log.warning("%d callbacks are still pending, of task %s%s", pending, tasks, later)
