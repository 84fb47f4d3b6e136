"""How much 200 faults at once slow other requests: median of their times, beside a quiet server in the same run."""

from __future__ import annotations

import http.client
import json
import re
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import click
from rich.console import Console
from rich.table import Table

PATH = "/kling/v1/images/generations"
BODY = json.dumps({"subject_image_list": [{"subject_image": "https://example.com/a.png"}] * 2})
FAULTS = ("reset", "reset-within", "cut", "drip:3s", "delay:3s")


def suffer(port: int, scenario: str) -> None:
    """Send a create and read until its fault is over."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(
            f'POST {PATH} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer f\r\nPrefer: scenario="{scenario}"\r\n'
            f"Connection: close\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
        )
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            pass


def others(port: int, count: int) -> float:
    """Return the median time in ms of a create."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    times = []
    for _ in range(count):
        started = time.perf_counter()
        connection.request("POST", PATH, BODY, {"Authorization": "Bearer o", "Content-Type": "application/json"})
        connection.getresponse().read()
        times.append((time.perf_counter() - started) * 1000)
        time.sleep(0.005)
    return statistics.median(times)


@click.command()
@click.option("--count", default=100, help="Other requests beside each fault.")
@click.option("--at-once", default=200, help="Faults at once.")
def main(count: int, at_once: int) -> None:
    """Print the table."""
    command = [sys.executable, "-m", "klingkit", "serve", "--port", "0", "--instant"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        match = re.search(r":(\d+) ", server.stdout.readline())
        assert match
        port = int(match[1])
        table = Table("beside", "quiet", f"{at_once} at once", "ratio")
        others(port, count)
        for scenario in FAULTS:
            quiet = others(port, count)
            with ThreadPoolExecutor(at_once) as pool:
                waiting = [pool.submit(suffer, port, scenario) for _ in range(at_once)]
                busy = others(port, count)
                for victim in waiting:
                    victim.result()
            table.add_row(scenario, f"{quiet:.2f} ms", f"{busy:.2f} ms", f"{busy / quiet:.2f}")
        server.terminate()
    Console().print(table)


if __name__ == "__main__":
    main()
