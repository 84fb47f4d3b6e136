"""Callbacks: body, order, retries, and where they may go."""

from __future__ import annotations

import itertools
import json
import re
import socket
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from standardwebhooks import Webhook
from werkzeug import Response

from klingkit.client import CallbackSignatureError, parse_callback
from klingkit.mock_server.account_settings import AccountSettings
from klingkit.mock_server.auth import account_name
from klingkit.mock_server.callbacks import sign
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.outbound import NotAllowedError, Outbound, OutboundError
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import Api, Clock, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_httpserver import HTTPServer

    from klingkit.contract import Contract

HOOK = "http://127.0.0.1:9/hook"


class Receiver:
    """Notes every callback and answers as it is told; a problem is raised instead."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.received: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.raw: list[bytes] = []

    def __call__(self, url: str, body: bytes, headers: dict[str, str], *, timeout_ms: int) -> int:
        self.received.append(json.loads(body))
        self.raw.append(body)
        self.headers.append(headers)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def statuses(self) -> list[str]:
        return [body["task_status"] for body in self.received]


def run(api: Api, clock: Clock, seconds: int) -> None:
    """Let time pass in steps of 100 ms, delivering what is due."""
    for _ in range(seconds * 10):
        api.simulator.callbacks.deliver_due()
        clock.move_to(clock.now() + 100)


def test_each_status_change_posts_the_bare_task(make_api: Callable[..., Api], clock: Clock, contract: Contract) -> None:
    receiver = Receiver()
    api = make_api(send=receiver)
    created = data_of(api.create(body(callback_url=HOOK, external_task_id="e", n=2)))
    run(api, clock, 5)

    assert receiver.statuses == ["submitted", "processing", "succeed"]
    keys = ["task_id", "task_status", "task_status_msg", "created_at", "updated_at", "task_info", "task_result"]
    schema = {"$ref": "#/components/schemas/CallbackTask", "components": contract.document["components"]}
    for sent in receiver.received:
        assert list(sent) == keys
        assert sent["task_id"] == created["task_id"]
        assert sent["task_info"] == {"external_task_id": "e"}
        Draft202012Validator(schema).validate(sent)
    assert receiver.received[0]["updated_at"] == created["created_at"]
    final = data_of(api.query(created["task_id"]))
    assert receiver.received[2]["task_result"] == final["task_result"]
    assert receiver.received[2]["updated_at"] == final["updated_at"]
    assert [headers["Content-Type"] for headers in receiver.headers] == ["application/json; charset=utf-8"] * 3


def test_a_task_that_fails_calls_back_for_processing_too(make_api: Callable[..., Api], clock: Clock) -> None:
    receiver = Receiver()
    api = make_api(send=receiver)
    api.create(body(callback_url=HOOK, style_image="QUJD"))
    run(api, clock, 5)

    assert receiver.statuses == ["submitted", "processing", "failed"]
    assert [sent["task_status_msg"] for sent in receiver.received] == ["", "", "Image pixel is invalid"]


def test_instant_tasks_send_all_callbacks(make_api: Callable[..., Api]) -> None:
    receiver = Receiver()
    api = make_api(send=receiver, instant=True)
    api.create(body(callback_url=HOOK))
    api.simulator.callbacks.deliver_due()

    assert receiver.statuses == ["submitted", "processing", "succeed"]


@pytest.mark.parametrize("problem", [500, 404, 302, OutboundError("refused")], ids=str)
def test_a_failed_attempt_is_repeated_and_keeps_the_order(
    make_api: Callable[..., Api], clock: Clock, problem: int | Exception
) -> None:
    receiver = Receiver(problem, problem)
    api = make_api(send=receiver)
    api.create(body(callback_url=HOOK))
    run(api, clock, 10)

    assert receiver.statuses == ["submitted"] * 3 + ["processing", "succeed"]
    assert receiver.received[0] == receiver.received[1] == receiver.received[2]


def test_attempts_come_after_the_pauses_of_the_contract(
    make_api: Callable[..., Api], clock: Clock, contract: Contract
) -> None:
    """At real speed, five attempts in all; then the next delivery of the task gets its turn."""
    times: list[int] = []

    def send(*_: Any, timeout_ms: int) -> int:
        times.append(clock.now())
        return 500

    api = make_api(send=send, speed=1)
    api.create(body(callback_url=HOOK))
    for _ in range(16):
        due = api.simulator.store.next_due("")
        if due is not None:
            clock.move_to(clock.now() + max(0, due - clock.now()))
            api.simulator.callbacks.deliver_due()

    pauses = [after - before for before, after in itertools.pairwise(times[:5])]
    assert pauses == list(contract.callbacks.retry_after_ms["default"])
    assert len(times) == 15
    assert api.simulator.store.delivery_counts() == {"pending": 0, "given_up": 3}


def test_one_task_does_not_hold_back_another(make_api: Callable[..., Api], clock: Clock) -> None:
    def send(url: str, body: bytes, headers: dict[str, str], *, timeout_ms: int) -> int:
        sent.append((url, json.loads(body)["task_status"]))
        return 500 if "bad" in url else 200

    sent: list[tuple[str, str]] = []
    api = make_api(send=send)
    api.create(body(callback_url="http://127.0.0.1/bad"))
    api.create(body(callback_url="http://127.0.0.1/good"))
    run(api, clock, 5)

    assert [status for url, status in sent if "good" in url] == ["submitted", "processing", "succeed"]
    assert {status for url, status in sent if "bad" in url} == {"submitted"}


@pytest.mark.parametrize(
    "url", ["not a url", "ftp://127.0.0.1/x", "http://", "http://[", "http://127.0.0.1:99999/", "javascript:1"]
)
def test_any_callback_url_is_accepted_and_a_senseless_one_is_named(
    make_api: Callable[..., Api], url: str, caplog: pytest.LogCaptureFixture
) -> None:
    api = make_api(instant=True)
    assert api.create(body(callback_url=url)).status_code == 200
    api.simulator.callbacks.deliver_due()

    assert api.simulator.store.delivery_counts() == {"pending": 0, "refused": 3}
    assert "not sent" in caplog.text


def test_the_log_hides_what_a_url_may_keep_secret(
    make_api: Callable[..., Api], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "klingkit")
    api = make_api(send=Receiver(), instant=True)
    api.create(body(callback_url="http://user:secret@127.0.0.1:1/hook?token=secret#secret"))
    api.simulator.callbacks.deliver_due()

    assert "http://127.0.0.1:1/hook" in caplog.text
    assert "secret" not in caplog.text


# Faults that a scenario brings


def run_with(
    make_api: Callable[..., Api], scenario: str, *answers: int, **fields: Any
) -> tuple[Receiver, Api, Control]:
    """A task under a scenario, two hours later."""
    receiver = Receiver(*answers)
    api = make_api(send=receiver, speed=1)
    data_of(api.create(body(callback_url=HOOK, prompt=f"[[{scenario}]]", **fields)))
    control = Control.of(api.simulator)
    control.advance("2h")
    return receiver, api, control


def test_lost_once_it_comes_with_the_next_attempt(make_api: Callable[..., Api]) -> None:
    receiver, _, control = run_with(make_api, "callback-lost")
    assert receiver.statuses == ["submitted", "processing", "succeed"]
    for delivery in control.deliveries():
        lost, arrived = delivery["attempts"]
        assert (lost["problem"], arrived["problem"]) == ("lost on its way, as the scenario wants", "")
        assert arrived["at"] - lost["at"] == 5000


def test_lost_for_ever_it_is_given_up(make_api: Callable[..., Api]) -> None:
    receiver, _, control = run_with(make_api, "callback-lost:all")
    assert receiver.statuses == []
    assert {delivery["outcome"] for delivery in control.deliveries()} == {"given_up"}


def test_late(make_api: Callable[..., Api]) -> None:
    receiver, _, control = run_with(make_api, "callback-late:10m")
    assert receiver.statuses == ["submitted", "processing", "succeed"]
    (task,) = control.tasks()
    for step, delivery in zip(task["timeline"]["happened"], control.deliveries(), strict=True):
        assert delivery["attempts"][0]["at"] - step["at"] == 600_000


def test_twice_with_the_same_id(make_api: Callable[..., Api]) -> None:
    receiver, _, _ = run_with(make_api, "callback-twice", 500)
    assert receiver.statuses == ["submitted"] * 3 + ["processing"] * 2 + ["succeed"] * 2


def test_reordered(make_api: Callable[..., Api]) -> None:
    receiver, _, _ = run_with(make_api, "callback-reordered")
    assert receiver.statuses == ["submitted", "succeed", "processing"]


def test_early_it_comes_before_a_query_shows_it(make_api: Callable[..., Api], clock: Clock) -> None:
    receiver = Receiver()
    api = make_api(send=receiver)
    task_id = data_of(api.create(body(callback_url=HOOK, prompt="[[callback-early]]")))["task_id"]
    api.simulator.callbacks.deliver_due()
    assert receiver.statuses == ["submitted", "processing"]
    assert data_of(api.query(task_id))["task_status"] == "submitted"


@pytest.mark.parametrize("scenario", ["callback-reordered", "callback-early", "callback-late:5s", "slow"])
def test_by_polls_they_come_as_queries_move_the_task(make_api: Callable[..., Api], scenario: str) -> None:
    receiver = Receiver()
    api = make_api(send=receiver, account=AccountSettings(progression="polls"))
    task_id = data_of(api.create(body(callback_url=HOOK, prompt=f"[[{scenario}]]")))["task_id"]
    for _ in range(3):
        api.query(task_id)
        api.simulator.callbacks.deliver_due()
    Control.of(api.simulator).advance("1m")
    assert sorted(receiver.statuses) == ["processing", "submitted", "succeed"]
    assert receiver.statuses[1] == ("succeed" if scenario == "callback-reordered" else "processing")


@pytest.mark.parametrize(("schedule", "attempts"), [("none", 1), ("fast", 4), ("default", 5), ("patient", 7)])
def test_retry_schedules_by_name(make_api: Callable[..., Api], schedule: str, attempts: int) -> None:
    api = make_api(send=lambda *_, timeout_ms: 500, speed=1, account=AccountSettings(callback_retries=schedule))
    data_of(api.create(body(callback_url=HOOK, prompt="[[stuck-submitted]]")))
    Control.of(api.simulator).advance("2d")
    (delivery,) = Control.of(api.simulator).deliveries()
    assert (len(delivery["attempts"]), delivery["outcome"]) == (attempts, "given_up")


def test_the_default_tries_at_least_twice_more_within_ten_minutes(contract: Contract) -> None:
    assert sum(contract.callbacks.retry_after_ms["default"][:2]) <= 600_000


# Signatures, and sending again

SECRET = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI="


def test_signed_callbacks_verify_and_keep_their_id(make_api: Callable[..., Api]) -> None:
    """In real time, although the simulator's clock stands in another year."""
    receiver = Receiver(500)
    api = make_api(send=receiver, account=AccountSettings(callback_secret=SECRET))
    data_of(api.create(body(callback_url=HOOK)))
    control = Control.of(api.simulator)
    control.advance("1m")

    ids = [headers["webhook-id"] for headers in receiver.headers]
    assert ids[0] == ids[1] == control.deliveries()[0]["id"]
    assert len(set(ids)) == 3
    for sent, headers in zip(receiver.raw, receiver.headers, strict=True):
        assert parse_callback(sent, headers, SECRET).task_id
        Webhook(SECRET).verify(sent, headers)
        with pytest.raises(CallbackSignatureError):
            parse_callback(sent + b" ", headers, SECRET)
    assert SECRET not in repr(api.simulator.settings)
    assert SECRET[6:] not in json.dumps([control.account(), control.journal(), control.deliveries()])


