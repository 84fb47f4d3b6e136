"""What pytest shows of a failed call of ours: never a key or secret, with all variables shown and from a service that echoes it."""

from __future__ import annotations

import base64
import json
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.conftest import FEW_PLUGINS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["pytester"]

KEY = "sk-4711-very-secret"
TOKEN = "token-of-the-control-api"
SECRET = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI="
SECRET_KEY = "SK-4711-signs-tokens"
PAIR = (("KLING_ACCESS_KEY", "AK"), ("KLING_SECRET_KEY", SECRET_KEY))
DEAD = "http://127.0.0.1:9"
TESTS = f"""
import os
import socket

import pytest
import klingkit
from klingkit.client import KlingClient, Task, parse_callback
from klingkit.contract.targets.target import Request
from klingkit.mock_server.control.client import Control

DEAD = "{DEAD}"
ECHO = os.environ["ECHO"]
URL = "https://example.com/a.png"

def test_nobody_there():
    KlingClient(base_url=DEAD, retry_for=0).get("1")

def test_nobody_to_create():
    KlingClient(base_url=DEAD, retry_for=0).create([URL, URL])

def test_a_wrong_address():
    KlingClient(os.environ["COMETAPI_KEY"], "x")

def test_a_wrong_key():
    KlingClient(os.environ["COMETAPI_KEY"] + "\\n", DEAD)

@pytest.mark.parametrize("task_id", ["refusal", "task", "list", "page"])
def test_an_echo(task_id):
    KlingClient(base_url=ECHO, retry_for=0).wait(task_id)

def test_an_echo_of_a_create():
    KlingClient(base_url=ECHO, retry_for=0).create([URL, URL])

@pytest.mark.parametrize("ask", ["get", "wait", "list", "create", "external"])
def test_a_pair_of_keys(ask):
    client = KlingClient(base_url=ECHO, contract="kling", retry_for=0)
    if ask == "list":
        client.list()
    if ask == "create":
        client.create([URL], external_task_id="refusal")
    if ask == "external":
        client.get(external_task_id="refusal")
    getattr(client, ask)("refusal")

def test_a_wrong_secret_key():
    KlingClient(access_key="AK", secret_key=os.environ["KLING_SECRET_KEY"] + "\\n")

def test_a_signer_that_breaks(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no tokens here")

    monkeypatch.setattr("jwt.api_jws.json.dumps", broken)
    KlingClient(access_key="AK", secret_key=os.environ["KLING_SECRET_KEY"])

def test_saving(tmp_path):
    KlingClient(base_url=ECHO, retry_for=0).save(Task("1", "succeed", (DEAD,)), tmp_path)

def test_no_sockets(monkeypatch):
    def forbidden(*_, **__):
        raise RuntimeError("no sockets here")

    monkeypatch.setattr(socket, "socket", forbidden)
    KlingClient(base_url=DEAD).get("1")

def test_a_callback():
    parse_callback(b"{{}}", {{}}, os.environ["HOOK"])

def test_a_wrong_secret():
    parse_callback(b"{{}}", {{}}, os.environ["HOOK"] + "!")

def test_a_fixture(kling_client):
    kling_client.get("1")

def test_a_fixture_on_a_port(kling_server, kling_client):
    kling_client.get("1")

def test_a_mock():
    with klingkit.mock():
        KlingClient(os.environ["COMETAPI_KEY"], klingkit.Kling.url or None).get("1")

def test_the_control():
    Control.over_http(DEAD, key=os.environ["COMETAPI_KEY"], token=os.environ["TOKEN"]).journal()

@pytest.mark.parametrize("what", ["get", "create"])
def test_a_target(klingkit_target, what):
    path = "/kling/v1/images/generations"
    klingkit_target.send(Request("GET", path + "/1") if what == "get" else Request("POST", path, body={{}}))

def test_a_target_with_a_key(klingkit_target):
    klingkit_target.send(Request("GET", "/"), os.environ["COMETAPI_KEY"])
"""


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked with, wherever an answer has a text."""

    def do_GET(self) -> None:
        said = self.headers["Authorization"]
        key = said.removeprefix("Bearer ")
        name = self.path.rpartition("/")[2]
        body = {
            "refusal": json.dumps(
                {"code": key, "message": said, "request_id": base64.b64encode(said.encode()).decode()}
            ),
            "task": json.dumps({"code": 0, "data": {"task_id": key, "task_status": said, "task_status_msg": said}}),
            "list": json.dumps([key]),
        }.get(name, f"<html>{key}</html>")
        content = body.encode()
        self.send_response(200)
        for header in ("Content-Type", "x-cometapi-request-id", "Retry-After"):
            self.send_header(header, key)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def assert_nothing_secret(text: str) -> None:
    forms = [
        KEY,
        TOKEN,
        SECRET_KEY,
        SECRET[6:],
        base64.b64decode(SECRET[6:]).decode(),
        base64.b64encode(KEY.encode()).decode()[:-4],
    ]
    tokens = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{43}")
    lines = [line for line in text.splitlines() if any(form in line for form in forms) or tokens.search(line)]
    assert lines == []


@pytest.mark.parametrize(
    "arguments", [("-l", "--tb=long"), ("-l", "--klingkit-target", DEAD)], ids=["simulator", "service"]
)
def test_a_failed_call_shows_no_key(
    pytester: pytest.Pytester, echo: str, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    for name in [name for name in os.environ if name.startswith(("PYTEST", "COMETAPI", "KLING"))]:
        monkeypatch.delenv(name)
    for name, value in (
        ("COMETAPI_KEY", KEY),
        ("TOKEN", TOKEN),
        ("HOOK", SECRET),
        ("ECHO", echo),
        *PAIR,
        *FEW_PLUGINS.items(),
    ):
        monkeypatch.setenv(name, value)
    pytester.makepyfile(test_it=TESTS)
    done = pytester.runpytest_subprocess(*arguments)
    text = done.stdout.str() + done.stderr.str()

    passed = done.parseoutcomes().get("passed", 0)
    assert passed == (0 if DEAD in arguments else 3), text  # the target of the last run is dead, the simulator is not
    assert len(re.findall(r"^E  ", text, re.MULTILINE)) >= done.parseoutcomes()["failed"] > 15
    assert_nothing_secret(text)


def test_the_suite_shows_no_key_that_a_service_echoes(
    pytester: pytest.Pytester, echo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("PYTEST", "COMETAPI", "KLINGKIT"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COMETAPI_KEY", KEY)
    monkeypatch.setenv("KLINGKIT_OTHER_KEY", TOKEN)
    for name, value in FEW_PLUGINS.items():
        monkeypatch.setenv(name, value)
    arguments = ("-l", "--tb=long", "--pyargs", "klingkit.contract", "--klingkit-target", echo)
    done = pytester.runpytest_subprocess(*arguments)
    text = done.stdout.str() + done.stderr.str()
    assert done.ret != 0
    assert_nothing_secret(text)
