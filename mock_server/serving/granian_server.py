"""The simulator on a port, under granian: one worker process, which holds all state."""

from __future__ import annotations

import json
import logging
import multiprocessing.util
import shlex
import socket
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import MPServer

if TYPE_CHECKING:
    from klingkit.contract import Contract

    from ..settings import Settings
    from ..simulator import Simulator
    from .granian_faults import Faults


STOP_SECONDS = 2
"""Time for requests to end after Ctrl-C. A worker that gets its signal in the moment when it starts can miss it (granian 2.8)."""


class CannotListenError(Exception):
    """Nothing can be bound to that address; the message says why."""


def find_port(host: str, port: int) -> tuple[str, int]:
    """Return the address of a host, and `port` if it is free there; 0 stands for any free one.

    granian shares a port with whoever listens there already (SO_REUSEPORT), so this must be asked first.
    Raises CannotListenError.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            name = probe.getsockname()
            return str(name[0]), int(name[1])
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a host name"
        known = not isinstance(error, (socket.gaierror, UnicodeError))
        other = (
            "another with --port, or a free one with --port 0" if known else "an address of this machine with --host"
        )
        raise CannotListenError(f"cannot listen on {host} port {port}: {reason}; choose {other}") from error


def serve(settings: Settings, address: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM; `find_port` gives address and port. Log lines go to stderr."""
    server = MPServer(
        "klingkit",
        address=address,
        port=port,
        interface=Interfaces.WSGI,
        websockets=False,
        log_level=LogLevels.error,  # it warns of its own default number of threads
        workers_kill_timeout=STOP_SECONDS,
    )
    server.serve(target_loader=partial(_load, settings, address, port), wrap_loader=False)


def _load(settings: Settings, address: str, port: int) -> Faults:
    """Build the application; granian calls it in the worker process."""
    from ..app import create_app  # noqa: PLC0415 - granian's main process does without it
    from ..simulator import Simulator  # noqa: PLC0415
    from .granian_faults import Faults  # noqa: PLC0415

    handler = logging.StreamHandler()
    handler.setFormatter(_Line())
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # each costs, and no line shows it
    log = logging.getLogger("klingkit")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    simulator = Simulator(settings)
    # multiprocessing ends a worker without atexit
    multiprocessing.util.Finalize(None, _say_goodbye, (simulator,), exitpriority=0)
    text = banner(simulator.contract, settings, address, port)
    threading.Thread(target=_announce, args=(address, port, text), daemon=True).start()
    return Faults(create_app(simulator).wsgi_app, simulator)


def _say_goodbye(simulator: Simulator) -> None:
    log = logging.getLogger("klingkit")
    spent = simulator.store.spent(None, simulator.clock.now())
    if spent:
        log.info("this run would have cost %.2f %s", spent, simulator.contract.currency)
    pending = [delivery for delivery in simulator.store.deliveries() if not delivery.outcome]
    if pending:
        tasks = ", ".join(dict.fromkeys(delivery.task_id for delivery in pending))
        log.warning("%d callbacks are still pending, of task %s", len(pending), tasks[:400])


class _Line(logging.Formatter):
    """Time and text; the time is formatted once a second, since that costs more than all the rest."""

    _second = (0, "")

    def format(self, record: logging.LogRecord) -> str:
        """Return a line of the log."""
        second = int(record.created)
        if second != self._second[0]:
            self._second = (second, time.strftime("%H:%M:%S", time.localtime(second)))
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{self._second[1]} {record.getMessage()}{trace}"


def banner(contract: Contract, settings: Settings, address: str, port: int) -> str:
    """Return what is printed at the start: where the simulator is, and a curl line for each operation."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - compared, not bound
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    pace = "tasks finish at once" if settings.instant else f"{settings.speed:g} times as fast as the real service"
    key = '"Authorization: Bearer $COMETAPI_KEY"' if settings.keys else "'Authorization: Bearer any'"
    put = " Put one of the keys that it accepts into COMETAPI_KEY." if settings.keys else ""
    lines = [f"klingkit simulates {contract.name} at {url} ({pace}, seed {settings.seed}). Ctrl-C stops it.{put}", ""]
    for operation in contract.operations.values():
        command = f"curl -s {url}{operation.path.replace('{task_id}', 'TASK_ID')} -H {key}"
        if operation.example:
            body = shlex.quote(json.dumps(operation.example))
            command += f" -H 'Content-Type: {operation.media_type}' -d {body}"
        hint = " Put the task_id of the answer in place of TASK_ID." if "TASK_ID" in command else ""
        lines += [operation.summary + hint, f"  {command}", ""]
    return "\n".join(lines) + "\n"


def _announce(address: str, port: int, text: str) -> None:
    """Print the banner once the port answers, so that whoever waits for it can connect."""
    while True:
        try:
            socket.create_connection((address, port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.005)
    sys.stdout.write(text)
    sys.stdout.flush()