def test_no_two_callbacks_share_an_id_also_after_a_reset(make_api: Callable[..., Api]) -> None:
    """Receivers drop what they have seen before."""
    simulator = Simulator(Settings(seed=1), send=Receiver())
    ids = []
    for _ in range(2):
        simulator.create("a", body(callback_url=HOOK), "http://host")
        ids += [delivery.id for delivery in simulator.store.deliveries()]
        simulator.reset()
    assert len(set(ids)) == 6


def test_a_slow_receiver_of_one_account_does_not_hold_up_another() -> None:
    enough, go_on = threading.Event(), threading.Event()

    def send(url: str, body: bytes, headers: dict[str, str], *, timeout_ms: int) -> int:
        if "slow" in url:
            assert go_on.wait(20)
        else:
            enough.set()
        return 200

    simulator = Simulator(Settings(instant=True), send=send)
    for _ in range(60):
        simulator.create("one", body(callback_url="http://127.0.0.1/slow"), "http://host")
    simulator.create("two", body(callback_url="http://127.0.0.1/fast"), "http://host")
    assert enough.wait(20)
    go_on.set()


def test_the_vendors_test_vector_is_what_we_sign() -> None:
    moment = datetime.fromtimestamp(1781080794, UTC)
    data = (
        '{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}'
    )
    assert sign(SECRET, "9876543210", moment, data.encode()) == {
        "webhook-id": "9876543210",
        "webhook-timestamp": "1781080794",
        "webhook-signature": "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=",
    }


