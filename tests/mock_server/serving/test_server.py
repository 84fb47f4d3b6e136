"""`klingkit serve` in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click.testing import CliRunner

from klingkit.cli import main
from klingkit.mock_server.app import create_app
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from tests.conftest import PATH, Running, b64, body, png, png_header, serving, subjects

if TYPE_CHECKING:
    from collections.abc import Iterator


def klingkit(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "klingkit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def create(url: str, request: dict[str, Any], key: str = "k") -> requests.Response:
    return requests.post(url + PATH, json=request, headers={"Authorization": f"Bearer {key}"}, timeout=20)


def query(url: str, task_id: str, key: str = "k") -> dict[str, Any]:
    response = requests.get(f"{url}{PATH}/{task_id}", headers={"Authorization": f"Bearer {key}"}, timeout=20)
    data: dict[str, Any] = response.json()["data"]
    return data


def test_the_printed_curl_lines_work_as_they_are(server: Running) -> None:
    create_line, query_line = re.findall(r"^\s*(curl .*)$", server.banner, re.MULTILINE)

    created = json.loads(subprocess.run(shlex.split(create_line), capture_output=True, check=True).stdout)
    assert created["code"] == 0
    query_line = query_line.replace("TASK_ID", created["data"]["task_id"])
    done = json.loads(subprocess.run(shlex.split(query_line), capture_output=True, check=True).stdout)
    assert done["data"]["task_status"] == "succeed"


def test_pictures_are_served_over_http(server: Running) -> None:
    """HEAD, Range and Content-Length are right on the wire too."""
    task_id = create(server.url, body()).json()["data"]["task_id"]
    url = query(server.url, task_id)["task_result"]["images"][0]["url"]
    assert url.startswith(server.url)
    whole = requests.get(url, timeout=20)
    head = requests.head(url, timeout=20)
    part = requests.get(url, headers={"Range": "bytes=-10"}, timeout=20)

    assert whole.content.startswith(b"\x89PNG")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"] == str(len(whole.content))
    assert (part.status_code, part.content) == (206, whole.content[-10:])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly(number: int) -> None:
    """With a connection still open; the log has one line a request and nothing else."""
    with serving("--seed", "1") as running, socket.create_connection((running.host, running.port)) as idle:
        idle.sendall(b"GET /_mock/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(65536)
        log = running.stop(number)

    assert running.process.returncode == 0
    assert re.fullmatch(r"\d\d:\d\d:\d\d GET /_mock/health 200 [\d.]+ ms -\n", log)


def test_a_closed_terminal_ends_it_with_a_line() -> None:
    with serving("--seed", "1") as running:
        create(running.url, body())
        log = running.stop(signal.SIGHUP)

    assert running.process.returncode == 0
    assert "stopped by SIGHUP, and with it 1 tasks; `nohup` keeps it running" in log


def test_nothing_keeps_the_port_of_a_server_that_was_killed() -> None:
    with serving() as running:
        running.process.kill()
        running.process.communicate(timeout=20)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind((running.host, running.port))


def test_a_log_that_nobody_reads_does_not_stop_it() -> None:
    """What did not fit into the pipe is counted, and said when somebody reads again."""
    command = [sys.executable, "-m", "klingkit", "serve", "--port", "0", "--instant"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        match = re.search(r"http://\S+", process.stdout.readline().decode())
        assert match
        with requests.Session() as session:
            session.headers["Authorization"] = "Bearer k"
            for _ in range(1000):
                assert session.get(match[0] + PATH + "/1", timeout=20).status_code == 400
            assert len(os.read(process.stderr.fileno(), 1_000_000)) > 10_000
            session.get(match[0] + PATH + "/2", timeout=20)
        process.terminate()
        log = process.communicate(timeout=20)[1].decode()

    assert re.search(
        r"^\(\d+ lines were dropped, since nobody read them\)\n(.*/1 400 .*\n)*.*/2 400 ", log, re.MULTILINE
    )


def test_a_taken_port_is_one_clear_line(server: Running) -> None:
    result = klingkit("serve", "--port", str(server.port))

    assert result.returncode == 1
    assert result.stdout == ""
    assert re.fullmatch(
        rf"Error: cannot listen on 127.0.0.1 port {server.port}: .*, where a klingkit serves already; "
        r"choose another with --port, .*\n",
        result.stderr,
    )


def test_a_port_that_another_program_has_is_told_within_a_second() -> None:
    """Whether it says nothing or something that is no HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = klingkit("serve", "--port", str(silent.getsockname()[1]))

    assert result.returncode == 1
    assert "where another program listens; choose another with --port" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "99999"], "99999"),
        (["--speed", "0"], "0"),
        (["--speed", "fast"], "fast"),
        (["--max-body", "lots"], "100MB"),
        (["--max-memory", "10"], "1MB or more"),
        (["--seed", "x"], "x"),
        (["--seed", str(2**63)], "is not in the range"),
        (["--public-url", "host"], "http"),
        (["--prot", "1"], "--port"),
        (["--speed", "nan"], "nan"),
        (["--key", "two words"], "one word"),
        (["--allow-callback", "http://x/"], "not a host"),
        (["--control-token", ""], "it is empty"),
        (["--control-token", "tökén"], "a token is one word of ASCII characters"),
        (["--control-token", "two words"], "a token is one word of ASCII characters"),
        (["--scenario", "error-13"], "error-1304"),
        (["--progression", "poll"], "polls"),
        (["--balance", "much"], "0.50"),
        (["--callback-secret", "!"], "Base64"),
        (["--callback-retries", "often"], "patient"),
    ],
)
def test_wrong_options_are_usage_errors(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(main, ["serve", *arguments])

    assert isinstance(result.exception, SystemExit)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


def test_an_unknown_host_is_one_clear_line() -> None:
    result = klingkit("serve", "--host", "no.such.host.invalid", "--port", "0")

    assert result.returncode == 1
    assert result.stderr.startswith("Error: cannot listen on no.such.host.invalid")
    assert result.stderr.count("\n") == 1


def test_every_option_is_an_environment_variable() -> None:
    options = {
        "KLINGKIT_SPEED": "1000",
        "KLINGKIT_SEED": "77",
        "KLINGKIT_KEY": "sk-one sk-two",
        "KLINGKIT_MAX_BODY": "1KB",
        "KLINGKIT_PUBLIC_URL": "https://mock.example/",
        "KLINGKIT_INSTANT": "1",
    }
    with serving(**options) as running:
        assert "sk-one" not in running.banner
        assert "seed 77" in running.banner
        assert create(running.url, body(), "sk-three").status_code == 401
        assert create(running.url, body(prompt="x" * 2000), "sk-one").status_code == 413
        task_id = create(running.url, body(), "sk-two").json()["data"]["task_id"]
        done = query(running.url, task_id, "sk-two")
        log = running.stop()

    assert done["task_result"]["images"][0]["url"].startswith("https://mock.example/_mock/")
    assert "sk-" not in log


def test_the_same_seed_gives_the_same_request_ids() -> None:
    """Also in another process, which this one is."""

    def first_id(seed: int) -> str:
        answer = (
            create_app(Simulator(Settings(seed=seed)))
            .test_client()
            .post(PATH, json=body(n=0), headers={"Authorization": "Bearer k"})
        )
        return str(json.loads(answer.data)["request_id"])

    with serving("--seed", "5") as running:
        found = create(running.url, body(n=0)).json()["request_id"]

    assert first_id(5) == found != first_id(6)


class Files(BaseHTTPRequestHandler):
    """Serves pictures: /good.png, /small.png, anything else is missing."""

    def do_GET(self) -> None:
        data = {"/good.png": png(300, 300, "#00ff00"), "/small.png": png(10, 10)}.get(self.path)
        self.send_response(200 if data else 404)
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def files() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_inputs_are_fetched_when_asked(files: str) -> None:
    """A small picture and a missing one end the task with the text of each; without the option URLs are not fetched."""

    def message(url: str, name: str) -> str:
        request = body(subject_image_list=subjects(f"{files}/good.png", f"{files}/{name}"))
        data = query(url, create(url, request).json()["data"]["task_id"])
        return str(data["task_status_msg"] or data["task_status"])

    with serving("--instant", "--fetch-inputs") as running:
        assert message(running.url, "good.png") == "succeed"
        assert message(running.url, "small.png") == "Image pixel is invalid"
        missing = "Something went wrong when we tried to get the contents of the file."
        assert message(running.url, "missing.png") == missing
    with serving("--instant") as running:
        assert message(running.url, "missing.png") == "succeed"


def test_large_creates_fit(server: Running) -> None:
    """Pictures over the limit of this server are refused, and work where the limit is the default."""
    noise = png_header(1024, 768, bytes(2_000_000))
    request = body(subject_image_list=subjects(*[b64(noise)] * 4))
    assert create(server.url, request).status_code == 413
    with serving("--instant") as running:
        assert create(running.url, request).status_code == 200


def test_the_first_requests_of_a_server_can_come_all_at_once() -> None:
    """What is imported late is imported by one thread at a time; Python takes two for a deadlock now and then."""
    code = """
import sys, threading
from klingkit.contract.pictures import measure
from klingkit.contract.cases.sample_pictures import picture
from contextlib import suppress
from klingkit.mock_server.outbound import Outbound, OutboundError, host_and_path
sys.setswitchinterval(1e-6)
barrier, failed = threading.Barrier(24), []
def first(number):
    barrier.wait()
    try:
        if number % 2:
            with suppress(OutboundError):
                Outbound(frozenset(), "").post("http://127.0.0.1:9/", b"", {}, timeout_ms=500)
        host_and_path("http://a/")
        measure(picture(30 + number % 3, 30, "JPEG"))
    except BaseException as error:
        failed.append(error)
threads = [threading.Thread(target=first, args=(number,)) for number in range(24)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
sys.exit(repr(failed) if failed else 0)
"""
    for _ in range(10):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
