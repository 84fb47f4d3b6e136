"""The client with services that have any habits that the facts allow: what it raises hangs on what is known alone."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.response import HTTPResponse

from klingkit.client import AuthenticationError, InvalidRequestError, KlingClient, TaskFailedError, UnknownTaskError
from klingkit.mock_server.serving.in_process import call
from tests.stand_in import AS_INFERRED, OTHERWISE, StandIn, by_chance

if TYPE_CHECKING:
    from pathlib import Path

PICTURES = ["https://example.com/anna.png", "https://example.com/ben.png"]
HABITS = [AS_INFERRED, OTHERWISE, *map(by_chance, range(6))]


class InProcess(HTTPAdapter):
    """Leads to a service in the same process."""

    def __init__(self, service: StandIn) -> None:
        super().__init__()
        self.service = service

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        body = request.body or b""
        assert isinstance(body, bytes)
        answer = call(self.service, str(request.method), str(request.url), request.headers, body)
        raw = HTTPResponse(BytesIO(answer.body), dict(answer.headers), answer.status, preload_content=False)
        return self.build_response(request, raw)


def client_of(service: StandIn, key: str = "sk-first") -> KlingClient:
    session = requests.Session()
    session.mount("https://", InProcess(service))
    clock = service.clock
    return KlingClient(key, contract=service.contract, session=session, sleep=clock.advance, monotonic=clock.now)


@pytest.fixture(params=range(len(HABITS)))
def habits(request: pytest.FixtureRequest) -> Any:
    return HABITS[request.param]


@pytest.mark.parametrize("contract", ["cometapi", "cometapi-2026", "kling"])
def test_it_gets_pictures_and_tells_errors_apart(contract: str, habits: Any, tmp_path: Path) -> None:
    service = StandIn(contract, habits)
    with client_of(service) as client, client_of(service, "sk-nobody") as stranger:
        made = client.create(PICTURES, prompt="two friends", n=2, aspect_ratio="4:3", external_task_id="order-1")
        saved = client.save(client.wait(made.task_id), tmp_path)
        refused = client.create(["https://nowhere.invalid/a.png", *PICTURES])

        assert [path.read_bytes()[:4] for path in saved] == [b"\x89PNG"] * 2
        with pytest.raises(TaskFailedError, match="Something went wrong when we tried"):
            client.wait(refused.task_id)
        with pytest.raises(InvalidRequestError, match="order-1 already exists"):
            client.create(PICTURES, external_task_id="order-1")
        with pytest.raises(InvalidRequestError, match="size must be between 0 and 2500"):
            client.create(PICTURES, prompt="x" * 2501)
        with pytest.raises(InvalidRequestError if habits.unknown_task == "404" else UnknownTaskError):
            client.get("100000000000000000")
        with pytest.raises(AuthenticationError):
            stranger.get(made.task_id)
