"""A simulator that holds much already, served on a port: `python -m benchmarks.growing.filled PORT --tasks 1000000`."""

from __future__ import annotations

import gc
import json
import socket
import sys
import time

import click

from klingkit.mock_server.auth import account_name
from klingkit.mock_server.clock import ClockState
from klingkit.mock_server.serving.log_handler import log_to_stderr
from klingkit.mock_server.serving.serve import allow_many_connections
from klingkit.mock_server.serving.server import serve_one
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator

BODY = {"subject_image_list": [{"subject_image": "https://example.com/a.png"}] * 2, "prompt": "two friends", "n": 1}
ONE = "growth-one"
"""Key of the account that has half of the tasks."""
OTHERS = 1000
"""Accounts that share the other half, unless there are more keys."""


def fill(simulator: Simulator, tasks: int, keys: int, pending: int, hook: str) -> None:
    """Make tasks: every second one of one account, and under each contract in turn; the last so many with callbacks."""
    accounts = [account_name(f"growth-{number}") for number in range(keys)]
    for number in range(tasks):
        account = account_name(ONE) if number % 2 and keys == OTHERS else accounts[number // 2 % keys]
        body = {**BODY, "external_task_id": f"order-{number}"}
        if tasks - number <= pending:
            body["callback_url"] = hook
        contract = simulator.contracts.served[number // 2 % len(simulator.contracts.served)]
        simulator.create(
            account, contract.requests["create_task"].defaults | body, "http://127.0.0.1", contract=contract
        )


@click.command()
@click.argument("port", type=int)
@click.option("--tasks", default=1000)
@click.option("--keys", default=OTHERS)
@click.option("--pending", default=0, help="Tasks with callbacks.")
@click.option("--hook", default="http://127.0.0.1:9/", help="Where these go.")
@click.option("--state")
@click.option("--max-memory", type=int, help="In MB, and then with the number of tasks that is the default.")
def main(
    port: int, *, tasks: int, keys: int, pending: int, hook: str, state: str | None, max_memory: int | None
) -> None:
    """Fill a simulator, print in JSON how long that took, and serve it."""
    log_to_stderr("text")
    room: dict[str, int] = {"max_tasks": 2_000_000, "max_memory": 64 * 1024**3}
    if max_memory:
        room = {"max_memory": max_memory * 1024**2}
    settings = Settings(contract="all", state=state, **room)  # type: ignore[arg-type]
    if state:
        from klingkit.mock_server.store.sql.opening import prepare  # noqa: PLC0415 - memory does without it

        prepare(settings, ClockState(), anew=True)
    simulator = Simulator(settings)
    began = time.monotonic()
    gc.disable()  # it would look through what is there again and again
    fill(simulator, tasks, keys, pending, hook)
    gc.freeze()  # as a server has done by and by
    gc.enable()
    allow_many_connections()
    listener = socket.create_server(("127.0.0.1", port))
    filled_s = round(time.monotonic() - began, 1)

    def greet() -> None:
        sys.stdout.write(json.dumps({"filled_s": filled_s}) + "\n")
        sys.stdout.flush()

    serve_one(simulator, listener, greet)


if __name__ == "__main__":
    main()
