"""What `klingkit serve` prints at its start."""

from __future__ import annotations

import json
import shlex
import time
from typing import TYPE_CHECKING

from .json_lines import json_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from klingkit.contract import Contract, Operation

    from ..settings import Settings


def banner(contracts: Sequence[Contract], settings: Settings, address: str, port: int) -> str:
    """Return what is printed at the start: where the simulator is, and a curl line for each operation of each contract.

    Where the log is JSON it is one object too: what collects the output of a container knows no other line.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - compared, not bound
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    pace = "tasks finish at once" if settings.instant else f"{settings.speed:g} times as fast as the real service"
    names = " and ".join(contract.name for contract in contracts)
    where = f"klingkit simulates {names} at {url}"
    if settings.log_format == "json":
        return json_line(
            time.time(),
            "info",
            where,
            {"url": url, "page": f"{url}/_mock/" if settings.control else "", "seed": settings.seed},
        )
    put = " ".join(["", *filter(None, (_to_put(contract, settings) for contract in contracts))])
    lines = [f"{where} ({pace}, seed {settings.seed}). Ctrl-C stops it.{put}"]
    what = (
        "In a browser, what came and what became of it, and how to steer it" if settings.control else "Whether it runs"
    )
    lines += [f"{what}: {url}/_mock/", ""]
    for contract in contracts:
        key = (
            f'"Authorization: Bearer ${_variable(contract)}"'
            if _is_closed(contract, settings)
            else "'Authorization: Bearer any'"
        )
        of = f" ({contract.name})" if len(contracts) > 1 else ""
        for operation in sorted(contract.operations.values(), key=lambda operation: operation.example is None):
            lines += [
                operation.summary.removesuffix(".") + f"{of}." + _hint(operation),
                f"  {_curl(operation, url, key)}",
                "",
            ]
    return "\n".join(lines) + "\n"


def _curl(operation: Operation, url: str, key: str) -> str:
    command = f"curl -s {url}{operation.path.replace('{task_id}', 'TASK_ID')} -H {key}"
    if operation.example is None:
        return command
    return f"{command} -H 'Content-Type: {operation.media_type}' -d {shlex.quote(json.dumps(operation.example))}"


def _hint(operation: Operation) -> str:
    return " Put the task_id of the answer in place of TASK_ID." if "{task_id}" in operation.path else ""


def _is_closed(contract: Contract, settings: Settings) -> bool:
    """Tell whether not every key is taken."""
    return bool(settings.keys or (contract.jwt and settings.access_keys))


def _variable(contract: Contract) -> str:
    return "KLING_TOKEN" if contract.jwt else "COMETAPI_KEY"


def _to_put(contract: Contract, settings: Settings) -> str:
    """Say what the curl lines of a contract need."""
    if not _is_closed(contract, settings):
        return ""
    if contract.jwt and settings.access_keys:
        return f"Put a token that is signed with one of its secret keys into {_variable(contract)}."
    return f"Put one of the keys that it accepts into {_variable(contract)}."
