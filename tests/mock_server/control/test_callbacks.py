"""What the control API shows of callbacks: what was sent, what came back, and why one has not come."""

from __future__ import annotations

import base64
import json
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook

from klingkit.mock_server.attempt_words import CAUSES, words_of
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.deliveries import ANSWER_KEPT, Reply
from klingkit.mock_server.outbound import NotAllowedError, OutboundError
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import Api, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable

HOOK = "http://127.0.0.1:9/hook"
SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes....").decode()


class Receiver:
    """Notes what was sent, and answers as it is told."""

    def __init__(self, *answers: int | Reply | Exception) -> None:
        self.answers = list(answers)
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    def __call__(self, url: str, body: bytes, headers: dict[str, str], *, timeout_ms: int) -> int | Reply:
        self.bodies.append(body)
        self.headers.append(headers)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.everywhere
def test_an_attempt_shows_what_was_sent_and_what_came_back(make_api: Callable[..., Api]) -> None:
    hostile = Reply(500, (("Content-Type", "text/html"), ("Set-Cookie", "a=b")), b"<script>\x1b[2J\xc3")
    receiver = Receiver(hostile)
    api = make_api(send=receiver)
    api.create(body(callback_url=HOOK))
    control = Control.of(api.simulator)
    control.configure(callback_secret=SECRET)
    control.advance("1m")
    failed, taken = control.deliveries()[0]["attempts"]

    assert failed["http_status"] == 500
    assert failed["why"] == "the receiver failed"
    assert "look at its log" in failed["do"]
    assert failed["ms"] >= 0
    assert failed["answer"] == {
        "headers": {"content-type": "text/html", "set-cookie": "***"},
        "body": "<script>\x1b[2J",  # cut within a character
        "more": False,
    }
    assert failed["request"]["headers"] == receiver.headers[0]
    assert failed["request"]["body"] == json.loads(receiver.bodies[0])
    assert failed["request"]["size"] == len(receiver.bodies[0])
    assert failed["request"]["signed"]
    assert "standardwebhooks" in failed["request"]["check"]
    assert Webhook(SECRET).verify(receiver.bodies[0].decode(), failed["request"]["headers"])
    assert (taken["why"], taken["do"], taken["answer"]["body"]) == ("the receiver took it", "", "")
    assert SECRET.removeprefix("whsec_") not in json.dumps(control.deliveries())


@pytest.mark.parametrize("scenario", ["", "scenario=callback-early, "])
def test_the_body_that_is_shown_is_the_one_that_was_sent(make_api: Callable[..., Api], scenario: str) -> None:
    """Also of a callback that came before its step, which was reached by hand at another time than planned."""
    receiver = Receiver()
    api = make_api(send=receiver)
    headers = {"Prefer": f"{scenario}progression=manual"}
    sent = data_of(api.send("POST", "/kling/v1/images/generations", json=body(callback_url=HOOK), headers=headers))
    control = Control.of(api.simulator)
    for _ in range(3):
        control.advance("7s")
        control.move(sent["task_id"])
    control.advance("1s")

    shown = [attempt["request"]["body"] for each in control.deliveries() for attempt in each["attempts"]]
    assert shown == [json.loads(raw) for raw in receiver.bodies]
    assert len(shown) == 3


def test_what_is_no_text_is_told_by_its_size(make_api: Callable[..., Api]) -> None:
    api = make_api(send=Receiver(Reply(200, (), b"\xff\xd8" * 5000), Reply(200, (), b"a\0b")), instant=True)
    api.create(body(callback_url=HOOK))
    api.simulator.callbacks.deliver_due()
    first, second, _ = (each["attempts"][0]["answer"] for each in Control.of(api.simulator).deliveries())

    assert (first["body"], first["more"]) == (f"({ANSWER_KEPT} bytes that are no text)", True)
    assert (second["body"], second["more"]) == ("(3 bytes that are no text)", False)


