"""What a test sees and steers of a simulator: the handle of kling_mock, kling_server and klingkit.mock()."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import threading
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
from flask import Flask, request

import klingkit
from klingkit.client import KlingClient, TaskFailedError, WaitTimeoutError, parse_callback
from tests.conftest import PATH, URL, body

if TYPE_CHECKING:
    from collections.abc import Iterable

    from klingkit.kling import Kling

SECRET = "whsec_a2xpbmdraXQ="
HOOK = "https://my.example/hook?job=7"


@pytest.fixture(params=["kling_mock", "kling_server"])
def kling(request: pytest.FixtureRequest) -> Kling:
    found: Kling = request.getfixturevalue(request.param)
    return found


def create(kling: Kling, **fields: Any) -> Any:
    headers = {"Authorization": f"Bearer {kling.key}"}
    answer = requests.post(kling.url + PATH, json=body(**fields), headers=headers, timeout=5).json()
    return answer["data"]["task_id"] if answer["code"] == 0 else answer["code"]


def receiver(status: int = 204) -> tuple[Flask, list[dict[str, Any]]]:
    """A Flask application with a callback route, and what it got."""
    app = Flask(__name__)
    got: list[dict[str, Any]] = []

    @app.post("/hook")
    def hook() -> tuple[str, int]:
        got.append({**request.get_json(), "job": request.args["job"]})
        return "", status

    return app, got


# Both doors


def test_what_happened_can_be_seen(kling: Kling) -> None:
    kling.scenario("error-1303", times=2)
    assert [create(kling, n=2) for _ in range(2)] == [1303, 1303]
    task_id = create(kling, n=2, prompt="two friends")

    assert kling.creates == 3
    assert kling.spent == Decimal("0.0266")
    assert kling.balance is None
    assert [each["status"] for each in kling.journal] == [429, 429, 200]
    assert [task.task_id for task in kling.tasks] == [task_id]
    assert kling.task(task_id).status == "submitted"
    assert [each["status"] for each in kling.task(task_id).timeline["planned"]] == [
        "submitted",
        "processing",
        "succeed",
    ]
    kling.assert_created(prompt="two friends", n=2)
    kling.assert_created(times=3, n=2)


def test_the_clock_moves_tasks(kling: Kling) -> None:
    task_id = create(kling)
    before = kling.clock.now

    events = kling.clock.advance("2m")

    assert kling.clock.now - before == timedelta(minutes=2)
    assert [each["status"] for each in events] == ["processing", "succeed"]
    assert kling.task(task_id).status == "succeed"
    assert kling.clock.advance_to("idle") == []


def test_callbacks_come_into_a_flask_application_in_order(kling: Kling) -> None:
    app, got = receiver()
    kling.deliver_callbacks_to(app)
    task_id = create(kling, callback_url=HOOK)

    callback = kling.wait_for_callback("succeed", task_id=task_id)

    assert [each["task_status"] for each in got] == ["submitted", "processing", "succeed"]
    assert {each["job"] for each in got} == {"7"}
    assert (callback.http_status, callback.url, callback.body["task_id"]) == (204, HOOK, task_id)
    assert [each.status for each in kling.callbacks] == ["submitted", "processing", "succeed"]


def test_a_wait_ends_where_the_callback_came(kling: Kling) -> None:
    app, _ = receiver()
    kling.deliver_callbacks_to(app)
    task_id = create(kling, callback_url=HOOK)

    kling.wait_for_callback("processing")

    assert kling.task(task_id).status == "processing"


def test_callbacks_are_signed_if_asked(kling: Kling) -> None:
    app = Flask(__name__)
    seen = []

    @app.post("/hook")
    def hook() -> str:
        seen.append(parse_callback(request.get_data(), dict(request.headers), SECRET))
        return ""

    kling.deliver_callbacks_to(app, secret=SECRET)
    create(kling, callback_url=HOOK)
    kling.wait_for_callback()

    assert seen[0].status == "submitted"


def test_a_receiver_that_refuses_is_called_again(kling: Kling) -> None:
    app, got = receiver(status=503)
    kling.deliver_callbacks_to(app)
    task_id = create(kling, callback_url=HOOK)

    with pytest.raises(AssertionError, match=f"(?s)answered 2xx; received:.*submitted of task {task_id}: answered 503"):
        kling.wait_for_callback(timeout=0)
    kling.clock.advance_to("idle")

    assert len(got) > 3
    assert {each.http_status for each in kling.callbacks} == {503}
    assert {each["http_status"] for each in kling.task(task_id).timeline["callbacks"][0]["attempts"]} == {503}


def test_a_callback_is_waited_for_until_the_receiver_takes_it(kling: Kling) -> None:
    answers = iter([503, 404])
    got = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        got.append(json.loads(environ["wsgi.input"].read())["task_status"])
        start_response(f"{next(answers, 204)} -", [])
        return []

    kling.deliver_callbacks_to(app)
    create(kling, callback_url=HOOK)

    assert kling.wait_for_callback("submitted").http_status == 204
    assert got[:3] == ["submitted"] * 3


class Starlet:
    """A bare ASGI application that keeps what is posted to it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.got: list[Any] = []
        self.error = error

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        self.got.append((scope["path"], json.loads((await receive())["body"])["task_status"]))
        if self.error:
            raise self.error
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def test_callbacks_come_into_an_asgi_application(kling: Kling) -> None:
    app = Starlet()
    kling.deliver_callbacks_to(app)
    create(kling, callback_url=HOOK)

    assert kling.wait_for_callback("succeed").http_status == 204
    assert app.got == [("/hook", "submitted"), ("/hook", "processing"), ("/hook", "succeed")]


