"""`klingkit evidence`: what is known, and what tests rest on, pinned and checked."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from klingkit.cli import main
from klingkit.contract import load_contract
from klingkit.contract.behaviours import as_json, aspects_of, count_grades
from klingkit.contract.recordings.files import save
from klingkit.contract.recordings.recording import RecordedAnswer, Recording
from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control

if TYPE_CHECKING:
    from click.testing import Result

    from tests.conftest import Api

README = Path(__file__).parents[2] / "README.md"
BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
BOMB += "format: 1\ncontracts: {cometapi: {rule x: {says: *a39, grade: a, source: b, date: c}}}\n"
RESTS_ON = ["rule n.maximum", "error 1303", "shown get_task.data.task_id", "callbacks timeoutMs"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["evidence", *arguments])


@pytest.fixture
def pinned(tmp_path: Path) -> Path:
    met, pin = tmp_path / "met.json", tmp_path / "evidence.yaml"
    met.write_text(json.dumps({"evidence": {"cometapi": {"rests_on": RESTS_ON}}}))
    result = run("--pin", str(pin), "--met", str(met))
    assert (result.exit_code, result.output) == (0, f"{pin}: 7 aspects\n")
    return pin


# The list


def test_every_aspect_is_listed_with_totals() -> None:
    lines = run().output.splitlines()
    aspects = aspects_of(load_contract())

    assert "rule n.maximum" in lines
    assert "  limit   inferred    9  (kling-page, 2026)" in lines
    assert "  it      unknown     10000  (own, 2026-11)" in lines
    assert "  open    result-size" in lines
    behaviours = len({aspect.behaviour for aspect in aspects})
    grades = ", ".join(f"{number} {grade}" for grade, number in count_grades(aspects).items())
    assert lines[-1] == f"{len(aspects)} aspects of {behaviours} behaviours: {grades}"
    assert sum(line.startswith("  ") and not line.startswith("  open") for line in lines) == len(aspects)


def test_the_readme_states_the_totals() -> None:
    assert run().output.splitlines()[-1] in README.read_text(encoding="utf-8")


def test_words_leave_what_has_them_all() -> None:
    lines = run("subject_image", "maxbytes", "UNKNOWN").output.splitlines()

    assert lines[0] == "rule subject_image_list.items.subject_image.maxBytes"
    assert lines[1].startswith("  text    unknown     subject_image: file size")
    assert lines[-1] == "1 aspect of 1 behaviour: 0 documented, 0 recorded, 0 inferred, 1 unknown"
    assert "promise task.picture" in run("result-size").output


@pytest.mark.parametrize("choice", ["cometapi", "cometapi-2026", "kling", "cometapi+plain-generation"])
def test_json_is_the_same_as_the_control_api_gives(api: Api, choice: str) -> None:
    told = json.loads(run("--json", "--contract", choice).output)

    assert told == Control.of(api.simulator).evidence(choice)
    contract = load_contract(choice)
    assert told == as_json(contract, aspects_of(contract))


def test_the_control_api_tells_of_its_own_contract_and_names_the_others(api: Api) -> None:
    control = Control.of(api.simulator)

    assert control.evidence()["contract"] == "cometapi"
    with pytest.raises(ControlError, match="unknown contract 'klin'; there are cometapi, cometapi-2026, kling"):
        control.evidence("klin")
    with pytest.raises(ControlError, match="cometapi has no assumption 'x'"):
        control.evidence("cometapi+x=y")
    path = "/_mock/evidence?contract=cometapi+plain-generation"  # as people write it
    answer = api.send_unchecked("GET", path, headers={"Host": "localhost"})
    assert answer.json["contract"] == "cometapi+plain-generation"  # type: ignore[index]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense", "prompt"], "no aspect of cometapi has 'nonsense' and 'prompt' in it"),
        (["--contract", "klin"], "unknown contract 'klin'; there are cometapi, cometapi-2026, kling"),
        (["--pin", "x.yaml"], "--pin FILE and --met FILE belong together"),
        (["--met", "x.json"], "--pin FILE and --met FILE belong together"),
        (["--pin", "x", "--met", "y", "--check", "z"], "--pin takes --met alone beside it"),
        (["--check", "x", "prompt"], "--check takes --contract"),
        (["--from", ".", "prompt"], "--from takes --contract and --json"),
        (["--from", "."], "--from . has no recording.json, so it is no recording"),
        (["--check", "missing.yaml"], "--check missing.yaml: No such file or directory"),
        (["--pin", "x.yaml", "--met", "missing.json"], "--met missing.json: No such file or directory"),
    ],
)
def test_wrong_usage_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)

    assert result.exit_code == 2
    assert says in result.output
    assert result.output.count("\n") == 1


# What tests rest on


def test_a_pin_is_sorted_and_says_grade_source_and_date(pinned: Path) -> None:
    lines = pinned.read_text().splitlines()

    assert lines[2:5] == ["format: 1", "contracts:", "  cometapi:"]
    assert lines[5] == "    callbacks timeoutMs: {says: '10000', grade: unknown, source: own, date: 2026-11}"
    assert lines[5:] == sorted(lines[5:])
    assert "    rule n.maximum, limit: {says: '9', grade: inferred, source: kling-page, date: '2026'}" in lines


def test_what_is_as_it_was_pinned_passes(pinned: Path) -> None:
    result = run("--check", str(pinned))
    said = f"{pinned}: 7 aspects of cometapi: each is as it was pinned, or better known\n"

    assert (result.exit_code, result.output) == (0, said)


@pytest.mark.parametrize(
    ("was", "wrote", "line"),
    [
        ("says: '9', grade: inferred", "says: '8', grade: inferred", "rule n.maximum, limit: was '8', is '9'"),
        (
            "'429, code 1303, envelope kling'",
            "'400, code 1303, envelope kling'",
            "error 1303, answer: was '400, code 1303, envelope kling', is '429, code 1303, envelope kling'",
        ),
        (
            "says: '9', grade: inferred, source: kling-page, date: '2026'",
            "says: '9', grade: recorded, source: mine, date: 2026-01-02",
            "rule n.maximum, limit: was recorded (mine, 2026-01-02), is inferred (kling-page, 2026)",
        ),
        ("rule n.maximum, text:", "rule n.most, text:", "rule n.most, text: is gone; it was 'n: must be less"),
    ],
)
def test_what_has_changed_is_said_in_a_line(pinned: Path, was: str, wrote: str, line: str) -> None:
    text = pinned.read_text()
    assert was in text
    pinned.write_text(text.replace(was, wrote))
    result = run("--check", str(pinned))

    assert result.exit_code == 1
    assert result.output.startswith(f"cometapi: {line}")
    assert result.output.count("\n") == 1


def test_what_has_come_to_be_known_better_passes(pinned: Path) -> None:
    pinned.write_text(pinned.read_text().replace("grade: documented", "grade: inferred"))

    assert run("--check", str(pinned)).exit_code == 0


def test_a_pin_can_be_held_against_another_contract(tmp_path: Path) -> None:
    met, pin = tmp_path / "met.json", tmp_path / "evidence.yaml"
    names = ["rule subject_image_list.minItems", "sent create_task.scence_image", "sent create_task.prompt"]
    met.write_text(json.dumps({"evidence": {"cometapi": {"rests_on": names}}}))
    run("--pin", str(pin), "--met", str(met))
    lines = run("--check", str(pin), "--contract", "cometapi-2026").output.splitlines()
    size = "subject_image_list: size must be between"

    assert lines == [
        "cometapi to cometapi-2026: rule subject_image_list.minItems, limit: was '2', is '1'",
        f"cometapi to cometapi-2026: rule subject_image_list.minItems, text: was '{size} 2 and 4', is '{size} 1 and 4'",
        "cometapi to cometapi-2026: sent create_task.scence_image: is gone; it was 'string, optional' (documented)",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not what klingkit evidence --pin FILE has written"),
        ("[1, 2]", "is not what klingkit evidence --pin FILE has written"),
        ("format: 2\ncontracts: {cometapi: {}}\n", "is not what klingkit evidence --pin FILE has written"),
        ("format: 1\ncontracts: {}\n", "is not what klingkit evidence --pin FILE has written"),
        ("format: 1\ncontracts: {cometapi: [1]}\n", "cometapi has no aspects under it"),
        ("format: 1\ncontracts: {cometapi: {rule x: {says: a}}}\n", "has to have says, grade, source, date"),
        ("format: 1\ncontracts: {cometapi: }\n", "cometapi has no aspects under it"),
        (
            "format: 1\ncontracts: {cometapi: {rule x: {says: a, grade: silly, source: b, date: c}}}\n",
            "cometapi, rule x: the grade is one of documented, recorded, inferred, unknown",
        ),
        (BOMB, "has to have says, grade, source, date, each a text"),
        ("format: 1\ncontracts: {klin: {}}\n", "unknown contract 'klin'"),
        ("a: [", "is no plain YAML"),
        ("\x00", "is no plain YAML"),
        ("a: !!python/object:os.system {}", "is no plain YAML"),
        ("[" * 5000, "is no plain YAML"),
    ],
)
def test_a_foreign_file_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "evidence.yaml"
    file.write_text(text)
    result = run("--check", str(file))

    assert result.exit_code == 2
    assert says in result.output
    assert result.output.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--check"], ["--pin", "x.yaml", "--met"]])
def test_what_never_ends_is_not_read_to_its_end(arguments: list[str]) -> None:
    """A device says of itself that it has no bytes."""
    result = run(*arguments, "/dev/zero")

    assert result.exit_code == 2
    assert result.output.endswith("/dev/zero: is larger than 4 MB\n")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "is not what pytest --klingkit-coverage-json FILE has written"),
        ({"percent": 1}, "is not what pytest --klingkit-coverage-json FILE has written"),
        ({"evidence": {"cometapi": {"rests_on": [1]}}}, "is not what pytest --klingkit-coverage-json FILE has written"),
        ({"evidence": {"cometapi": {"rests_on": ["rule x"]}}}, "cometapi has no 'rule x'; run the tests again"),
        ({"evidence": {"klin": {"rests_on": []}}}, "unknown contract 'klin'"),
        ({"evidence": {}}, "nothing was met"),
    ],
)
def test_what_no_plugin_has_written_is_pinned_by_nobody(tmp_path: Path, content: Any, says: str) -> None:
    met, pin = tmp_path / "met.json", tmp_path / "evidence.yaml"
    met.write_text(json.dumps(content))
    result = run("--pin", str(pin), "--met", str(met))

    assert result.exit_code == 2
    assert says in result.output
    assert result.output.count("\n") == 1
    assert not pin.exists()


def test_a_pin_held_against_another_service_names_what_every_caller_meets(tmp_path: Path) -> None:
    met, pin = tmp_path / "met.json", tmp_path / "evidence.yaml"
    met.write_text(json.dumps({"evidence": {"cometapi": {"rests_on": ["sent create_task.prompt"]}}}))
    run("--pin", str(pin), "--met", str(met))
    result = run("--check", str(pin), "--contract", "kling")

    assert result.exit_code == 1
    said = [line.removeprefix("cometapi to kling: ").partition(":")[0] for line in result.output.splitlines()]
    assert {"server", "authorization", "price", "create_task", "get_task"} <= {*said}
    assert "list_tasks" not in said


def test_what_is_no_json_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "met.json").write_text("{")

    assert "is no JSON" in run("--pin", "x", "--met", str(tmp_path / "met.json")).output


def test_each_command_of_the_page_about_evidence_that_needs_no_file_runs() -> None:
    page = (README.parent / "docs" / "contract-kit.md").read_text(encoding="utf-8")
    commands = re.findall(r"klingkit evidence( [a-z.-]+(?: [a-z.-]+)*)`", page)

    assert commands
    for command in commands:
        if not command.strip().startswith("--"):
            assert run(*command.split()).exit_code == 0, command


# What a recording settles


def test_a_recording_says_what_it_would_raise_and_what_it_contradicts(tmp_path: Path) -> None:
    body = {"code": 1201, "message": "n is\x1b[2J too large", "request_id": "<request id>"}
    answer = RecordedAnswer("n.maximum/10", "n 10", 400, {}, body)
    at = datetime(2026, 11, 25, tzinfo=UTC)
    save(Recording("https://service.example", "cometapi", at, {"n.maximum": {"1": answer}}), tmp_path / "real", [])
    result = run("--from", str(tmp_path / "real"))
    told = json.loads(run("--from", str(tmp_path / "real"), "--json").output)

    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"{tmp_path / 'real'}: https://service.example, 2026-11-25",
        "would be recorded: 2",
        "  rule n.maximum, limit, inferred today: 9",
        "  rule n.maximum, answer, inferred today: 400, code 1201, envelope kling",
        "contradicted: 1",
        "  rule n.maximum, text, inferred today: n: must be less than or equal to 9",
        "    n.maximum/10: n is\\x1b[2J too large",
        "known as well before, and confirmed: 3",
    ]
    assert told["contradicted"][0]["otherwise"] == {"n.maximum/10": body["message"]}