def test_headers_of_a_receiver_are_bounded(make_api: Callable[..., Api]) -> None:
    many = tuple((f"X-{number}", "y" * 90) for number in range(1000))
    api = make_api(send=Receiver(Reply(200, many)), instant=True)
    api.create(body(callback_url=HOOK))
    api.simulator.callbacks.deliver_due()
    assert 10 < len(Control.of(api.simulator).deliveries()[0]["attempts"][0]["answer"]["headers"]) < 30


@pytest.mark.everywhere
def test_what_receivers_say_counts_as_memory(make_api: Callable[..., Api]) -> None:
    """However much they say, and however often: the oldest task goes with all that is its own."""
    large = Reply(200, (), b"x" * ANSWER_KEPT)
    api = make_api(send=Receiver(*[large] * 1000), instant=True, max_memory=2 * 2**20)
    for _ in range(80):
        api.create(body(callback_url=HOOK))
    api.simulator.callbacks.deliver_due()
    left = len(api.simulator.store.tasks())
    assert 20 < left < 75  # of 512 KiB; without what was answered there would be room for all


CASES = [
    (OutboundError("NewConnectionError", "no-connection"), "nobody listens there"),
    (OutboundError("ReadTimeoutError", "timeout"), "did not answer in time"),
    (OutboundError("SSLError", "tls"), "TLS handshake"),
    (OutboundError("ProtocolError", "no-http"), "no HTTP"),
    (OutboundError("host x is not known", "unknown-host"), "name of the host is not known"),
    (OutboundError("of a sender of one's own"), "the attempt failed"),
    (NotAllowedError("host x is neither", "not-allowed"), "neither loopback nor private"),
    (NotAllowedError("it is this simulator", "itself"), "leads to this simulator"),
    (302, "redirects"),
    (403, "forbids"),
    (404, "no such path"),
    (405, "takes no POST"),
    (418, "refuses the request"),
    (502, "the receiver failed"),
    (700, "neither success nor failure"),
]


@pytest.mark.parametrize(("answer", "why"), CASES, ids=lambda value: str(value)[:20])
def test_why_an_attempt_failed_is_said_with_what_to_do(
    make_api: Callable[..., Api], answer: int | Exception, why: str
) -> None:
    api = make_api(send=Receiver(*[answer] * 30), instant=True)
    task = data_of(api.create(body(callback_url=HOOK)))["task_id"]
    control = Control.of(api.simulator)
    api.simulator.callbacks.deliver_due()
    attempt = control.deliveries()[0]["attempts"][0]

    assert why in attempt["why"]
    assert attempt["do"] or why == "the attempt failed"
    assert why in control.task(task)["callbacks_why"]


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("ftp://127.0.0.1/", "no-url"),
        ("nonsense", "no-url"),
        ("http://127.0.0.1/" + "x" * 9000, "long-url"),
        ("http://93.184.215.14/", "not-allowed"),
        ("http://nowhere.invalid/", "unknown-host"),
    ],
    ids=["scheme", "no URL", "long", "public", "unknown"],
)
def test_where_a_real_callback_cannot_go_has_words(url: str, cause: str) -> None:
    simulator = Simulator(Settings(instant=True))
    simulator.callbacks.close()
    simulator.create("a", body(callback_url=url), "http://host")
    simulator.callbacks.deliver_due()
    attempt = simulator.store.deliveries()[0].attempts[0]
    assert attempt.cause == cause
    assert words_of(attempt) == CAUSES[cause]


def test_a_receiver_that_is_gone_has_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    simulator = Simulator(Settings(instant=True))
    simulator.callbacks.close()
    simulator.create("a", body(callback_url=f"http://127.0.0.1:{port}/"), "http://host")
    simulator.callbacks.deliver_due()
    assert "nobody listens there" in words_of(simulator.store.deliveries()[0].attempts[0]).why


