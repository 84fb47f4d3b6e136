"""The commands in each contract: whose key goes where, and what one contract alone has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import responses
from responses.matchers import query_string_matcher

from klingkit.client.dialect import DIALECTS
from klingkit.service_options import CONTRACTS
from tests.client.test_client import ID, refusal, success, task_data
from tests.client.test_contracts import COMETAPI, KLING
from tests.conftest import URL, png
from tests.klingkit.test_cli import one_line, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVICE = ("--base-url", "https://api-singapore.klingai.com")
PAIR = ("--access-key", "AK", "--secret-key", "SKsecret-key")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for service, names in (("COMETAPI", ("KEY",)), ("KLING", ("ACCESS_KEY", "SECRET_KEY", "API_KEY"))):
        for name in (*names, "BASE_URL"):
            monkeypatch.delenv(f"{service}_{name}", raising=False)


@pytest.fixture
def service() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def test_the_commands_know_the_contracts_of_the_client() -> None:
    assert tuple(DIALECTS) == CONTRACTS


def sent_key(service: responses.RequestsMock) -> str:
    return service.calls[0].request.headers["Authorization"].removeprefix("Bearer ")


def test_a_pair_of_keys_means_kling(service: responses.RequestsMock) -> None:
    service.post(KLING, json=success())
    extras = ("--scene", URL, "--negative-prompt", "no dogs", "--no-watermark", "--model", "kling-v2-1")
    assert run("submit", URL, *extras, *SERVICE, *PAIR).exit_code == 0

    assert sent_key(service).count(".") == 2
    assert json.loads(service.calls[0].request.body or "") == {
        "subject_image_list": [{"subject_image": URL}],
        "model_name": "kling-v2-1",
        "scene_image": URL,
        "negative_prompt": "no dogs",
        "watermark_info": {"enabled": False},
    }


def test_each_contract_has_variables_of_its_own(
    service: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key of one service is never sent to the other."""
    monkeypatch.setenv("COMETAPI_KEY", "sk-of-cometapi")
    monkeypatch.setenv("COMETAPI_BASE_URL", COMETAPI.removesuffix("/kling/v1/images/generations"))
    monkeypatch.setenv("KLING_BASE_URL", SERVICE[1])
    assert "set KLING_ACCESS_KEY and KLING_SECRET_KEY" in one_line(run("get", ID, "--contract", "kling"), 2)
    monkeypatch.setenv("KLING_API_KEY", "of-kling")
    service.get(f"{KLING}/{ID}", json=success())
    assert run("get", ID, "--contract", "kling").exit_code == 0
    assert sent_key(service) == "of-kling"
    monkeypatch.setenv("KLING_ACCESS_KEY", "AK")
    monkeypatch.setenv("KLING_SECRET_KEY", "SKsecret-key")
    service.calls.reset()
    assert run("get", ID, "--contract", "kling").exit_code == 0
    assert sent_key(service).startswith("eyJ")
    service.calls.reset()
    service.get(f"{COMETAPI}/{ID}", json=success())
    assert run("get", ID).exit_code == 0
    assert sent_key(service) == "sk-of-cometapi"


def test_tasks_are_listed(service: responses.RequestsMock) -> None:
    named = task_data("succeed", task_info={"external_task_id": "order-1\x1b[2J"}) | {"task_id": "8"}
    service.get(KLING, json={"code": 0, "message": "SUCCEED", "request_id": "r", "data": [named, task_data()]})
    shown = run("list", "--page", "2", "--page-size", "500", *SERVICE, *PAIR)

    assert shown.stdout.splitlines() == ["task 8: succeed  order-1\\x1b[2J", f"task {ID}: submitted"]
    assert service.calls[0].request.path_url.endswith("?pageNum=2&pageSize=500")
    tasks = json.loads(run("list", "--json", *SERVICE, *PAIR).stdout)["tasks"]
    assert [task["external_task_id"] for task in tasks] == ["order-1\x1b[2J", ""]


def test_a_task_is_shown_by_its_external_id(service: responses.RequestsMock) -> None:
    done = success(
        "succeed",
        task_info={"external_task_id": "order-1"},
        task_result={"images": [{"url": URL}]},
        final_unit_deduction="16",
    )
    service.get(f"{KLING}/order-1", json=done)
    shown = run("get", "--external-id", "order-1", *SERVICE, *PAIR)
    assert shown.stdout.splitlines() == [f"task {ID}: succeed", "  units taken: 16", f"  {URL}"]


def test_pictures_with_a_watermark_are_shown_and_saved(service: responses.RequestsMock, tmp_path: Path) -> None:
    marked = f"{URL}?marked=1"
    images = [{"index": 0, "url": URL, "watermark_url": marked}, {"index": 1, "url": f"{URL}?second=1"}]
    service.get(f"{KLING}/{ID}", json=success(task_status="succeed", task_result={"images": images}))
    for url, colour in ((URL, "red"), (marked, "blue"), (f"{URL}?second=1", "green")):
        service.get(url, body=png(4, 4, colour), match=[query_string_matcher(url.partition("?")[2])])

    shown = run("get", ID, *SERVICE, *PAIR).stdout.splitlines()
    saved = run("wait", ID, "--out", str(tmp_path), *SERVICE, *PAIR)

    assert shown[1:] == [f"  {URL}", f"  {URL}?second=1", f"  with a watermark: {marked}"]
    assert saved.exit_code == 0, saved.output
    files = [tmp_path / f"{ID}-{name}.png" for name in ("0", "1", "0-watermark")]
    assert saved.stdout.splitlines()[1:] == [f"  {file}" for file in files]
    assert files[2].read_bytes() == png(4, 4, "blue")


def test_an_unknown_task_is_one_line(service: responses.RequestsMock) -> None:
    service.get(f"{KLING}/9", json=refusal(1201, "Task not found by id/external id: 9"), status=400)
    assert "Task not found" in one_line(run("get", "9", *SERVICE, *PAIR), 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("get",), "pass a TASK_ID, or --external-id"),
        (("get", "1", "--external-id", "a"), "not both"),
        (("get", "--external-id", "a/b", *PAIR), "cannot be asked for"),
        (("get", "--external-id", "a", "--key", "k"), "the contract cometapi has no query by external_task_id"),
        (
            ("list", "--key", "k"),
            "the contract cometapi has no list of tasks; kling has it: choose one with --contract",
        ),
        (("list", "--page", "0", *PAIR), "page is a number from 1 to 1000"),
        (("get", "1", "--contract", "klingon"), "'klingon' is not one of 'cometapi', 'cometapi-2026', 'kling'"),
        (("get", "1", "--access-key", "AK"), "no secret_key: pass --secret-key or set KLING_SECRET_KEY"),
        (("get", "1", "--contract", "cometapi-2026", *PAIR), "the contract cometapi-2026 takes a key"),
        (("get", "1", "--key", "k", *PAIR), "not both"),
        (("submit", URL, "--key", "k"), "1 subjects: the contract cometapi takes 2 to 4"),
        (
            ("submit", URL, URL, "--watermark", "--key", "k"),
            "the contract cometapi has no watermark; cometapi-2026 and kling have it: choose one with --contract",
        ),
    ],
)
def test_what_a_contract_does_not_have_is_usage(arguments: tuple[str, ...], says: str) -> None:
    """Without a mock: nothing is sent."""
    line = one_line(run(*arguments, *SERVICE), 2)
    assert says in line
    assert "SKsecret-key" not in line