def test_an_account_may_have_its_own_secret(make_api: Callable[..., Api]) -> None:
    receiver = Receiver()
    api = make_api(send=receiver, instant=True)
    Control.of(api.simulator, key="signed").configure(callback_secret=SECRET)
    for key in ("signed", "plain"):
        api.create(body(callback_url=HOOK), key=key)
    api.simulator.callbacks.deliver_due()
    assert sorted("webhook-id" in headers for headers in receiver.headers) == [False] * 3 + [True] * 3


def test_any_settled_callback_can_be_sent_again(make_api: Callable[..., Api]) -> None:
    receiver = Receiver()
    api = make_api(send=receiver)
    data_of(api.create(body(callback_url=HOOK)))
    control = Control.of(api.simulator)
    first, second, _ = control.deliveries()
    with pytest.raises(ControlError, match="is pending"):
        control.resend(second["id"])
    control.advance("1s")
    again = control.resend(first["id"])
    assert [attempt["problem"] for attempt in again["attempts"]] == ["", ""]
    assert receiver.received[-1] == receiver.received[0]
    control.advance("1m")
    assert receiver.statuses.count("succeed") == 1


def test_where_callbacks_must_not_go_the_ledger_says_why(make_api: Callable[..., Api]) -> None:
    api = make_api(instant=True)
    assert api.create(body(callback_url="http://93.184.215.14/hook")).status_code == 200
    api.simulator.callbacks.deliver_due()
    deliveries = Control.of(api.simulator).deliveries()
    assert {delivery["outcome"] for delivery in deliveries} == {"refused"}
    assert "--allow-callback HOST allows a host" in deliveries[0]["attempts"][0]["problem"]


