"""Metrics of several workers: whichever answers shows the sum of all, also when one of them has died."""

from __future__ import annotations

import os
import signal
from itertools import islice
from typing import TYPE_CHECKING

import requests

from tests.conftest import PATH, Running, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINE = 'klingkit_requests_total{contract="cometapi",operation="get_task",status="400"} '


def ask(running: Running, times: int) -> None:
    """Ask for a task that there is not, each time on a connection of its own, so that any worker may answer."""
    for _ in range(times):
        assert requests.get(f"{running.url}{PATH}/1", headers={"Authorization": "Bearer k"}, timeout=20).status_code == 400


def workers(running: Running) -> Iterator[int]:
    """Yield the process id of whichever worker answers, again and again."""
    for _ in range(2000):
        yield requests.get(f"{running.url}/_mock/health", timeout=20).json()["worker"]
    raise AssertionError("no other worker has answered")


def shown(running: Running) -> set[float]:
    """What several scrapes show, of more than one worker most likely."""
    texts = [requests.get(f"{running.url}/_mock/metrics", timeout=20).text for _ in range(8)]
    return {float(line.removeprefix(LINE)) for text in texts for line in text.splitlines() if line.startswith(LINE)}


def test_whichever_worker_answers_shows_the_sum_also_after_a_death(tmp_path: Path) -> None:
    with serving("--workers", "2", "--state", f"sqlite:///{tmp_path}/kling.db") as running:
        both: set[int] = set()
        for worker in workers(running):
            both.add(worker)
            if len(both) == 2:
                break
        ask(running, 30)
        assert shown(running) == {30}

        os.kill(min(both), signal.SIGKILL)
        next(worker for worker in workers(running) if worker not in both)
        ask(running, 5)

        assert shown(running) == {35}
        assert len(set(islice(workers(running), 1))) == 1
