"""Whether state survives `kill -9`: `python -m benchmarks.crash STATE --kills 200`.

Clients load a server of several workers, or several servers, while a worker, a parent or all of them are killed at random moments; then
what is there is compared with what was acknowledged. What the state held before is lost. Linux only.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.crashing.checks import check, settle
from benchmarks.crashing.ledger import Ledger
from benchmarks.crashing.load import BALANCE, LIMITED, Client, finish
from benchmarks.crashing.receiver import Receiver
from benchmarks.crashing.server import Server
from klingkit.mock_server.control.client import Control

MOST_SHOWN = 30
END_S = 60.0
SECRET = "whsec_" + "A" * 32
"""Of callbacks, so that each names its delivery."""
KINDS = ("worker",) * 12 + ("all",) * 4 + ("parent",) * 2 + ("restart",) * 2
IN_MEMORY = "memory"


def strike(server: Server, chance: random.Random, kinds: tuple[str, ...]) -> str:
    """Kill something of a server, so that it serves again in the end; return what."""
    kind = chance.choice(kinds)
    if kind == "worker":
        if workers := server.workers():
            server.kill(chance.choice(workers))
        return kind
    {"all": server.kill_all, "parent": server.kill_parent, "restart": server.stop}[kind]()
    server.start()
    return kind


@click.command()
@click.argument("state")
@click.option("--kills", default=200, help="How often something is killed.")
@click.option("--workers", default=2, help="Of each server.")
@click.option("--servers", "number", default=1, help="Servers on the state.")
@click.option("--clients", default=6, help="Threads that send requests.")
@click.option("--between", default=0.7, help="Seconds from kill to kill, on average.")
@click.option("--pause", default=0.04, help="Seconds from request to request of a client, on average.")
@click.option(
    "--seed", default=1, help="What is drawn follows from it; the moments of the kills are the machine's too."
)
@click.option("--log", "log_file", type=click.Path(path_type=Path), help="Where the servers' log is kept.")
def main(
    *,
    state: str,
    kills: int,
    workers: int,
    number: int,
    clients: int,
    between: float,
    pause: float,
    seed: int,
    log_file: Path | None,
) -> None:
    """Kill servers on a STATE (a URL as of `serve --state`, or `memory`), and exit 1 if a promise was broken."""
    console = Console(width=120)
    chance = random.Random(seed)
    ledger, receiver, stop = Ledger(), Receiver(f"{seed} receiver"), threading.Event()
    log_path = log_file or Path(tempfile.mkdtemp()) / "serve.log"
    options = ["--workers", str(workers), "--speed", "30", "--seed", str(seed)]
    env = {"KLINGKIT_CALLBACK_SECRET": SECRET, "KLINGKIT_CALLBACK_RETRIES": "patient"}
    if state != IN_MEMORY:
        env["KLINGKIT_STATE"] = state
    with log_path.open("wb") as log:
        servers = [Server(options, env, log) for _ in range(number)]
        threads = []
        struck: Counter[str] = Counter()
        kinds = tuple(kind for kind in KINDS if kind != "worker" or workers > 1)
        try:
            for server in servers:
                server.start()
            Control.over_http(servers[0].url).reset()
            for account in LIMITED:
                Control.over_http(servers[0].url, key=account).configure(balance=BALANCE)
            load = [Client(f"{each}", str(seed), servers, ledger, receiver.url, pause, stop) for each in range(clients)]
            threads = [threading.Thread(target=client.run, daemon=True) for client in load]
            for thread in threads:
                thread.start()
            for _ in track(range(kills), "killing", console=console, disable=not console.is_terminal):
                time.sleep(chance.uniform(0, 2 * between))
                struck[strike(chance.choice(servers), chance, kinds)] += 1
            time.sleep(between)
            stop.set()
            for thread in threads:
                thread.join()
            finish(load[0], servers[0].url, time.monotonic() + END_S)
            settle(servers[0].url, ledger)
            check(servers[-1].url, ledger, receiver.receipts)
        finally:
            stop.set()
            for server in servers:
                server.kill_all()
            receiver.stop()
    report(console, struck, ledger)
    if ledger.violations:
        console.print(f"the log of the servers: {log_path}", soft_wrap=True)
        raise SystemExit(1)


def report(console: Console, struck: Counter[str], ledger: Ledger) -> None:
    """Print what was killed, what was asked for, and what was broken."""
    table = Table("what", "how often")
    for kind, count in sorted(struck.items()):
        table.add_row(f"killed: {kind}" if kind != "restart" else "restarted in order", str(count))
    for name, count in sorted(ledger.counts.items()):
        table.add_row(name, str(count))
    table.add_row("tasks asked for", str(len(ledger.orders)))
    table.add_row("deliveries seen as made while it ran", str(len(ledger.finished)))
    table.add_row("broken promises", str(len(ledger.violations)))
    console.print(table)
    for violation in ledger.violations[:MOST_SHOWN]:
        console.print(f"broken: {violation}", soft_wrap=True, markup=False, highlight=False)


if __name__ == "__main__":
    main()
