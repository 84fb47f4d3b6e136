"""The client on the stand-in and on the simulator: readings of the API, made apart, that understand each other in each contract."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import BaseAdapter
from werkzeug.test import Client

from klingkit.client import (
    AuthenticationError,
    InvalidRequestError,
    KlingClient,
    TaskExistsError,
    TaskFailedError,
    UnexpectedAnswerError,
    UnknownTaskError,
)
from klingkit.mock_server.app import create_app
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import URL, png
from tests.stand_in.habits import AS_INFERRED, OTHERWISE, Habits, by_chance
from tests.stand_in.service import StandIn

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed.wsgi import WSGIApplication

ACCESS_KEY, SECRET_KEY = "AKaccess", "SKvery-secret-key"
CONTRACTS = ("cometapi", "cometapi-2026", "kling")
BROKEN = "https://broken.invalid/a.png"


class Wire(BaseAdapter):
    """Carries what requests sends to a service in this process; an answer can be lost on its way."""

    def __init__(self, service: WSGIApplication) -> None:
        super().__init__()
        self._client = Client(service)
        self.sent: list[str] = []
        self.lost = 0
        """How many of the next answers to a create are lost."""

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        self.sent.append(f"{request.method} {request.path_url}")
        headers = [*request.headers.items()]
        place = urlsplit(request.url or "")
        said = self._client.open(
            request.path_url,
            base_url=f"{place.scheme}://{place.netloc}",
            method=request.method,
            headers=headers,
            data=request.body,
        )
        if self.lost and request.method == "POST":
            self.lost -= 1
            raise requests.ConnectionError("reset")
        answer = requests.Response()
        answer.status_code = said.status_code
        answer.headers.update(said.headers)
        answer.raw = BytesIO(said.data)
        answer.request, answer.url = request, request.url or ""
        return answer

    def close(self) -> None:
        """Nothing is open."""


class Place:
    """A service, and clients of it that wait on its clock, which `sleep` moves and `monotonic` reads in s."""

    def __init__(
        self, contract: str, service: WSGIApplication, sleep: Callable[[float], object], monotonic: Callable[[], float]
    ) -> None:
        self.contract = contract
        self.wire = Wire(service)
        self._sleep, self._monotonic = sleep, monotonic

    def client(self, *, signed: bool = False, secret_key: str = SECRET_KEY, **options: Any) -> KlingClient:
        session = requests.Session()
        session.mount("https://", self.wire)
        credential = {"access_key": ACCESS_KEY, "secret_key": secret_key} if signed else {"key": "sk-first"}
        options = {"sleep": self._sleep, "monotonic": self._monotonic} | credential | options
        return KlingClient(contract=self.contract, session=session, **options)


def stand_in(contract: str, habits: Habits = AS_INFERRED) -> Place:
    service = StandIn(contract, habits, access_keys={ACCESS_KEY: SECRET_KEY})
    return Place(contract, service, service.clock.advance, service.clock.now)


def simulated(contract: str) -> Place:
    settings = Settings(contract=contract, keys=frozenset({"sk-first"}), access_keys=((ACCESS_KEY, SECRET_KEY),))
    simulator = Simulator(settings, clock=ClockState(START))
    return Place(
        contract,
        create_app(simulator),
        lambda seconds: simulator.traveller.advance(round(1000 * seconds)),
        lambda: simulator.clocks.now() / 1000,
    )


Open = Callable[[str], Place]


@pytest.fixture(params=[stand_in, simulated])
def place_of(request: pytest.FixtureRequest) -> Open:
    """Either service, to be opened with a contract."""
    chosen: Open = request.param
    return chosen


@pytest.fixture
def kling(place_of: Open) -> Place:
    return place_of("kling")


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_same_python_brings_pictures_in_each_contract(place_of: Open, contract: str, tmp_path: Path) -> None:
    with place_of(contract).client(signed=contract == "kling") as client:
        task = client.create([png(), URL], prompt="two friends", scene_image=URL, n=2, external_task_id="order-1")
        done = client.wait(task)
        assert done.external_task_id == "order-1"
        assert len(client.save(done, tmp_path)) == 2
        with pytest.raises(InvalidRequestError, match="External_task_id order-1 already exists"):
            client.create([URL, URL], external_task_id="order-1")
        with pytest.raises(UnknownTaskError):
            client.get("100000000000000000")


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("habits", [OTHERWISE, *map(by_chance, range(6))])
def test_errors_are_told_apart_by_what_is_known_alone(contract: str, habits: Habits) -> None:
    """Whatever else the service answers them with."""
    place = stand_in(contract, habits)
    with place.client() as client:
        task = client.wait(client.create([URL, URL], n=2, external_task_id="order-1"))
        assert len(task.image_urls) == 2
        with pytest.raises(TaskFailedError, match="Something went wrong when we tried"):
            client.wait(client.create([URL, BROKEN]))
        with pytest.raises(InvalidRequestError, match="order-1 already exists"):
            client.create([URL, URL], external_task_id="order-1")
        with pytest.raises(InvalidRequestError, match="size must be between 0 and 2500"):
            client.create([URL, URL], prompt="x" * 2501)
        with pytest.raises(InvalidRequestError if habits.unknown_task == "404" else UnknownTaskError):
            client.get("100000000000000000")
    with place.client(key="sk-nobody") as stranger, pytest.raises(AuthenticationError):
        stranger.get(task.task_id)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_wrong_path_is_no_answer_of_the_api(place_of: Open, contract: str) -> None:
    client = place_of(contract).client(base_url="https://api.example.com/v2")
    with pytest.raises(UnexpectedAnswerError, match="check the base URL"):
        client.get("1")


def test_a_watermark_is_asked_for_and_read(kling: Place) -> None:
    client = kling.client()
    task = client.wait(client.create([URL], watermark=True))
    assert len(task.watermark_urls) == len(task.image_urls) == 1
    assert task.final_unit_deduction


def test_tasks_are_listed_and_found(kling: Place) -> None:
    client = kling.client(signed=True)
    made = [client.create([URL], external_task_id=f"order {number}/") for number in range(3)]
    assert [task.task_id for task in client.list(page=1, page_size=2)] == [made[2].task_id, made[1].task_id]
    assert [task.task_id for task in client.list(page=2, page_size=2)] == [made[0].task_id]
    named = client.create([URL], external_task_id="a b?ж")
    assert client.get(external_task_id="a b?ж").task_id == named.task_id
    with pytest.raises(UnknownTaskError):
        client.get(external_task_id="nobody")


@pytest.mark.parametrize("retry_for", [0.0, 60.0])
def test_a_create_whose_answer_was_lost_is_found_and_made_once(kling: Place, retry_for: float) -> None:
    kling.wire.lost = 1
    client = kling.client(retry_for=retry_for)
    task = client.create([URL], external_task_id="order-1")
    assert kling.wire.sent[-1].endswith("/order-1")
    assert [listed.task_id for listed in client.list()] == [task.task_id]


def test_cometapi_cannot_find_it(place_of: Open) -> None:
    place = place_of("cometapi")
    place.wire.lost = 1
    with pytest.raises(TaskExistsError):
        place.client().create([URL, URL], external_task_id="order-1")
    assert [sent.split()[0] for sent in place.wire.sent] == ["POST", "POST"]


@pytest.mark.parametrize(
    ("options", "codes", "asked"),
    [
        ({"secret_key": "another-secret-key"}, {1000, 1002}, 1),  # which of the two is not known
        ({"now": lambda: time.time() + 600}, {1003}, 1),
        ({"now": lambda: time.time() - 3600}, {1004}, 2),
    ],
)
def test_a_token_that_is_not_taken_says_why(kling: Place, options: dict[str, Any], codes: set[int], asked: int) -> None:
    with pytest.raises(AuthenticationError) as error:
        kling.client(signed=True, **options).list()
    assert error.value.code in codes
    assert len(kling.wire.sent) == asked
