"""What the control API says of the server as a whole."""

from __future__ import annotations

import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from ..clocks import SERVER
from .asking import change_time, contract_names
from .bodies import clock_health
from .document import control_operations, described
from .metrics import exposition

if TYPE_CHECKING:
    from ..simulator import Simulator

OPEN = ("get_index", "get_health")
"""Operations that are there without a control API too."""


def get_index(simulator: Simulator, _: str | None) -> dict[str, Any]:
    """Return every operation that there is."""
    there = control_operations() if simulator.settings.control else OPEN
    operations = [control_operations()[operation_id] for operation_id in there]
    return {
        "contract": contract_names(simulator),
        "version": _version(),
        "operations": [
            {"method": method, "path": path, "summary": operation["summary"]} for method, path, operation in operations
        ],
    }


def get_health(simulator: Simulator, account: str | None) -> dict[str, Any]:
    """Tell that the server runs, which contract it follows, since when (s), and what it holds."""
    statuses = simulator.store.count_statuses(simulator.clocks.machine())
    return {
        "status": "ok",
        "version": _version(),
        "contract": contract_names(simulator),
        "seed": simulator.store.chance(account or SERVER).seed,
        "worker": os.getpid(),
        "workers": simulator.settings.workers,
        "uptime_s": round(time.monotonic() - simulator.started, 3),
        "clock": clock_health(simulator),
        "tasks": {status: statuses.get(status, 0) for status in simulator.contract.lifecycle.transitions},
        "callbacks": simulator.store.delivery_counts(),
        "requests": simulator.store.journal.count,
    }


def get_metrics(simulator: Simulator, account: str | None, *, accept: str = "") -> tuple[bytes, str]:
    """Return what happened so far, in the format of Prometheus that is accepted, and its content type."""
    return exposition(simulator, lambda: get_health(simulator, account), accept)


def get_openapi(simulator: Simulator, _: str | None) -> dict[str, Any]:
    """Return the document."""
    return described(simulator.contracts.served)


def set_seed(simulator: Simulator, account: str | None, *, seed: int) -> dict[str, Any]:
    """Begin all chance anew, of an account or of all."""
    change_time(lambda: simulator.store.put_seed(account or SERVER, seed))
    return get_health(simulator, account)


def reset(simulator: Simulator, account: str | None) -> dict[str, Any]:
    """Forget everything, or everything of one account; complete when it returns."""
    simulator.reset(account)
    return get_health(simulator, account)


@cache
def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - start-up does not wait for it

    return version("klingkit")
