"""The command line, against a real server and through click."""

from __future__ import annotations

import json
import re
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click import Option
from click.testing import CliRunner, Result
from pytest_httpserver import HTTPServer

from klingkit.cli import main
from tests.conftest import PATH, URL, b64, body, png, subjects

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Running


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMETAPI_KEY", raising=False)
    monkeypatch.delenv("COMETAPI_BASE_URL", raising=False)
    for name in ("KLINGKIT_ACCOUNT_KEY", "KLINGKIT_CALLBACK_SECRET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    names = []
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        (tmp_path / name).write_bytes(png(300, 300, colour))
        names.append(str(tmp_path / name))
    return names


def run(*arguments: str) -> Result:
    """Run the command in process; what it lets through is no SystemExit but a bug."""
    result = CliRunner().invoke(main, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def one_line(result: Result, exit_code: int) -> str:
    """The error that a command ended with."""
    assert result.exit_code == exit_code, result.output
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: "), result.stderr
    return line


def test_submit_wait_and_save(server: Running, files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(
        "submit", *files, "--prompt", "two friends", "--n", "2", "--aspect-ratio", "1:1", "--external-task-id", "cli-1",
        "--scene", URL, "--style", files[0], "--model", "kling-v2", "--callback-url", "http://127.0.0.1:9/",
        "--wait", "--out", str(out), "--base-url", server.url, "--key", "cli",
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    task_id = result.stdout.split()[1].rstrip(":")
    saved = [str(out / f"{task_id}-{index}.png") for index in (0, 1)]
    assert result.stdout.splitlines() == [f"task {task_id}: succeed", *(f"  {file}" for file in saved)]
    assert result.stderr.splitlines()[-1] == f"{task_id} succeed"
    assert sorted(map(str, out.iterdir())) == saved


def test_each_step_by_itself(server: Running, files: list[str], tmp_path: Path) -> None:
    """`submit`, then `get`, then `wait`; the address from the environment."""
    submitted = run("submit", *files, "--base-url", server.url)
    assert submitted.exit_code == 0, submitted.output
    match = re.fullmatch(r"task (\d{18}): submitted\n", submitted.stdout)
    assert match
    shown = run("get", match[1], "--base-url", server.url)
    assert shown.stdout.splitlines() == [
        f"task {match[1]}: succeed",
        f"  {server.url}/_mock/pictures/{match[1]}/0.png",
    ]
    waited = run("wait", match[1], "--out", str(tmp_path), "--base-url", server.url)
    assert waited.stdout.splitlines()[-1] == f"  {tmp_path / match[1]}-0.png"


def test_json_is_one_object(server: Running, files: list[str], tmp_path: Path) -> None:
    result = run(
        "submit", *files, "--wait", "--json", "--out", str(tmp_path), "--base-url", server.url, "--prompt", "дом"
    )
    task = json.loads(result.stdout)

    assert task["status"] == "succeed"
    assert isinstance(task["task_id"], str)
    assert task["files"] == [str(tmp_path / f"{task['task_id']}-0.png")]
    assert result.stderr == ""


def test_a_failed_task_exits_with_1(server: Running) -> None:
    request = body(subject_image_list=subjects(URL, b64(png(10, 10))))
    answer = requests.post(server.url + PATH, json=request, headers={"Authorization": "Bearer any"}, timeout=20)
    task_id = answer.json()["data"]["task_id"]

    assert "Image pixel is invalid" in one_line(run("wait", task_id, "--base-url", server.url), 1)
    shown = run("get", task_id, "--base-url", server.url)
    assert (shown.exit_code, shown.stdout) == (1, f"task {task_id}: failed\n  Image pixel is invalid\n")
    as_json = run("wait", task_id, "--json", "--base-url", server.url)
    assert (as_json.exit_code, json.loads(as_json.stdout)["message"]) == (1, "Image pixel is invalid")


def test_a_timeout_exits_with_3(slow_server: Running, files: list[str]) -> None:
    result = run("submit", *files, "--wait", "--timeout", "0", "--base-url", slow_server.url)
    assert "did not end within 0 s (last status: submitted)" in one_line(result, 3)


def test_a_refusal_exits_with_1(server: Running, files: list[str]) -> None:
    result = run("submit", *files, "--n", "10", "--base-url", server.url)
    assert one_line(result, 1) == "Error: n: must be less than or equal to 9 (HTTP 400, code 1201)"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["submit"], "PICTURE"),
        (["submit", "none.png", "none.png"], "none.png: No such file"),
        (["submit", "data:image/png;base64,AAAA", URL], "No such file"),
        (["submit", URL, URL, "--n", "two"], "two"),
        (["submit", URL, URL, "--out", "x"], "--out needs --wait"),
        (["wait", "not/an/id"], "not a task id"),
        (["get"], "TASK_ID"),
        (["get", "1", "--timeout", "5"], "--timeout"),
        (["wait", "1", "--timeout", "soon"], "soon"),
        (["submti", URL], "submti"),
    ],
)
def test_wrong_usage_exits_with_2(server: Running, arguments: list[str], says: str) -> None:
    url = ["--base-url", server.url] if arguments[-1] != URL or arguments[0] == "submit" else []
    assert says in one_line(run(*arguments, *url), 2)


def test_a_wrong_picture_is_named(server: Running, tmp_path: Path) -> None:
    (tmp_path / "small.png").write_bytes(png(10, 10))
    result = run("submit", URL, str(tmp_path / "small.png"), "--base-url", server.url)
    assert re.search(r"small\.png: 10 x 10 px; the API wants at least 300 px each way", one_line(result, 2))


@pytest.mark.parametrize("url", ["https://api.cometapi.com", "http://10.0.0.1:8000"])
def test_another_host_needs_a_key(url: str) -> None:
    assert "COMETAPI_KEY" in one_line(run("get", "1", "--base-url", url), 2)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "http://127.0.0.1:port", "http://[", "ftp://127.0.0.1"])
