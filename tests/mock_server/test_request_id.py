"""One id of a request, from its answer through log and journal to the callbacks of the task that it made."""

from __future__ import annotations

import json
import logging

import pytest

from klingkit.mock_server.app import create_app
from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, body
from tests.mock_server.test_callbacks import HOOK, Receiver
from tests.mock_server.test_contracts import KLING


@pytest.mark.parametrize("path", [PATH, KLING])
def test_one_id_names_a_request_everywhere(path: str, caplog: pytest.LogCaptureFixture) -> None:
    """The gateway's header has it, or where a contract has no such header, the body; a client's own id is not it."""
    receiver = Receiver(500)
    simulator = Simulator(Settings(contract="all"), clock=ClockState(START), send=receiver)
    own = {"Authorization": "Bearer key", "X-Request-Id": "mine", "Klingkit-Request-Id": "mine too"}
    client, control = create_app(simulator).test_client(), Control.of(simulator, key="key")
    caplog.set_level(logging.INFO, "klingkit")

    answer = client.post(path, json=body(callback_url=HOOK), headers=own)
    client.get(path + "/1", headers=own)
    control.advance_to("idle")

    request_id = answer.headers.get("x-cometapi-request-id") or json.loads(answer.data)["request_id"]
    (entry,) = control.journal(request_id=request_id)
    (task,) = control.tasks()
    assert entry["answer"]["data"]["task_id"] == task["task_id"]
    assert task["request_id"] == request_id
    assert control.wait_for_request(request_id=request_id) == entry
    assert len(receiver.headers) == 4  # one is tried twice
    assert {headers["Klingkit-Request-Id"] for headers in receiver.headers} == {request_id}
    named = [message for message in caplog.messages if request_id in message]
    assert len([line for line in named if line.startswith(f"POST {path} 200 ")]) == 1
    assert len([line for line in named if line.startswith("callback of task ")]) == 4
    assert not [line for line in caplog.messages if "mine" in line]


def test_a_refusal_has_one_too() -> None:
    simulator = Simulator(Settings(contract="kling"), clock=ClockState(START))
    answer = create_app(simulator).test_client().post(KLING, json={})

    (entry,) = Control.of(simulator).journal(request_id=json.loads(answer.data)["request_id"])
    assert entry["status"] == answer.status_code == 401
