"""The simulator as a target of the contract kit, without a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from klingkit.contract.targets.target import Request, Target
from klingkit.mock_server.serving.in_process import in_process_target
from tests.conftest import PATH, body

if TYPE_CHECKING:
    from klingkit.contract import Contract


def test_a_task_lives_in_virtual_time_and_calls_back(contract: Contract) -> None:
    target: Target = in_process_target(contract, speed=1.0)
    before = target.now()
    create = Request("POST", PATH, body(callback_url=target.callback_url, n=2), content_type="application/json")

    created = target.send(create, "key")
    assert (created.http, created.data["task_status"]) == (200, "submitted")
    target.wait(60.5)
    ended = target.send(Request("GET", f"{PATH}/{created.data['task_id']}"), "key")

    assert target.now() == before + 60.5
    assert [callback.body["task_status"] for callback in target.received] == ["submitted", "processing", "succeed"]
    assert {callback.content_type for callback in target.received} == {contract.callbacks.content_type}
    urls = [image["url"] for image in ended.data["task_result"]["images"]]
    pictures = [target.fetch(url) for url in urls]
    assert [(picture.http, picture.headers["content-type"]) for picture in pictures] == [(200, "image/png")] * 2


def test_settings_and_keys_are_those_of_the_simulator(contract: Contract) -> None:
    target = in_process_target(contract, keys=frozenset({"right"}))
    query = Request("GET", f"{PATH}/1")

    assert target.send(query, "wrong").http == 401
    assert target.send(query, "right").body["code"] == "task_not_exist"