def test_a_wrong_address_is_usage(url: str) -> None:
    one_line(run("get", "1", "--base-url", url, "--key", "k"), 2)


def test_the_simulator_on_this_machine_is_the_default() -> None:
    """Never the paid service; whether or not something answers there now."""
    result = run("get", "--help")
    assert "[env var: COMETAPI_BASE_URL; default:" in re.sub(r"\s+", " ", result.stdout)
    assert "http://127.0.0.1:8000" in result.stdout


def test_nobody_answering_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, nobody answers
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        line = one_line(run("get", "1", "--base-url", url), 1)
    assert line == f"Error: nothing answers at {url}: start it with `klingkit serve`"


def test_environment_variables_choose_service_and_key(
    server: Running, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMETAPI_BASE_URL", server.url)
    monkeypatch.setenv("COMETAPI_KEY", "cli-env")
    task_id = run("submit", *files).stdout.split()[1].rstrip(":")

    assert run("get", task_id).exit_code == 0
    assert "task_not_exist" in one_line(run("get", task_id, "--key", "another"), 1)


def test_a_saved_file_needs_a_folder(server: Running, files: list[str], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    result = run("submit", *files, "--wait", "--out", str(tmp_path / "out"), "--base-url", server.url)
    assert "is a file" in one_line(result, 2)


@contextmanager
def answering(*tasks: dict[str, Any]) -> Iterator[str]:
    """A service that answers queries with these tasks, one after the other; gives its URL."""
    with HTTPServer(host="127.0.0.1") as service:
        for task in tasks:
            data = {"task_id": "1", "task_status": "succeed", **task}
            service.expect_ordered_request(f"{PATH}/1").respond_with_json({"code": 0, "data": data})
        yield service.url_for("").rstrip("/")


EVIL = {
    "task_status_msg": "\x1b[2J\x9b1m \u202e \ud800 дом 😀\nError: forged",
    "task_info": {"external_task_id": "\x1b]0;title\x07\ud800"},
    "task_result": {"images": [{"url": "https://c/\x1b[2J\n1"}]},
}


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("charset", ["utf-8", "ascii"])
def test_no_text_of_a_service_reaches_a_terminal_as_it_is(arguments: list[str], charset: str) -> None:
    for command in ("get", "wait"):
        with answering(EVIL) as url:
            result = CliRunner(charset=charset).invoke(main, [command, "1", *arguments, "--base-url", url])
        assert result.exit_code == 0, result.output
        lines = result.stdout_bytes.decode(charset).splitlines()
        assert len(lines) == (1 if arguments else 3)
        assert all(line.isprintable() for line in lines)
        if arguments:
            assert json.loads(lines[0])["external_task_id"] == "\x1b]0;title\x07\\ud800"


def test_a_failure_is_one_line_that_a_terminal_can_take() -> None:
    with answering({**EVIL, "task_status": "failed"}) as url:
        line = one_line(run("wait", "1", "--base-url", url), 1)
    assert line.isprintable()
    assert "forged" in line


def test_a_status_is_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, where a display shows it."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    with answering({"task_status": "[/foo]"}) as url:
        result = run("wait", "1", "--timeout", "0", "--base-url", url)
    assert result.exit_code == 3, result.output
    assert "last status: [/foo]" in result.stderr


def test_a_task_that_would_be_saved_elsewhere_is_refused(tmp_path: Path) -> None:
    with answering({"task_id": "../../x"}) as url:
        line = one_line(run("wait", "1", "--out", str(tmp_path / "out"), "--base-url", url), 1)
    assert "no task: its id is '../../x'" in line
    assert [path.name for path in tmp_path.rglob("*")] == ["out"]


def test_every_secret_can_come_from_the_environment_and_help_says_so_first() -> None:
    secrets = [
        option
        for command in main.commands.values()
        for option in command.params
        if isinstance(option, Option) and re.search("key|secret|token", option.opts[0])
    ]
    assert len(secrets) >= 15
    for option in secrets:
        assert option.envvar
        assert option.help
        assert option.help.startswith(f"Better as {option.envvar} in the environment")


def test_a_secret_from_the_environment_is_used(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLINGKIT_CALLBACK_SECRET", "!")
    assert "must be Base64" in one_line(run("listen", "--port", "0"), 2)
    monkeypatch.setenv("KLINGKIT_ACCOUNT_KEY", "an-account-that-asked-nothing")
    assert "no requests of that account" in one_line(run("advice", "--base-url", server.url), 2)


@pytest.mark.parametrize("command", ["get", "wait"])
def test_an_address_shows_no_password(command: str) -> None:
    line = one_line(run(command, "1", "--base-url", "http://user:sk-secret@127.0.0.1:9"), 2)
    assert "sk-secret" not in line


@pytest.mark.parametrize("host", ["127." + "a" * 70, "127..1"])
def test_a_host_that_is_none_is_one_line(host: str) -> None:
    one_line(run("get", "1", "--base-url", f"http://{host}:1"), 1)


def test_assumptions_lists_every_open_question() -> None:
    from klingkit.contract import load_contract

    result = run("assumptions")
    assert result.exit_code == 0
    for assumption in load_contract().assumptions:
        assert assumption.id in result.stdout


def test_rules_lists_every_rule_with_its_answer() -> None:
    from klingkit.contract import load_contract

    contract = load_contract()
    rows = json.loads(run("rules", "--json").stdout)
    text = run("rules").stdout
    assert [row["id"] for row in rows] == list(dict.fromkeys(rule.id for rule in contract.rules.values()))
    for row in rows:
        assert f"{row['id']}\n  {row['phase']}, {row['http']}" in text
        place = contract.document
        for step in row["place"].removeprefix("#/").split("/"):
            place = place[step.replace("~1", "/")]
    by_id = {row["id"]: row for row in rows}
    assert by_id["n.maximum"] == {
        "id": "n.maximum",
        "place": "#/components/schemas/CreateRequest/properties/n/maximum",
        "phase": "sync",
        "http": 400,
        "code": 1201,
        "text": "n: must be less than or equal to 9",
        "evidence": {
            "limit": {"grade": "inferred", "source": "kling-page", "date": "2026", "note": ""},
            "answer": {"grade": "inferred", "source": "pattern", "date": "2026-11", "note": ""},
            "text": {"grade": "inferred", "source": "pattern", "date": "2026-11", "note": "recorded on another field"},
        },
    }
    assert by_id["moderation"]["phase"] == "async"
    assert by_id["external_task_id.unique"]["text"] == "External_task_id {value} already exists"
    assert "sync, 404, limit documented, answer documented, text unknown: an HTML page" in text


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert version("klingkit") in run("--version").stdout


def test_help_is_fast_and_complete() -> None:
    """Every command is listed, and --help loads neither server nor client."""
    import subprocess

    code = (
        "import sys\nfrom klingkit.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n"
        "    print([name for name in ('flask', 'uvicorn', 'requests', 'rich', 'PIL') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("serve", "rules", "scenarios", "advice", "listen", "submit", "get", "wait", "assumptions"):
        assert f"\n  {command} " in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"
