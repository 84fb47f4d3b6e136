"""Many requests of every kind, with large bodies among them, as somebody sends who wants to fill the memory of a server."""

from __future__ import annotations

import http.client
import json
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .filled import BODY
from .operations import API, UNKNOWN

CONNECTIONS = 8
ACCOUNTS = 5000
LARGE = 1_000_000
"""Characters of a large text."""
EVERY = 400
"""So many small requests come for one with a large text."""


def send_mixed(port: int, requests: int) -> None:
    """Send so many requests, with several connections at a time."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda seed: _send(port, seed, requests // CONNECTIONS), range(CONNECTIONS)))


def _send(port: int, seed: int, requests: int) -> None:
    chance = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    ids = [UNKNOWN]
    for number in range(requests):
        key = f"mixed-{chance.randrange(ACCOUNTS)}"
        method, path, body = _request(chance, number, ids)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse().read()
        if method == "POST" and path == API and b'"task_id"' in answer:
            ids = [*ids[-50:], json.loads(answer)["data"]["task_id"]]


def _request(chance: random.Random, number: int, ids: list[str]) -> tuple[str, str, Any]:
    if number % EVERY == 0:
        text = chance.choice("xé€\U0001f600") * (LARGE // 4) + str(chance.random())
        field = chance.choice(["external_task_id", "prompt", "callback_url", "unknown"])
        return "POST", API, {**BODY, field: text}
    kind = chance.random()
    if kind < 0.45:
        return "POST", API, {**BODY, "external_task_id": str(chance.random())}
    if kind < 0.95:
        return "GET", f"{API}/{chance.choice(ids)}", None
    if kind < 0.98:
        return "PATCH", "/_mock/account", {"concurrency": None, "scenario": "slow"}
    return "GET", "/_mock/tasks?limit=20", None
