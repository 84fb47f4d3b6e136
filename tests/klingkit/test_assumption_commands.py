"""`klingkit assumptions` and `probe`, and `serve` with what is assumed: what they print, and how they end."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests
from click.testing import CliRunner
from pytest_httpserver import HTTPServer
from werkzeug import Response

from klingkit.cli import main
from klingkit.contract import load_contract
from klingkit.contract.assumption_answers import load_answers
from klingkit.contract.targets.target import HttpTarget, NoAnswerError
from klingkit.mock_server.control.client import Control
from tests.conftest import PATH, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result
    from werkzeug import Request

    from klingkit.contract.targets.target import Reply
    from klingkit.contract.targets.target import Request as Asked


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"COMETAPI_KEY": None})


@pytest.mark.parametrize("name", ["cometapi", "kling"])
def test_every_question_is_listed_with_its_alternatives(name: str) -> None:
    rows = json.loads(run("assumptions", "--contract", name, "--json").stdout)
    text = run("assumptions", "--contract", name).stdout

    assert [row["id"] for row in rows] == [each.id for each in load_contract(name).assumptions]
    for row in rows:
        assert f"{row['id']} ({row['evidence']}): {row['question']}\n" in text
        assert f"  * {row['default']}: {row['alternatives'][row['default']]}\n" in text
        assert bool(row["fixed"]) == (len(row["alternatives"]) == 1)
        assert row["evidence"]
        assert row["probe"]


def test_an_unknown_contract_is_2() -> None:
    result = run("assumptions", "--contract", "klong")

    assert (result.exit_code, result.stderr) == (
        2,
        "Error: --contract: unknown contract 'klong'; there are cometapi, cometapi-2026, kling\n",
    )


def test_a_service_is_asked_and_a_server_then_does_as_it_did(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    with serving("--assume", "unknown-task=kling", "--assume", "prompt-length=bytes") as running:
        result = run("probe", running.url, "--out", str(file))
        assert result.exit_code == 0, result.output
        assert Control.over_http(running.url).health()["tasks"]["submitted"] == 0

    assert "unknown-task: kling (400/1201 'Task not found by id/external id: 100000000000000000')" in result.stdout
    assert "base64-dialect: open (not asked: it would cost 0.0133 USD if its task did not fail)" in result.stdout
    assert "quota: open (not asked: no request that may be sent shows it)" in result.stdout
    assert "callback-processing: open (400/1201 'File is not in a valid base64 format': fits " in result.stdout
    assert [row.partition(":")[0] for row in result.stdout.splitlines()].count("quota") == 1
    assert len(result.stdout.splitlines()) == len(load_contract().assumptions) + 1
    assert result.stdout.splitlines()[-1].endswith(f"questions are settled; the answers are in {file}")
    answers = dict(load_answers(file, "cometapi").assume)
    assert (answers["unknown-task"], answers["prompt-length"], answers["null-values"]) == ("kling", "bytes", "absent")
    with serving("--answers", str(file), "--assume", "prompt-length=characters") as taught:
        shown = Control.over_http(taught.url).health()
        assert shown["status"] == "ok"
        again = run("probe", taught.url).stdout
        assert "unknown-task: kling" in again
        assert "prompt-length: characters" in again


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--assume", "prompt-length"], "'prompt-length' is no ID=ALTERNATIVE"),
        (["--assume", "prompt-length=words"], "prompt-length has no alternative 'words'; there are characters, bytes"),
        (
            ["--assume", "prompt=bytes"],
            "cometapi has no assumption 'prompt'; there are list-errors, ",
        ),
        (["--contract", "cometapi+prompt=bytes"], "cometapi has no assumption 'prompt'; there are list-errors, "),
        (["--contract", "kling+plain-generation"], "plain"),
        (
            ["--contract", "kling", "--assume", "bare-key=accepted"],
            "kling has no assumption 'bare-key'; there are list-errors, ",
        ),
        (["--contract", "klong", "--assume", "prompt-length=bytes"], "klong"),
    ],
)
def test_what_cannot_be_assumed_is_2(arguments: list[str], said: str) -> None:
    result = run("serve", *arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_answers_of_another_contract_are_2(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"contract": "kling", "url": "", "at": "", "answers": {}}))

    result = run("serve", "--answers", str(file))

    assert result.exit_code == 2
    assert result.stderr == f"Error: {file} holds answers of kling, not of cometapi: choose --contract kling\n"


@contextmanager
def pages(status: int, **body: str) -> Iterator[tuple[str, list[str]]]:
    """A service that has one answer for all; gives its URL and the authorizations that came."""
    with HTTPServer(host="127.0.0.1") as service:
        came: list[str] = []

        def answer(request: Request) -> Response:
            came.append(request.headers["Authorization"])
            return Response(json.dumps(body), status, content_type="application/json")

        service.expect_request(re.compile(".*")).respond_with_handler(answer)
        yield service.url_for("").rstrip("/"), came


def test_what_cannot_be_asked_is_2() -> None:
    assert run("probe", "https://api.example.com").exit_code == 2
    result = run("probe", "http://127.0.0.1:9")

    assert result.exit_code == 2
    assert result.stderr.startswith("Error: nothing could be asked: http://127.0.0.1:9: ")


@pytest.mark.parametrize(
    ("status", "said"), [(401, "does not accept the key"), (404, "is some other service, or a wrong address")]
)
def test_a_service_that_answers_nothing_is_asked_once(status: int, said: str) -> None:
    body = {"code": "1002", "message": "no"} if status == 401 else {"page": "none"}
    with pages(status, **body) as (url, came):
        result = run("probe", url, "--budget", "1")

    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: nothing could be asked: {url} {said}")
    assert len(came) == 1


def test_what_got_no_answer_is_3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = HttpTarget.send

    def cut(target: HttpTarget, request: Asked, key: str | None = None) -> Reply:
        if request.method == "POST":
            raise NoAnswerError("cut off")
        return whole(target, request, key)

    monkeypatch.setattr(HttpTarget, "send", cut)
    with serving("--instant") as running:
        result = run("probe", running.url, "--out", str(tmp_path / "new" / "answers.json"))

    assert result.exit_code == 3
    assert "error-passthrough: open (no answer: cut off)" in result.stdout
    assert (tmp_path / "new" / "answers.json").exists()


KEYS = {
    "COMETAPI_KEY": "sk-of-cometapi-alone",
    "KLING_API_KEY": "sk-of-kling-alone",
    "KLING_ACCESS_KEY": None,
    "KLING_SECRET_KEY": None,
}


@pytest.mark.parametrize(
    ("contract", "more", "goes"),
    [
        ("cometapi", {}, "sk-of-cometapi-alone"),
        ("kling", {}, "sk-of-kling-alone"),
        ("kling", {"KLING_API_KEY": None}, None),
    ],
)
def test_no_key_goes_to_another_service(contract: str, more: dict[str, str | None], goes: str | None) -> None:
    with pages(401, code="1002", message="no") as (url, came):
        result = CliRunner().invoke(main, ["probe", url, "--contract", contract], env={**KEYS, **more})

    assert result.exit_code == 2
    assert len(came) == 1
    assert "sk-of-cometapi-alone" not in came[0] or goes == "sk-of-cometapi-alone"
    if goes:
        assert came == [f"Bearer {goes}"]


def test_a_pair_of_keys_asks_kling_as_the_environment_says(tmp_path: Path) -> None:
    secret = "klingkit-secret-of-the-pair-0001"
    pair = {"KLING_ACCESS_KEY": "klingkit-access", "KLING_SECRET_KEY": secret}
    file = tmp_path / "answers.json"
    with serving("--contract", "kling", "--access-key", "klingkit-access", "--secret-key", secret) as running:
        words = ["probe", running.url, "--contract", "kling", "--out", str(file)]
        result = CliRunner().invoke(main, words, env={**KEYS, **pair})
        wrong = CliRunner().invoke(main, words, env={**KEYS, **pair, "KLING_SECRET_KEY": secret[::-1]})

    assert result.exit_code == 0, result.output
    assert "prompt-length: characters" in result.stdout
    assert secret not in result.output + file.read_text()
    assert wrong.exit_code == 2
    assert "does not accept the key" in wrong.stderr


def test_a_pair_of_keys_is_not_for_cometapi() -> None:
    result = run("probe", "http://127.0.0.1:9", "--access-key", "a", "--secret-key", "b")

    assert result.exit_code == 2
    assert "--access-key and --secret-key are for kling" in result.stderr


def test_answers_that_cannot_be_written_are_2_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pages(401) as (url, came):
        result = run("probe", url, "--out", str(tmp_path / "file" / "answers.json"))

    assert result.exit_code == 2
    assert result.stderr.startswith("Error: --out: ")
    assert came == []


def test_serve_takes_what_is_added_to_the_name_of_a_contract() -> None:
    plain = {"prompt": "a red apple"}
    with serving("--instant", "--contract", "cometapi+plain-generation+unknown-task=kling") as running:
        made = requests.post(running.url + PATH, json=plain, headers={"Authorization": "Bearer any"}, timeout=20)
        gone = requests.get(running.url + PATH + "/1", headers={"Authorization": "Bearer any"}, timeout=20)

    assert made.status_code == 200
    assert gone.json()["message"].startswith("Task not found by id/external id: 1")
