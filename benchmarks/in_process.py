"""Where the time of a request goes: what the socket, the loop and the parser take by themselves, and the application by itself."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import httptools
import uvloop

from benchmarks import spending
from benchmarks.measured import CREATE, PATH, hello_command, in_turns, klingkit_command, running
from klingkit.mock_server.app import create_app
from klingkit.mock_server.serving.in_process import call
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable

URL = f"http://localhost{PATH}"
HEADERS = {"Authorization": "Bearer any", "Content-Type": "application/json", "Accept": "*/*"}
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 217\r\n\r\n" + b"x" * 217


class Floor(asyncio.Protocol):
    """Parses each request and answers always the same: what is below every server in Python."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(ANSWER)


def floor_command(port: int) -> list[str]:
    """Return the command that runs `Floor`."""
    return [sys.executable, "-m", "benchmarks.in_process", str(port)]


def application(count: int, rounds: int) -> tuple[float, float, str]:
    """Return the us of CPU of a create and of a query in this process, and what a create is spent on."""
    logging.getLogger("klingkit").setLevel(logging.ERROR)
    app = create_app(Simulator(Settings())).wsgi_app
    task = call(app, "POST", URL, HEADERS, CREATE).body.partition(b'"task_id":"')[2].partition(b'"')[0].decode()

    count = min(count, 9000 // rounds)  # so that the task that is queried is not dropped

    def create() -> None:
        call(app, "POST", URL, HEADERS, CREATE)

    def query() -> None:
        call(app, "GET", f"{URL}/{task}", HEADERS)

    def timed(ask: Any) -> float:
        began = time.process_time()
        for _ in range(count):
            ask()
        return (time.process_time() - began) / count * 1e6

    creates, queries = in_turns([partial(timed, create), partial(timed, query)], rounds)
    return creates, queries, spending.of_create(create, 2000) + spending.of_steps(create, 2000)


def where_it_goes(count: int, rounds: int) -> str:
    """Measure the parts, and return them as a table."""
    with (
        running("floor", floor_command) as (floor, _),
        running("hello", hello_command) as (hello, _),
        running("klingkit", klingkit_command) as (ours, _),
    ):
        create, bare = ours.request("POST", PATH, CREATE), hello.request("GET", "/")

        def query(at_once: int) -> float:
            return ours.cost(ours.query_of_new_task(), count, at_once)  # an old one is dropped when there are many

        measures: list[Callable[[], float]] = []
        for at_once in (1, 16):
            constant = ((floor, bare), (hello, bare), (ours, create))
            measures += [partial(server.cost, request, count, at_once) for server, request in constant]
            measures.append(partial(query, at_once))
        for measure in measures:
            measure()
        numbers = in_turns(measures, rounds)
    creates, queries, spent = application(count, rounds)
    return f"""## Where the time goes

us of CPU a request:

| | 1 connection | 16 connections |
|---|---:|---:|
| uvloop and httptools with one fixed answer, the least of any server in Python | {numbers[0]:.0f} | {numbers[4]:.0f} |
| the bare Flask hello | {numbers[1]:.0f} | {numbers[5]:.0f} |
| a create | {numbers[2]:.0f} | {numbers[6]:.0f} |
| a query | {numbers[3]:.0f} | {numbers[7]:.0f} |

The application alone, called in one process again and again without a log, takes {creates:.0f} us for a create and {queries:.0f} us for a
query. Over a socket a create takes {numbers[2] - creates:.0f} us more at one connection and {numbers[6] - creates:.0f} at 16, of which
the first line of the table is {numbers[0]:.0f} and {numbers[4]:.0f}; what remains is our part of the connection, the log line, and caches
of the core that others use between two requests.

{spent}"""


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