def test_a_receiver_may_ask_the_service(kling: Kling) -> None:
    statuses = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        task_id = json.loads(environ["wsgi.input"].read())["task_id"]
        headers = {"Authorization": f"Bearer {kling.key}"}
        answer = requests.get(f"{kling.url}{PATH}/{task_id}", headers=headers, timeout=5)
        statuses.append(answer.json()["data"]["task_status"])
        start_response("200 OK", [])
        return []

    kling.deliver_callbacks_to(app)
    create(kling, callback_url=HOOK)
    kling.wait_for_callback("succeed")

    assert statuses[-1] == "succeed"


def test_our_client_waits_without_waiting(kling_client: KlingClient, kling_mock: Kling) -> None:
    before = kling_mock.clock.now
    task = kling_client.wait(kling_client.create([URL, URL]))

    assert task.succeeded
    assert kling_mock.clock.now > before


def test_our_client_gives_up_on_the_virtual_clock(kling_client: KlingClient, kling_mock: Kling) -> None:
    kling_mock.scenario("stuck-processing")
    task = kling_client.create([URL, URL])

    with pytest.raises(WaitTimeoutError):
        kling_client.wait(task, timeout=600)


def test_our_client_on_a_server_uses_a_socket(kling_server: Kling, kling_client: KlingClient) -> None:
    kling_server.scenario("fail-moderation")

    assert kling_client.base_url == kling_server.url
    with pytest.raises(TaskFailedError):
        kling_client.wait(kling_client.create([URL, URL]))


CHILD = """
import json, os, urllib.request
body = {"subject_image_list": [{"subject_image": "https://example.com/a.png"}] * 2}
headers = {"Authorization": "Bearer " + os.environ["COMETAPI_KEY"], "Content-Type": "application/json"}
url = os.environ["COMETAPI_BASE_URL"] + "/kling/v1/images/generations"
print(urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)).read().decode())
"""


def test_a_subprocess_finds_the_server(kling_server: Kling) -> None:
    child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, timeout=60)

    assert json.loads(child.stdout)["data"]["task_id"] == kling_server.tasks[0].task_id


def test_a_wait_lets_a_thread_submit_first(kling: Kling) -> None:
    app, _ = receiver()
    kling.deliver_callbacks_to(app)
    waiting = threading.Event()

    def submit() -> None:
        waiting.wait()
        create(kling, callback_url=HOOK)

    thread = threading.Thread(target=submit)
    thread.start()
    waiting.set()

    assert kling.wait_for_callback("succeed", timeout=30).status == "succeed"
    thread.join()


def test_callbacks_of_the_server_go_to_a_port(kling_server: Kling, httpserver: Any) -> None:
    httpserver.expect_request("/hook", method="POST").respond_with_data(status=204)
    create(kling_server, callback_url=httpserver.url_for("/hook"))

    kling_server.wait_for_callback("succeed", timeout=30)

    assert [json.loads(each.get_data())["task_status"] for each, _ in httpserver.log] == [
        "submitted",
        "processing",
        "succeed",
    ]


# What only one of them has


