"""`/_mock/metrics`: what it counts, in which format, and who gets it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.counts import MOST, Counts, shared_memory
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, Api, Clock, body
from tests.mock_server.test_callbacks import HOOK, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from openapi_core import OpenAPI
    from werkzeug.test import TestResponse

Numbers = dict[tuple[str, tuple[str, ...]], float]


def scrape(api: Api, key: str | None = None, **headers: str) -> TestResponse:
    sent = {"Host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return api.send("GET", "/_mock/metrics", key=key, headers=sent)


def numbers(api: Api, read: Any = read_text, **headers: str) -> Numbers:
    """Return each sample by its name and the values of its labels, in the order of their names."""
    answer = scrape(api, **headers)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in read(answer.text)
        for sample in family.samples
    }


def test_it_counts_what_happened(make_api: Callable[..., Api], clock: Clock) -> None:
    api = make_api(send=Receiver(500), max_journal=3)
    for n in (1, 1, 0, 10):
        api.create(body(n=n, callback_url=HOOK))
    api.query("1")
    Control.of(api.simulator).advance_to("idle")
    Control.of(api.simulator, key="other").freeze()
    found = numbers(api)

    assert found["klingkit_requests_total", ("cometapi", "create_task", "200")] == 2
    assert found["klingkit_requests_total", ("cometapi", "create_task", "400")] == 2
    assert found["klingkit_requests_total", ("cometapi", "get_task", "400")] == 1
    assert found["klingkit_refusals_total", ("1201", "n.minimum")] == 1
    assert found["klingkit_refusals_total", ("1201", "n.maximum")] == 1
    assert found["klingkit_tasks_created_total", ("cometapi",)] == found["klingkit_tasks", ("succeed",)] == 2
    assert found["klingkit_request_duration_seconds_count", ("create_task",)] == 4
    assert found["klingkit_request_duration_seconds_bucket", ("+Inf", "get_task")] == 1
    assert found["klingkit_callback_attempts_total", ("again",)] == 1
    assert found["klingkit_callback_attempts_total", ("delivered",)] == found["klingkit_callbacks", ("delivered",)] == 6
    assert found["klingkit_journal_dropped", ()] == 2
    assert found["klingkit_clock_frozen", ()] == found["klingkit_account_clocks", ()] == 1
    assert found["process_resident_memory_bytes", ("0",)] > 1e6


def test_a_client_that_accepts_openmetrics_gets_it(api: Api) -> None:
    api.create()
    found = numbers(api, read_openmetrics, Accept="application/openmetrics-text; version=1.0.0, text/plain; q=0.5")

    assert found["klingkit_requests_total", ("cometapi", "create_task", "200")] == 1


def test_nothing_from_outside_makes_a_label(make_api: Callable[..., Api]) -> None:
    """Else everybody could fill the memory of whoever scrapes."""
    api = make_api(contract="all")
    api.create(key="sk-one")
    before = numbers(api)
    for number in range(20):
        api.send_unchecked("POST", PATH, key=f"sk-{number}", json=body(prompt=f"outside{number}"))
        api.send_unchecked("GET", f"/outside{number}")
        api.send_unchecked("POST", PATH, json=body(**{f"outside{number}": 1}), headers={"Prefer": f"scenario=outside{number}"})  # fmt: skip

    after = numbers(api)
    assert "outside" not in scrape(api).text
    assert {labels for _, labels in after.keys() - before.keys() if "bucket" not in _} <= {
        ("cometapi", "none", "404"),
        ("cometapi", "create_task", "400"),
        ("wrong_path", "path.known"),
        ("invalid_request", ""),
        ("none",),
    }


def test_who_may_not_steer_may_not_watch(make_api: Callable[..., Api]) -> None:
    """A scraper can send the token as a bearer, and has to call by a name that is allowed."""
    api = make_api(control_token="s3cret", allow_host=frozenset({"kling"}))

    assert scrape(api).status_code == scrape(api, "sk-of-an-account").status_code == 403
    assert (
        scrape(api, "s3cret").status_code == scrape(api, Klingkit_Token="s3cret", Host="kling:8000").status_code == 200
    )
    assert scrape(api, "s3cret", Host="other").status_code == 403
    assert scrape(make_api(control=False)).status_code == 404
    assert "/_mock/metrics" in api.send("GET", "/_mock/", key=None).text


def test_a_scraper_that_is_told_what_the_docs_say_gets_what_it_says(make_api: Callable[..., Api]) -> None:
    text = (Path(__file__).parents[3] / "docs" / "watching.md").read_text()
    (block,) = re.findall(r"```yaml\n(scrape_configs:.*?)```", text, re.DOTALL)
    (job,) = yaml.safe_load(block)["scrape_configs"]
    api = make_api(control_token=job["authorization"]["credentials"], allow_host=frozenset({"kling"}))
    api.create(body(n=0))
    headers = {"Host": job["static_configs"][0]["targets"][0]}
    answer = api.send("GET", job["metrics_path"], key=job["authorization"]["credentials"], headers=headers)

    assert answer.status_code == 200
    for name in re.findall(r"`(klingkit_\w+)`", text):
        assert f"# HELP {name} " in answer.text, name


def counted(counts: Counts) -> list[dict[tuple[str, ...], float]]:
    return [numbers for _, numbers in counts.of_processes()]


def test_numbers_outlive_their_process() -> None:
    """Whoever takes its place goes on with them; only connections, of which a dead one has none, begin anew."""
    memories = [shared_memory(), shared_memory()]
    ours, other = (Counts(memory, memories) for memory in memories)
    ours.add(("requests", "a"), 2)
    other.add(("requests", "b"), 7)
    other.add(("connections",), 5)
    assert counted(ours) == counted(other) == [{("requests", "a"): 2}, {("requests", "b"): 7, ("connections",): 5}]

    replacement = Counts(memories[1], memories)
    replacement.add(("requests", "b"))
    replacement.add(("requests", "c"))
    assert counted(ours)[1] == {("requests", "b"): 8, ("connections",): 0, ("requests", "c"): 1}


def test_the_sum_of_all_processes_is_shown(referee: OpenAPI) -> None:
    memories = [shared_memory(), shared_memory()]
    counts = [Counts(memory, memories) for memory in memories]
    apis = [Api(Simulator(Settings(), clock=ClockState(START), counts=each), referee) for each in counts]
    apis[0].create()
    for api in apis:
        api.create()

    shown = [numbers(api) for api in apis]
    assert [found["klingkit_requests_total", ("cometapi", "create_task", "200")] for found in shown] == [3, 3]
    assert ("process_open_fds", ("1",)) in shown[0]


def test_there_is_an_end_to_the_room_for_numbers() -> None:
    counts = Counts()
    for number in range(2 * MOST):
        counts.add(("requests", str(number) * 10))

    assert len(counted(counts)[0]) < MOST
    assert set(counted(counts)[0].values()) == {1}


def test_its_library_is_not_there_before_somebody_asks() -> None:
    code = (
        "import json, sys; from klingkit.mock_server.app import create_app\n"
        "from klingkit.mock_server.simulator import Simulator; client = create_app(Simulator()).test_client()\n"
        "client.post('/kling/v1/images/generations'); before = 'prometheus_client' in sys.modules\n"
        "client.get('/_mock/metrics'); print(json.dumps([before, 'prometheus_client' in sys.modules]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert json.loads(result.stdout) == [False, True]