@pytest.mark.everywhere
def test_callbacks_are_found_by_outcome_from_either_end(make_api: Callable[..., Api]) -> None:
    refused = NotAllowedError("no", "not-allowed")
    api = make_api(send=Receiver(200, refused, 200, 200, refused, refused))
    control = Control.of(api.simulator)
    for key in ("one", "two"):
        api.create(body(callback_url=HOOK), key=key)
        control.advance("1m")
    api.create(body(callback_url=HOOK), key="two")
    everything = control.deliveries()
    outcomes = [each["outcome"] for each in everything]
    assert outcomes == ["delivered", "refused", "delivered", "delivered", "refused", "refused"] + ["pending"] * 3

    assert control.deliveries(order="newest") == everything[::-1]
    mine = Control.of(api.simulator, key="two")
    for outcome in ("pending", "delivered", "refused", "given_up"):
        fits = [each for each in everything if each["outcome"] == outcome]
        assert control.deliveries(outcome=outcome) == fits
        assert control.deliveries(outcome=outcome, order="newest") == fits[::-1]
        assert mine.deliveries(outcome=outcome) == [each for each in fits if each in everything[3:]]
        for order, expected in (("oldest", fits), ("newest", fits[::-1])):
            paged: list[Any] = []
            while page := control.deliveries(
                outcome=outcome, order=order, limit=2, **({"after": paged[-1]["id"]} if paged else {})
            ):
                paged += page
            assert paged == expected
    task_id = everything[0]["task_id"]
    assert control.deliveries(task_id=task_id, outcome="refused", order="newest") == [everything[1]]
    assert control.deliveries(order="newest", limit=2, after=everything[4]["id"]) == everything[2:4][::-1]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"order": "latest"}, "order: 'latest' is none of oldest, newest"),
        ({"outcome": "lost"}, "outcome: 'lost' is none of"),
    ],
)
def test_another_order_or_outcome_is_refused(api: Api, wanted: dict[str, str], says: str) -> None:
    with pytest.raises(ControlError, match=re.escape(says)):
        Control.of(api.simulator).deliveries(**wanted)


def why(api: Api, request: dict[str, Any], before: Callable[[Control], object] = lambda _: None, **headers: str) -> str:
    sent = api.send("POST", "/kling/v1/images/generations", json=request, headers=headers)
    control = Control.of(api.simulator)
    before(control)
    found: str = control.task(data_of(sent)["task_id"])["callbacks_why"]
    return found


@pytest.mark.everywhere
def test_a_task_says_why_no_callback_came(make_api: Callable[..., Api]) -> None:
    api = make_api(send=Receiver(), speed=1)
    hooked = body(callback_url=HOOK)

    def idle(control: Control) -> None:
        control.advance("20m")

    assert why(api, body()) == "its create had no callback_url, so none is sent; give one, or query the task"
    assert why(api, hooked) == "the callback of submitted is due when the clock is moved"
    assert "is due in 30.0 s, at 20" in (late := why(api, hooked, Prefer="scenario=callback-late:30s"))
    assert late.endswith("and the server's clock stands still: advance it, or resume it")
    by_hand = why(api, hooked, lambda control: control.advance("1s"), Prefer="progression=manual")
    assert by_hand.startswith("the callback of processing waits until the task is processing, and only a hand moves")
    assert "only queries move" in why(api, hooked, lambda control: control.advance("1s"), Prefer="progression=polls")
    lost = why(api, hooked, idle, Prefer="scenario=callback-lost:all")
    assert "was given up after 5 attempts" in lost
    assert "loses this callback on purpose" in lost
    assert "the callback_url is longer" in why(api, body(callback_url="http://a/" + "x" * 9000), idle)
    assert why(api, hooked, idle) == ""


def test_a_retry_says_when_it_comes(make_api: Callable[..., Api]) -> None:
    api = make_api(send=Receiver(500), speed=1)
    said = why(api, body(callback_url=HOOK), lambda control: control.advance("1s"))
    assert said.startswith("attempt 1 of the callback of submitted failed: the receiver failed; look at its log")
    assert "The next one is due in " in said