def test_without_an_application_the_handle_takes_the_callbacks(kling_mock: Kling) -> None:
    create(kling_mock, callback_url="https://nobody.example/")

    assert [each.status for each in kling_mock.callbacks] == ["submitted"]
    kling_mock.clock.advance("2m")
    assert [each.status for each in kling_mock.callbacks] == ["submitted", "processing", "succeed"]


def test_a_callback_url_that_is_none_is_not_called(kling_mock: Kling) -> None:
    task_id = create(kling_mock, callback_url="ftp://nobody.example/")

    assert kling_mock.callbacks == []
    assert kling_mock.task(task_id).timeline["callbacks"][0]["outcome"] == "refused"


def test_each_test_of_the_server_has_an_account_of_its_own(kling_server: Kling) -> None:
    create(kling_server)
    headers = {"Authorization": "Bearer somebody-else"}
    requests.post(kling_server.url + PATH, json=body(), headers=headers, timeout=5)

    assert kling_server.creates == 1
    assert len(kling_server.tasks) == len(kling_server.journal) == 1


# Sleep: `skip_sleep` is what is tested, so each of these sleeps returns at once


def test_skipped_sleep_moves_the_clock(kling_mock: Kling) -> None:
    kling_mock.skip_sleep()
    before = kling_mock.clock.now

    time.sleep(90)
    assert asyncio.run(asyncio.sleep(600, "result")) == "result"

    assert kling_mock.clock.now - before == timedelta(seconds=690)
    with pytest.raises(ValueError, match="non-negative"):
        time.sleep(-1)


def test_skipped_sleep_brings_callbacks(kling_mock: Kling) -> None:
    app, got = receiver()
    kling_mock.deliver_callbacks_to(app)
    kling_mock.skip_sleep()
    create(kling_mock, callback_url=HOOK)

    while not got or got[-1]["task_status"] != "succeed":
        time.sleep(1)

    assert len(got) == 3