@pytest.fixture
def hook(httpserver: HTTPServer) -> HTTPServer:
    """A service on a real socket that takes what is posted; /redirect and /to/URL send elsewhere."""
    httpserver.expect_request("/redirect").respond_with_data(status=307, headers={"Location": "/elsewhere"})
    httpserver.expect_request(re.compile("/to/")).respond_with_handler(
        lambda request: Response(status=302, headers={"Location": request.path[4:]})
    )
    httpserver.expect_request("/file").respond_with_data(b"x" * 100)
    httpserver.expect_request("/", method="POST").respond_with_data(status=204)
    return httpserver


def test_callbacks_arrive_over_a_real_socket_in_the_background(hook: HTTPServer) -> None:
    for _ in range(3):
        hook.expect_oneshot_request("/h", method="POST").respond_with_data(status=204)
    simulator = Simulator(Settings(instant=True))
    with hook.wait(timeout=20) as waiting:
        simulator.create("a", body(callback_url=f"http://127.0.0.1:{hook.port}/h?x=1"), "http://host")

    assert waiting.result
    received = [request for request, _ in hook.log]
    assert [request.json["task_status"] for request in received] == ["submitted", "processing", "succeed"]
    first = received[0]
    assert first.full_path == "/h?x=1"
    assert first.headers["Content-Type"] == "application/json; charset=utf-8"
    assert first.headers["Host"] == f"127.0.0.1:{hook.port}"
    assert not [name for name, _ in first.headers if name.lower().startswith("webhook-")]


