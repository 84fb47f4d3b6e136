"""What `klingkit serve` prints at its start."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from klingkit.contract import Contract

    from ..settings import Settings


def banner(contract: Contract, settings: Settings, address: str, port: int) -> str:
    """Return what is printed at the start: where the simulator is, and a curl line for each operation."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - compared, not bound
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    pace = "tasks finish at once" if settings.instant else f"{settings.speed:g} times as fast as the real service"
    key = '"Authorization: Bearer $COMETAPI_KEY"' if settings.keys else "'Authorization: Bearer any'"
    put = " Put one of the keys that it accepts into COMETAPI_KEY." if settings.keys else ""
    lines = [f"klingkit simulates {contract.name} at {url} ({pace}, seed {settings.seed}). Ctrl-C stops it.{put}"]
    what = "What came and what became of it, and how to steer it" if settings.control else "Whether it runs"
    lines += [f"{what}: {url}/_mock/", ""]
    for operation in contract.operations.values():
        command = f"curl -s {url}{operation.path.replace('{task_id}', 'TASK_ID')} -H {key}"
        if operation.example:
            body = shlex.quote(json.dumps(operation.example))
            command += f" -H 'Content-Type: {operation.media_type}' -d {body}"
        hint = " Put the task_id of the answer in place of TASK_ID." if "TASK_ID" in command else ""
        lines += [operation.summary + hint, f"  {command}", ""]
    return "\n".join(lines) + "\n"