@pytest.mark.parametrize("asgi", [False, True])
def test_a_receiver_that_sleeps_takes_no_time(kling_mock: Kling, *, asgi: bool) -> None:
    def wsgi(_: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        time.sleep(1000)
        start_response("200 OK", [])
        return []

    class Slow(Starlet):
        async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
            await asyncio.sleep(1000)
            await super().__call__(scope, receive, send)

    kling_mock.deliver_callbacks_to(Slow() if asgi else wsgi)
    kling_mock.skip_sleep()
    before = kling_mock.clock.now
    create(kling_mock, callback_url=HOOK)

    assert len(kling_mock.callbacks) == 1
    assert kling_mock.clock.now == before


def test_our_client_in_the_code_under_test_sleeps_so_too(kling_mock: Kling) -> None:
    client = KlingClient()  # made before, as in a module
    kling_mock.skip_sleep()
    kling_mock.scenario("error-1303")

    with client:
        assert client.wait(client.create([URL, URL])).succeeded


def test_a_loop_that_waits_for_ever_is_ended() -> None:
    def use() -> None:
        with klingkit.mock(scenario="stuck-processing") as kling:
            kling.skip_sleep(limit="10m")
            create(kling)
            while True:
                time.sleep(60)

    with pytest.raises(AssertionError, match=r"has slept longer than 10m: .* skip_sleep\(limit=\"2h\"\) lets it"):
        use()


def test_a_loop_that_swallows_the_end_of_it_fails_all_the_same() -> None:
    def use() -> None:
        with klingkit.mock() as kling:
            kling.skip_sleep(limit="1m")
            with pytest.raises(AssertionError):
                time.sleep(61)

    with pytest.raises(AssertionError, match="has slept longer than 1m"):
        use()


# Assertions that fail say what came


def test_a_create_that_did_not_come_is_shown_with_those_that_did(kling: Kling) -> None:
    kling.scenario("error-1303")
    create(kling, prompt="two friends")

    with pytest.raises(AssertionError) as failed:
        kling.assert_created(prompt="two foes")
    with pytest.raises(AssertionError, match=r"^1 creates, not 2, came; received:"):
        kling.assert_created(times=2)

    first, *lines = str(failed.value).splitlines()
    assert first == 'no create with {"prompt": "two foes"} came; received:'
    assert re.fullmatch(r'  \d+\. POST /kling/v1/images/generations 429 scenario error-1303.*"two friends"}', lines[0])


def test_nothing_is_named_nothing(kling_mock: Kling) -> None:
    with pytest.raises(AssertionError, match="no create came; received:\n  nothing"):
        kling_mock.assert_created()


def test_a_callback_that_did_not_come_is_shown_with_those_that_did(kling: Kling) -> None:
    app, _ = receiver()
    kling.deliver_callbacks_to(app)
    kling.scenario("stuck-processing")
    task_id = create(kling, callback_url=HOOK)

    with pytest.raises(AssertionError) as failed:
        kling.wait_for_callback("succeed", timeout=0)

    assert str(failed.value).splitlines() == [
        "no callback succeed came and was answered 2xx; received:",
        f"  submitted of task {task_id}: answered 204",
        f"  processing of task {task_id}: answered 204",
    ]


def test_a_task_without_callback_url_gets_none(kling_mock: Kling) -> None:
    create(kling_mock)

    with pytest.raises(AssertionError, match="no task has a callback_url"):
        kling_mock.wait_for_callback(timeout=0)


def test_a_mistake_is_named_with_what_to_do(kling_mock: Kling) -> None:
    kling_mock.assert_no_advice()
    create(kling_mock, scene_image=URL)

    with pytest.raises(AssertionError) as failed:
        kling_mock.assert_no_advice()

    assert "unknown-field (request 1): unknown field 'scene_image' is ignored" in str(failed.value)
    assert [each["kind"] for each in kling_mock.advice] == ["unknown-field"]


# Errors


def test_an_exception_of_a_flask_receiver_comes_out() -> None:
    app = Flask(__name__)

    @app.post("/hook")
    def hook() -> str:
        raise LookupError("a bug of mine")

    def use() -> None:
        with klingkit.mock() as kling:
            kling.deliver_callbacks_to(app)
            create(kling, callback_url=HOOK)
            assert kling.callbacks[0].http_status == 500

    with pytest.raises(LookupError, match="a bug of mine") as raised:
        use()
    assert raised.traceback[-1].name == "hook"


def broken_wsgi(*_: Any) -> Iterable[bytes]:
    raise KeyError("a bug of mine")


@pytest.mark.parametrize("app", [Starlet(LookupError("a bug of mine")), broken_wsgi])
def test_an_exception_of_any_receiver_comes_out(app: Any) -> None:
    def use() -> None:
        with klingkit.mock() as kling:
            kling.deliver_callbacks_to(app)
            create(kling, callback_url=HOOK)
            assert kling.callbacks[0].http_status == 500

    with pytest.raises(LookupError, match="a bug of mine"):
        use()


def test_the_shortest_of_sleeps_take_time_too() -> None:
    """Else a loop of them would never come to its end, nor to the limit."""

    def loop() -> None:
        with klingkit.mock() as kling:
            kling.skip_sleep(limit="1s")
            for _ in range(2000):
                time.sleep(0.0004)

    with pytest.raises(AssertionError, match="slept longer than 1s"):
        loop()


def test_several_exceptions_come_out_together_each_once() -> None:
    def use(app: Any) -> None:
        with klingkit.mock() as kling:
            kling.deliver_callbacks_to(app)
            create(kling, callback_url=HOOK)
            kling.clock.advance("1h")

    def changing(environ: dict[str, Any], _: Any) -> list[bytes]:
        raise KeyError(json.loads(environ["wsgi.input"].read())["task_status"])

    with pytest.raises(KeyError) as one:
        use(broken_wsgi)
    assert [note.endswith(" more of the same)") for note in one.value.__notes__] == [True]
    with pytest.raises(BaseExceptionGroup) as raised:
        use(changing)
    assert {str(each) for each in raised.value.exceptions} == {"'submitted'", "'processing'", "'succeed'"}
    assert len(raised.value.exceptions) == 3


def test_a_long_journal_is_shown_by_its_end(kling: Kling) -> None:
    for number in range(40):
        create(kling, prompt=f"number {number}")

    lines = kling.report().splitlines()

    assert lines[1] == "  ... 10 before these"
    assert len(lines) == 32
    assert '"prompt": "number 39"' in lines[-1]


def test_what_comes_with_another_key_is_pointed_at(kling_server: Kling) -> None:
    requests.post(kling_server.url + PATH, json=body(), headers={"Authorization": "Bearer own"}, timeout=5)

    hint = "requests with another key than COMETAPI_KEY, which are of another account: 1"
    assert hint in kling_server.report()
    with pytest.raises(AssertionError, match=hint):
        kling_server.assert_created()
    create(kling_server)
    kling_server.assert_created()


@pytest.mark.parametrize("which", ["kling_mock", "kling_server"])
def test_an_exception_in_the_simulator_comes_out(
    which: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    kling: Kling = request.getfixturevalue(which)
    monkeypatch.delattr(kling.simulator.ids, "_shift")

    assert create(kling) == 5000
    with pytest.raises(AttributeError, match="_shift"):
        kling.raise_errors()
    kling.raise_errors()


# Bad input


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda kling: kling.scenario("eror-1303"), "unknown scenario 'eror-1303'; did you mean error-1303?"),
        (lambda kling: kling.scenario("reset", operation="delete"), "unknown operation 'delete'"),
        (lambda kling: kling.scenario("reset", times=0), "times: 0 is less than the minimum of 1"),
        (lambda kling: kling.clock.advance("soon"), "'soon' is not a duration"),
        (lambda kling: [kling.clock.advance("30000d") for _ in range(3)], "the clock goes as far as 2200"),
        (lambda kling: kling.clock.advance_to(0), "the clock does not go back"),
        (lambda kling: kling.task("1"), "there is no task '1'"),
        (lambda kling: kling.wait_for_callback("done"), "unknown status 'done'; the valid ones: submitted"),
        (lambda kling: kling.deliver_callbacks_to(receiver()[0], secret="?"), "a callback secret is Base64"),
        (lambda kling: kling.skip_sleep("long"), "'long' is not a duration"),
    ],
)
def test_a_wrong_call_is_refused_where_it_stands(kling_mock: Kling, wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        wrong(kling_mock)
    assert list(raised.traceback.filter(raised))[-1].path == Path(__file__)


@pytest.mark.parametrize("app", [None, "my_app:app"])
def test_what_is_no_application_is_refused(kling_mock: Kling, app: Any) -> None:
    with pytest.raises(TypeError, match=r"callbacks are delivered to a WSGI or ASGI application, and .* is none"):
        kling_mock.deliver_callbacks_to(app)


def test_an_asgi_application_needs_httpx(kling_mock: Kling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)

    with pytest.raises(ModuleNotFoundError, match="by httpx: install it"):
        kling_mock.deliver_callbacks_to(Starlet())


def test_a_receiver_that_moves_the_clock_is_told(kling_mock: Kling) -> None:
    def app(*_: Any) -> Any:
        kling_mock.clock.advance("1s")

    kling_mock.deliver_callbacks_to(app)
    create(kling_mock, callback_url=HOOK)

    assert len(kling_mock.callbacks) == 1
    with pytest.raises(RuntimeError, match="the clock cannot be moved by the receiver of a callback"):
        kling_mock.raise_errors()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scenario": "nope"}, "unknown scenario 'nope'"),
        ({"progression": "magic"}, "unknown progression 'magic'"),
        ({"balance": "much"}, "balance: "),
        ({"seed": "x"}, "seed: 'x' is not a whole number"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message), klingkit.mock(**options):
        pass
    assert requests.Session.get_adapter.__module__ == "requests.sessions"


def test_options_hold() -> None:
    def run(seed: int) -> str:
        with klingkit.mock(scenario="fail-moderation", progression="time", balance="0.02", seed=seed) as kling:
            assert kling.balance == Decimal("0.02")
            task_id = create(kling)
            assert create(kling) == 1102
            assert kling.balance == Decimal("0.0067")
            kling.clock.advance("2m")
            assert kling.task(task_id).status == "failed"
            assert kling.balance == Decimal("0.02")
            return str(task_id)

    assert run(1) == run(1) != run(2)


def test_httpx_is_not_needed() -> None:
    code = (
        "import sys; sys.modules['httpx'] = None; import klingkit\nwith klingkit.mock() as kling: print(kling.creates)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "0"


def test_no_key_shows(kling_server: Kling) -> None:
    create(kling_server)
    assert kling_server.key not in repr(kling_server) + kling_server.report() + repr(kling_server.journal)


def test_async_code_can_wait_for_callbacks(kling_mock: Kling) -> None:
    app = Starlet()

    async def test() -> None:
        kling_mock.deliver_callbacks_to(app)
        headers = {"Authorization": f"Bearer {kling_mock.key}"}
        async with httpx.AsyncClient() as client:
            await client.post(kling_mock.url + PATH, json=body(callback_url=HOOK), headers=headers)
        kling_mock.wait_for_callback("succeed")

    asyncio.run(test())
    assert len(app.got) == 3
