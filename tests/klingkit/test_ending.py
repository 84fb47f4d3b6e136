"""How `verify`, `record` and `drift` end: by signals, with a bug, with reports that cannot be written. Nothing paid for is lost."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from klingkit.cli import main
from klingkit.contract.verify import report as forms
from klingkit.contract.verify.run import Run
from tests.conftest import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import TextIOWrapper
    from pathlib import Path

    from tests.conftest import Running


@pytest.fixture(scope="module")
def slow() -> Iterator[Running]:
    """A service as slow as the real one, so that a run is on until somebody ends it."""
    with serving("--speed", "0.2") as running:
        yield running


def started(slow: Running, key: str, *command: str, **options: object) -> subprocess.Popen[str]:
    """Start a command, and return when some of its tasks are being made."""
    process: subprocess.Popen[str] = subprocess.Popen(
        [sys.executable, "-m", "klingkit", *command, "--budget", "1", "--key", key],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options},  # type: ignore[call-overload]
    )
    slow.wait_for_creates(8, key)
    return process


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("verify", signal.SIGTERM),
        ("verify", signal.SIGHUP),
        ("record", signal.SIGTERM),
        ("record", signal.SIGINT),
        ("drift", signal.SIGHUP),
    ],
)
def test_a_signal_ends_a_command_as_ctrl_c_does(
    slow: Running, tmp_path: Path, command: str, number: signal.Signals
) -> None:
    more = {
        "verify": (slow.url, "--report", f"json={tmp_path / 'report.json'}"),
        "record": (slow.url, "--out", str(tmp_path / "rec")),
        "drift": (slow.url, "simulator"),
    }[command]
    process = started(slow, f"key-{command}-{number}", command, *more)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)

    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    if command == "verify":
        assert json.loads((tmp_path / "report.json").read_text())["incomplete"] == "interrupted"
    elif command == "record":
        kept = (tmp_path / "rec/recording.json").exists()  # on a busy machine the signal comes before the first answer
        assert ("missing: accepted/" if kept else "there is nothing to keep") in errors
    else:
        assert "interrupted: " in errors


def test_a_terminal_that_is_closed_ends_a_run_with_its_reports(slow: Running, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    report = tmp_path / "report.json"
    terminal = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True}
    process = started(slow, "key-terminal", "verify", slow.url, "--report", f"json={report}", **terminal)
    os.close(theirs)
    os.close(ours)
    process.send_signal(signal.SIGHUP)

    assert process.wait(30) == 129
    assert json.loads(report.read_text())["incomplete"] == "interrupted"


def test_a_signal_that_was_ignored_from_the_start_stays_ignored(slow: Running) -> None:
    process = started(
        slow, "key-nohup", "verify", slow.url, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)

    assert process.returncode == 143


def test_a_report_that_cannot_be_written_keeps_no_other_from_it(tmp_path: Path) -> None:
    reports = ["md=/dev/full", f"json={tmp_path / 'r.json'}", f"junit={tmp_path / 'r.xml'}"]
    with serving("--instant") as live:
        words = [word for report in reports for word in ("--report", report)]
        result = CliRunner().invoke(main, ["verify", live.url, *words], env={"COMETAPI_KEY": None})

    assert result.exit_code == 3
    assert "md=/dev/full cannot be written: No space left on device" in result.output
    assert "0 deviate" in result.stdout
    assert json.loads((tmp_path / "r.json").read_text())["results"]
    assert (tmp_path / "r.xml").read_text().startswith("<?xml")


def test_a_bug_ends_a_run_with_one_line_and_all_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a service answers is known to do so; the bugs are put in."""

    def broken(*_: object) -> str:
        raise ValueError("a bug\nof ours")

    report = tmp_path / "r.json"
    with serving("--instant") as live:
        arguments = ["verify", live.url, "--budget", "1", "--report", f"json={report}"]
        with monkeypatch.context() as patch:
            patch.setattr(Run, "_follow", broken)
            in_the_run = CliRunner().invoke(main, arguments, env={"COMETAPI_KEY": None})
        told = json.loads(report.read_text())
        with monkeypatch.context() as patch:
            patch.setattr(forms, "as_text", broken)
            in_the_form = CliRunner().invoke(main, arguments, env={"COMETAPI_KEY": None})

    assert (in_the_run.exit_code, in_the_form.exit_code) == (70, 70)
    line = "klingkit itself failed, please report this line: ValueError: a bug of ours ("
    assert told["incomplete"].startswith(line)
    assert float(told["spent"]) > 0
    assert line in in_the_run.stdout
    assert in_the_form.output.count(line) == 1
    assert json.loads(report.read_text())["incomplete"] == ""


PRINTING = (
    *([name, "--help"] for name in main.commands),
    ["--help"],
    ["--version"],
    ["cases"],
    ["cases", "accepted/1"],
    ["rules", "--json"],
    ["scenarios"],
    ["assumptions"],
    ["contract", "list"],
    ["evidence", "prompt"],
    ["verify", "http://127.0.0.1:9", "--plan"],
    ["record", "http://127.0.0.1:9", "--plan", "--out", "never-made"],
)


def printed_to(
    stream: TextIOWrapper, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str]:
    """Run a command whose output goes there; return exit code and what it said besides."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        patch.delenv("COMETAPI_KEY", raising=False)
        with pytest.raises(SystemExit) as ended:
            main(words)
        for each in (stream, sys.stdout):
            with suppress(OSError):
                each.close()
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_an_output_that_cannot_be_written_ends_each_command_with_a_line(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115 - closed in printed_to

    assert printed_to(full, words, monkeypatch, capsys) == (
        1,
        "Error: the output cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_a_closed_pipe_ends_each_command_quietly(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs, ours = os.pipe()
    os.close(theirs)

    assert printed_to(os.fdopen(ours, "w", encoding="utf-8"), words, monkeypatch, capsys) == (1, "")


def test_python_adds_nothing_when_it_ends() -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "klingkit", "cases", "accepted/1"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (1, "Error: the output cannot be written: No space left on device\n")


def test_a_run_keeps_its_reports_and_says_that_its_output_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "r.json"
    full = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115 - closed in printed_to
    with serving("--instant") as live:
        words = ["verify", live.url, "--only", "path.known", "--report", f"json={report}"]
        code, said = printed_to(full, words, monkeypatch, capsys)

    assert (code, said) == (3, "Error: the output cannot be written: No space left on device\n")
    assert json.loads(report.read_text())["results"]
