"""The README is run: each command and each piece of Python in it, in order, against one server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click import Group, Option

import klingkit
from klingkit.cli import main
from klingkit.contract import load_contract
from klingkit.contract.recordings.files import save
from klingkit.contract.recordings.secret import Secret
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.scenarios import parse_scenario, scenario_table
from tests.conftest import serving
from tests.wrong_targets import KEY, OTHER_KEY, recording_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Running

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TASK_ID = re.compile(r"\d{18}")
assert isinstance(main, Group)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """Each command of the README with the output printed below it."""
    found = []
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            length = 1 + next(number for number, line in enumerate(lines) if not line.endswith("\\"))
            found.append(("\n".join(lines[:length]), "\n".join(lines[length:])))
    return found


def masked(output: str) -> str:
    """Cut out what differs between two runs."""
    output = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", output)
    output = re.sub(r"\b\d{13}\b", "MS", output)
    output = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", output)
    output = re.sub(r"\d{4}-\d\d-\d\d\b", "DATE", output)
    return TASK_ID.sub("TASK_ID", output).strip()


@pytest.fixture
def tour(tmp_path: Path) -> Iterator[tuple[Running, Path]]:
    """A server, and a folder to work in that has the pictures."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with serving("--speed", "100") as running:
        yield running, tmp_path


def run_as_a_person(line: str, url: str, **options: Any) -> str:
    """Run a command and return what it prints; with the patience that the page asks for."""
    while "clock/advance" in line:  # typed by hand it comes when the tasks before it have ended
        tasks = Control.over_http(url).health()["tasks"]
        if tasks["submitted"] + tasks["processing"] <= 1:
            break
    while True:
        output = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False, **options
        )
        unfinished = '"task_result":{}' in output.stdout
        if not unfinished:  # the page says to query until the task ends
            return str(output.stdout)


def test_every_command_prints_what_the_readme_shows(tour: tuple[Running, Path]) -> None:
    running, folder = tour
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "COMETAPI_BASE_URL": running.url}
    env.pop("COMETAPI_KEY", None)
    ran = 0
    task_id = ""
    for command, shown in commands():
        if ".venv" in command:
            continue
        line = TASK_ID.sub(task_id, command.replace("http://127.0.0.1:8000", running.url))
        output = run_as_a_person(line, running.url, cwd=folder, env=env)
        assert masked(output.replace(running.url, "http://127.0.0.1:8000")) == masked(shown)
        task_id = (TASK_ID.search(output) or [task_id])[0]
        ran += 1
    assert ran >= 5
    (saved,) = re.findall(r"^  (out/.*)$", README, re.MULTILINE)
    assert list(folder.glob(TASK_ID.sub("*", saved)))


def test_the_python_of_the_readme_runs(tour: tuple[Running, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    running, folder = tour
    monkeypatch.chdir(folder)
    callback = json.dumps({"task_id": "1", "task_status": "processing"})
    for block in blocks("python"):
        names = {"body": callback, "headers": {}}
        exec(block.replace("http://127.0.0.1:8000", running.url), names)
    assert len(blocks("python")) == 4


def test_the_page_for_pytest_is_the_example() -> None:
    """Which `.ci/run` runs from the wheel, in a virtual environment of its own."""
    page = blocks("py")[0]

    assert page == (ROOT / "examples" / "test_studio.py").read_text(encoding="utf-8")
    assert "examples" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_example_passes(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path, dirs_exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "-W", "error"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COMETAPI", "PYTEST"))}
    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_contract_tests_of_the_readme_pass(tmp_path: Path) -> None:
    _, page = blocks("py")
    (tmp_path / "test_page.py").write_text(page)
    save(recording_of(), tmp_path / "recorded", [Secret("the key", KEY), Secret("the other key", OTHER_KEY)])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider", "-W", "error"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COMETAPI", "PYTEST"))}
    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert "4 passed" in ran.stdout, ran.stdout


def test_the_tables_of_the_handle_name_what_there_is() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", README.partition("| of the handle |")[2].partition("\n\n")[0], re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([a-z_]+)(?=[`(.])", row)]

    assert len(names) >= 12
    with klingkit.mock() as kling:
        assert [name for name in names if not hasattr(kling, name)] == []
        public = {name for name in dir(kling) if not name.startswith("_")}
    internal = {"url", "key", "simulator", "control", "used", "client", "sleep", "raise_errors", "report"}
    assert public - set(names) == internal


def test_the_ci_job_of_the_readme_runs(tmp_path: Path) -> None:
    """Its last step, against a stand-in for the real service; and once with the money that the page speaks of."""
    (block,) = blocks("yaml")
    (step,) = re.findall(r"- run: klingkit (verify .*)", block)
    with serving("--speed", "100", "--key", "sk-real") as stand_in:
        for arguments in (step.split(), ["verify", "https://api.cometapi.com", "--real", "--budget", "0.50"]):
            command = [each.replace("https://api.cometapi.com", stand_in.url) for each in arguments]
            done = subprocess.run(
                [sys.executable, "-m", "klingkit", *command],
                cwd=tmp_path,
                env={**os.environ, "COMETAPI_KEY": "sk-real"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "contract.xml").read_text().startswith("<?xml")


def test_ci_runs_the_two_commands_that_install() -> None:
    """As they stand: `.ci/run` cuts them out of the README by how they end."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    installing = [command for command, _ in commands() if ".venv/bin/pip" in command]

    assert len(installing) == 2
    for command, end in zip(installing, (".venv/bin/klingkit serve", ".venv/bin/pytest -n auto"), strict=True):
        assert command.endswith(end)
        assert f"readme_command {end}" in script


def test_the_table_names_every_option_of_serve_and_its_default() -> None:
    rows = re.findall(r"^\| (`--.*?`) \| .*? \| (.*?) ?\|$", README, re.MULTILINE)
    listed = {
        name: default for names, row in rows for name, default in zip(names.split(", "), row.split(", "), strict=True)
    }
    options = [option for option in main.commands["serve"].params if isinstance(option, Option)]

    assert [name.strip("`") for name in listed] == [option.opts[0] for option in options]
    for option in options:
        default = f"{option.default:g}" if isinstance(option.default, float) else str(option.default)
        row = listed[f"`{option.opts[0]}`"] or ""
        assert row == f"`{default}`" if option.show_default else "`" not in row
        assert option.envvar == "KLINGKIT_" + option.opts[0][2:].replace("-", "_").upper()


def test_the_scenarios_it_names_exist_and_its_table_lists_them_all() -> None:
    contract = load_contract()
    table = scenario_table(contract)
    named = re.findall(r"\[\[([a-z][^\]]*)\]\]|scenario=([a-z0-9-]+)|\"scenario\": \"([a-z0-9-]+)", README)
    assert len(named) >= 5
    for each in named:
        parse_scenario("".join(each), contract)
    rows = re.findall(r"^\| `(.*?)` \| (.*?) \| (.*?) ?\|$", (ROOT / "docs/scenarios.md").read_text(), re.MULTILINE)
    assert rows == [(row.name, row.summary, row.argument) for row in table.values()]


def test_links_lead_to_files() -> None:
    for page in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)", text):
            assert target.startswith("http") or (ROOT / target).exists(), f"{page}: {target}"


def test_the_map_names_files_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    names = set(re.findall(r"[\w/]+\.py\b", text))
    there = {str(file.relative_to(ROOT)) for file in ROOT.glob("*/**/*.py")}
    assert names
    for name in names:
        assert any(file == name or file.endswith(f"/{name}") for file in there), name