def test_a_receiver_that_is_slow_or_gone_is_a_failed_attempt() -> None:
    """It accepts and never answers; then nobody listens there any more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(OutboundError, match="Timeout"):
            outbound().post(f"http://127.0.0.1:{port}/", b"{}", {}, timeout_ms=100)
    with pytest.raises(OutboundError, match="NewConnection"):
        outbound().post(f"http://127.0.0.1:{port}/", b"{}", {}, timeout_ms=5000)


def test_redirects_are_not_followed(hook: HTTPServer) -> None:
    reply = outbound().post(f"http://127.0.0.1:{hook.port}/redirect", b"{}", {}, timeout_ms=5000)

    assert reply.status == 307
    assert [request.path for request, _ in hook.log] == ["/redirect"]


ADDRESSES = {
    "public.example": ["93.184.215.14"],
    "private.example": ["10.1.2.3"],
    "mixed.example": ["93.184.215.14", "127.0.0.1"],
    "mapped.example": ["::ffff:93.184.215.14"],
    "metadata.example": ["169.254.169.254"],
    "v6.example": ["2606:2800:220:1::1"],
    "local.example": ["127.0.0.1"],
}


def outbound(*allowed: str) -> Outbound:
    return Outbound(frozenset(allowed), "--allow", resolve=lambda host, _: ADDRESSES.get(host) or [host])


@pytest.mark.parametrize(
    "host",
    [
        "public.example",
        "mapped.example",
        "metadata.example",
        "v6.example",
        "93.184.215.14",
        "[2606:2800:220:1::1]",
        "0.0.0.0",
    ],
)
def test_public_addresses_are_refused_by_what_they_resolve_to(host: str) -> None:
    with pytest.raises(NotAllowedError, match="neither loopback nor private"):
        outbound().post(f"http://{host}/", b"", {}, timeout_ms=100)


def test_a_private_address_is_used_and_a_host_can_be_allowed(hook: HTTPServer) -> None:
    """Of a mixed name the private address is called; an allowed name may be anything."""
    port = hook.port
    assert outbound().post(f"http://mixed.example:{port}/", b"", {}, timeout_ms=5000).status == 204
    assert outbound("LOCAL.example").post(f"http://local.example:{port}/", b"", {}, timeout_ms=5000).status == 204
    assert hook.log[1][0].headers["Host"] == f"local.example:{port}"


def test_fetching_follows_only_allowed_redirects_and_is_limited(hook: HTTPServer) -> None:
    base = f"http://127.0.0.1:{hook.port}"

    assert outbound().get(f"{base}/to//file", max_bytes=100, timeout_ms=5000) == b"x" * 100
    with pytest.raises(NotAllowedError):
        outbound().get(f"{base}/to/http://public.example/", max_bytes=100, timeout_ms=5000)
    with pytest.raises(OutboundError, match="99 bytes"):
        outbound().get(f"{base}/file", max_bytes=99, timeout_ms=5000)
    with pytest.raises(OutboundError, match="redirects"):
        outbound().get(f"{base}/to//to//to//to//to//file", max_bytes=100, timeout_ms=5000)


# Receivers that take their time, which is theirs alone


class Slow:
    """Answers `/slow` when it is told to, everything else at once."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.begun = threading.Semaphore(0)
        self.taken = threading.Semaphore(0)
        self.answered = 0

    def __call__(self, url: str, body: bytes, headers: dict[str, str], *, timeout_ms: int) -> int:
        if "slow" in url:
            self.begun.release()
            assert self.go_on.wait(20)
            self.answered += 1
        else:
            self.taken.release()
        return 200

    def hold(self, simulator: Simulator, account: str, tasks: int = 1) -> None:
        """Let an account have attempts under way."""
        for _ in range(tasks):
            simulator.create(account, body(callback_url="http://127.0.0.1/slow"), "http://host")
        for _ in range(tasks):
            assert self.begun.acquire(timeout=20)


