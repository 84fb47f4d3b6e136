"""Pages of somebody else in a browser of this machine: they may not use the simulator, and every program may."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from klingkit.mock_server.app import create_app
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.serving.in_process import call
from tests.conftest import PATH, Api, Running, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.test import TestResponse

EVIL = "http://evil.example:8000"


def create(api: Api, **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.send_unchecked("POST", PATH, json=body(), headers=named, environ_base={"REMOTE_ADDR": "127.0.0.1"})


FOREIGN = {
    "another origin": {"Host": "localhost:8000", "Origin": "https://evil.example"},
    "its name points here": {"Host": "evil.example:8000", "Origin": EVIL},
    "its name points here, and it gets": {"Host": "evil.example:8000", "Sec_Fetch_Site": "same-origin"},
    "an opaque origin": {"Host": "localhost:8000", "Origin": "null"},
    "an empty origin": {"Host": "localhost:8000", "Origin": ""},
    "no readable origin": {"Host": "localhost:8000", "Origin": "http://["},
    "no origin, and another site": {"Host": "localhost:8000", "Sec_Fetch_Site": "cross-site"},
    "a name that begins like ours": {"Host": "localhost:8000", "Origin": "http://localhost.evil.example"},
    "a user of our name": {"Host": "localhost:8000", "Origin": "http://localhost@evil.example"},
    "an address within a name": {"Host": "127.0.0.1.evil.example", "Origin": "http://127.0.0.1.evil.example"},
    "no host": {"Host": "", "Origin": "http://localhost:8000"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_page_makes_no_task(api: Api, headers: dict[str, str]) -> None:
    refused = create(api, **headers)

    assert refused.status_code == 403
    assert "klingkit does not answer" in refused.json["error"]["message"]  # type: ignore[index]
    assert api.simulator.store.tasks() == []
    assert [entry["status"] for entry in Control.of(api.simulator).journal()] == [403]


PROGRAMS = {
    "by loopback": {"Host": "127.0.0.1:8000"},
    "by the name of a container": {"Host": "kling:8000"},
    "by the name of the service": {"Host": "api.cometapi.com"},
    "by an address of the network": {"Host": "192.168.1.7:8000"},
    "without a host": {"Host": ""},
    "as Node does": {"Host": "kling:8000", "Sec_Fetch_Mode": "cors"},
    "a person who types the address": {"Host": "kling:8000", "Sec_Fetch_Site": "none"},
    "our own page": {"Host": "localhost:8000", "Origin": "http://localhost:8000", "Sec_Fetch_Site": "same-origin"},
    "a development server that passes requests on": {"Host": "127.0.0.1:8000", "Origin": "http://localhost:5173"},
    "the same, as IPv6": {"Host": "[::1]:8000", "Origin": "http://[::1]:5173"},
}


@pytest.mark.parametrize("headers", PROGRAMS.values(), ids=PROGRAMS)
def test_every_program_may(api: Api, headers: dict[str, str]) -> None:
    assert create(api, **headers).status_code == 200


@pytest.mark.parametrize("option", [{"allow_host": frozenset({"kling"})}, {"public_url": "https://KLING/x"}], ids=str)
def test_a_page_may_that_was_allowed(make_api: Callable[..., Api], option: dict[str, Any]) -> None:
    headers = {"Host": "kling:8000", "Origin": "http://kling:3000"}

    assert create(make_api(), **headers).status_code == 403
    assert create(make_api(**option), **headers).status_code == 200


def test_in_this_process_nobody_else_can_ask(api: Api) -> None:
    """Code under test may send whatever `Origin` it likes to the service."""
    headers = {"Authorization": "Bearer key", "Content-Type": "application/json", "Origin": "https://my.example"}
    reply = call(
        create_app(api.simulator), "POST", f"https://api.cometapi.com{PATH}", headers, json.dumps(body()).encode()
    )

    assert reply.status == 200


def test_the_picture_of_a_result_may_stand_in_every_page(make_api: Callable[..., Api]) -> None:
    api = make_api(instant=True)
    task_id = data_of(api.create())["task_id"]
    headers = {"Host": "localhost:8000", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}

    assert api.send("GET", f"/_mock/pictures/{task_id}/0.png", key=None, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://localhost:5173"},
        {"Origin": "http://["},
        {"Host": "localhost:8000["},
        {"User-Agent": "klingkit"},
    ],
    ids=str,
)
def test_the_control_api_is_stricter(api: Api, headers: dict[str, str]) -> None:
    data_of(api.create())
    refused = api.send("POST", "/_mock/reset", key=None, headers={"Host": "localhost:8000", **headers})

    assert refused.status_code == 403
    assert len(api.simulator.store.tasks()) == 1


def test_over_a_real_socket(server: Running) -> None:
    """Server and headers as a browser sends them after its page's name was made to point here."""
    headers = {"Authorization": "Bearer rebound", "Host": f"evil.example:{server.port}"}
    page = {**headers, "Origin": f"http://evil.example:{server.port}"}

    assert requests.post(server.url + PATH, json=body(), headers=page, timeout=5).status_code == 403
    assert requests.post(server.url + PATH, json=body(), headers=headers, timeout=5).status_code == 200