@pytest.fixture
def slow() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.go_on.set()


def in_time(act: Callable[[], Any]) -> bool:
    """Tell whether something is over while a slow receiver still holds its attempt."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(10)
    return not thread.is_alive()


def test_a_slow_receiver_of_one_account_holds_no_reset_of_another(slow: Slow) -> None:
    simulator = Simulator(Settings(instant=True), send=slow)
    slow.hold(simulator, account_name("one"))
    simulator.create(account_name("two"), body(), "http://host")

    assert in_time(Control.of(simulator, key="two").reset)
    assert Control.of(simulator, key="two").tasks() == []
    assert len(Control.of(simulator, key="one").tasks()) == 1


def test_a_reset_waits_for_the_attempts_of_its_own_account(slow: Slow) -> None:
    simulator = Simulator(Settings(instant=True), send=slow)
    slow.hold(simulator, account_name("one"))
    counts: list[int] = []

    def reset() -> None:
        Control.of(simulator, key="one").reset()
        counts.append(slow.answered)

    resetter = threading.Thread(target=reset)
    resetter.start()
    while not simulator.traveller.turns.stopping(account_name("one")):
        pass
    slow.go_on.set()
    resetter.join()

    assert counts == [1]
    assert Control.of(simulator).deliveries() == []


@pytest.mark.parametrize("travel", ["advance", "to the next event", "until idle"])
def test_a_slow_receiver_of_one_account_holds_no_journey_of_another(slow: Slow, travel: str) -> None:
    simulator = Simulator(Settings(speed=1), send=slow)
    slow.hold(simulator, account_name("one"))
    two = Control.of(simulator, key="two")
    simulator.create(account_name("two"), body(callback_url="http://127.0.0.1/fast"), "http://host")
    assert slow.taken.acquire(timeout=20)
    journeys = {
        "advance": lambda: two.advance("10m"),
        "to the next event": lambda: two.advance_to("next"),
        "until idle": lambda: two.advance_to("idle"),
    }

    assert in_time(journeys[travel])
    if travel != "to the next event":
        assert [delivery["outcome"] for delivery in two.deliveries()] == ["delivered"] * 3
    slow.go_on.set()


def test_a_journey_holds_no_callbacks_of_others(slow: Slow) -> None:
    simulator = Simulator(Settings(speed=1), send=slow)
    simulator.clocks.freeze()
    one = Control.of(simulator, key="one")
    traveller = threading.Thread(target=lambda: one.advance("10m"))
    slow.hold(simulator, account_name("one"))
    traveller.start()
    simulator.create(account_name("two"), body(callback_url="http://127.0.0.1/fast"), "http://host")

    assert slow.taken.acquire(timeout=20)
    slow.go_on.set()
    traveller.join()


def test_slow_receivers_of_many_accounts_do_not_hold_up_another(slow: Slow) -> None:
    simulator = Simulator(Settings(instant=True), send=slow)
    for number in range(12):
        slow.hold(simulator, f"account {number}", tasks=8)
    simulator.create("another", body(callback_url="http://127.0.0.1/fast"), "http://host")

    assert slow.taken.acquire(timeout=20)
