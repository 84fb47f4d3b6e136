"""The README and the pages beside it are run: each command and each piece of Python, in order, against one server."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import yaml
from click import Group, Option
from click.testing import CliRunner

import klingkit
from klingkit.cli import PLACES, main
from klingkit.client import KlingClient
from klingkit.client.dialect import DIALECTS, MOST_SUBJECTS
from klingkit.contract import load_contract
from klingkit.contract.recordings.files import save
from klingkit.contract.recordings.secret import Secret
from klingkit.environment import environment
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.scenario_choice import parse_scenario
from klingkit.mock_server.scenarios import scenario_table
from tests.conftest import FEW_PLUGINS, serving
from tests.wrong_targets import KEY, OTHER_KEY, recording_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Running

ROOT = Path(__file__).parents[1]
README, PLUGIN, KIT, STEERING, RUNNING = (
    (ROOT / page).read_text(encoding="utf-8")
    for page in ("README.md", "docs/pytest.md", "docs/contract-kit.md", "docs/steering.md", "docs/running.md")
)
PAGES = README + PLUGIN + KIT + STEERING + RUNNING
TASK_ID = re.compile(r"\d{18}")
assert isinstance(main, Group)


def blocks(language: str, text: str = PAGES) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """Each command of the pages with the output printed below it."""
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
    output = re.sub(r"\b\d\d:\d\d:\d\d\.\d{3}\b", "CLOCK", output)
    return TASK_ID.sub("TASK_ID", output).strip()


@pytest.fixture
def tour(tmp_path: Path) -> Iterator[tuple[Running, Path]]:
    """A server, and a folder to work in that has the pictures."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with serving("--speed", "100") as running:
        yield running, tmp_path


def run_as_a_person(line: str, url: str, **options: Any) -> str:
    """Run a command and return what it prints; with the patience that the page asks for."""
    while "klingkit advance" in line:  # typed by hand it comes when the tasks before it have ended
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
    assert ran >= 15
    (saved,) = re.findall(r"^  (out/.*)$", README, re.MULTILINE)
    assert list(folder.glob(TASK_ID.sub("*", saved)))


def test_the_token_that_the_readme_signs_is_taken() -> None:
    (start,) = (block for block in blocks("sh") if "KLINGKIT_SECRET_KEY=" in block)
    (ask,) = (block for block in blocks("sh") if "export KLING_TOKEN=" in block)
    export = start.splitlines()[0]
    variables = dict(word.split("=") for word in export.removeprefix("export ").split())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    with serving("--contract", "all", **variables) as running:
        line = f"{export}\n{ask}".replace("http://127.0.0.1:8000", running.url)
        assert json.loads(run_as_a_person(line, running.url, env={**os.environ, "PATH": path}))["data"] == []
        assert Control.over_http(running.url).advice() == []


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
    (page,) = blocks("py", README)

    assert page == (ROOT / "examples" / "test_studio.py").read_text(encoding="utf-8")
    assert "examples" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_example_passes(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path, dirs_exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COMETAPI", "PYTEST"))}
    env |= FEW_PLUGINS
    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_contract_tests_of_the_readme_pass(tmp_path: Path) -> None:
    (page,) = blocks("py", KIT)
    (tmp_path / "test_page.py").write_text(page)
    few = "from hypothesis import settings\nsettings.register_profile('few', max_examples=5)\nsettings.load_profile('few')\n"
    (tmp_path / "conftest.py").write_text(few)
    save(recording_of(), tmp_path / "recorded", [Secret("the key", KEY), Secret("the other key", OTHER_KEY)])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COMETAPI", "PYTEST"))}
    env |= FEW_PLUGINS
    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert "4 passed" in ran.stdout, ran.stdout


def test_the_tables_of_the_handle_name_what_there_is() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", PLUGIN.partition("| of the handle |")[2].partition("\n\n")[0], re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([a-z_]+)(?=[`(.])", row)]

    assert len(names) >= 12
    with klingkit.mock() as kling:
        assert [name for name in names if not hasattr(kling, name)] == []
        public = {name for name in dir(kling) if not name.startswith("_")}
    internal = {"url", "key", "simulator", "control", "used", "client", "sleep", "raise_errors", "report", "keeps_all"}
    assert public - set(names) == internal


def test_the_ci_job_of_the_readme_runs(tmp_path: Path) -> None:
    """Its last steps, against a stand-in for the real service; and once with the money that the pages speak of."""
    (block,) = (block for block in blocks("yaml") if "jobs:" in block)
    steps = yaml.safe_load(block)["jobs"]["contract"]["steps"]
    install, check, show = (step["run"] for step in steps if "run" in step)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "COMETAPI_KEY": "sk-real", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    with serving("--speed", "100", "--key", "sk-real") as stand_in:
        for command in (check, show, "klingkit verify https://api.cometapi.com --real --budget 0.50"):
            line = command.replace("https://api.cometapi.com", stand_in.url)
            done = subprocess.run(
                ["bash", "-c", line], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "contract.xml").read_text().startswith("<?xml")
    assert (tmp_path / "summary.md").read_text() == (tmp_path / "contract.md").read_text() != ""
    assert install in blocks("sh")[0].replace(
        "pip install ../klingkit\n", ""
    )  # and not what lies in the folder of the job


def test_the_exit_codes_of_verify_and_record_are_those_it_names(tmp_path: Path) -> None:
    def code(command: str, url: str, arguments: str) -> int:
        return CliRunner().invoke(main, [command, url, *arguments.split()], env={"COMETAPI_KEY": None}).exit_code

    free, costly = "--only prompt.maxLength", "--only n.maximum"
    out = f"--out {tmp_path / 'recorded'}"
    with serving("--speed", "100") as right, serving("--scenario", "code-under-200") as wrong:
        assert code("verify", right.url, free) == 0
        assert code("verify", wrong.url, free) == 1
        assert code("verify", right.url, costly) == code("verify", "http://127.0.0.1:9", free) == 2
        assert code("verify", right.url, f"{costly} --budget 0.02") == 3
        assert code("record", right.url, f"{free} {out}") == 0
        assert code("record", right.url, f"{costly} {out}2") == 2
        assert code("record", right.url, f"--only aspect_ratio.enum --budget 0.0133 {out}3") == 3


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `klingkit` as git would give it, so that what an installation leaves behind is left there."""
    folder = tmp_path_factory.mktemp("beside") / "klingkit"
    leave_out = shutil.ignore_patterns(".git", ".venv", ".typing", "build", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, folder, symlinks=True, ignore=leave_out)
    return folder


@contextmanager
def git_host(clone: Path) -> Iterator[str]:
    """Serve a repository of a clone, as klingkit.git on a host whose name and port are returned."""
    site = clone.parent / "site"
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "safe.directory=*")
    for command in (
        ("init", "-q"),
        ("add", "-A"),
        ("commit", "-qm", "all"),
        ("repack", "-adq"),
        ("update-server-info",),
    ):
        subprocess.run([*git, *command], cwd=clone, check=True, env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull})
    site.mkdir()
    (clone / ".git").rename(site / "klingkit.git")
    handler = partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


def test_the_commands_that_install_klingkit_into_a_project_do_so(clone: Path, tmp_path: Path) -> None:
    """Without what it depends on, which is there already, and each into a folder of its own."""
    pytest.importorskip("pip")
    project = clone.parent / "project"
    project.mkdir()
    stale = clone / "build" / "lib" / "klingkit" / "deleted.py"  # as an earlier installation leaves it
    stale.parent.mkdir(parents=True)
    stale.touch()
    installed = 0
    with git_host(clone) as host:
        for line in "".join(blocks("sh")[:2]).splitlines():
            folder = tmp_path / str(installed)
            into = "--no-build-isolation --no-deps --no-index --quiet"
            into += f" --no-compile --target {folder}" if line.startswith("pip install") else ""
            command = line.replace("https://HOST", f"http://{host}")
            command = re.sub("^pip (install|wheel)", rf"{sys.executable} -m pip \1 {into}", command)
            env = {**os.environ, "no_proxy": "127.0.0.1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
            done = subprocess.run(
                ["bash", "-c", command], cwd=project, env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            if line.startswith("pip wheel"):
                continue
            show = "import klingkit.client; from klingkit.contract import load_contract; load_contract(); print(klingkit.__file__)"
            found = subprocess.run(
                [sys.executable, "-c", show],
                cwd=project,
                env={**os.environ, "PYTHONPATH": str(folder)},
                capture_output=True,
                text=True,
                check=True,
            )
            assert found.stdout.strip() == str(folder / "klingkit" / "__init__.py")
            assert not (folder / "klingkit" / "deleted.py").exists()
            installed += 1
    assert installed == 3


def test_it_says_all_that_is_installed_with_klingkit() -> None:
    paragraph = README.partition("It is one package")[2].partition("pytest and httpx")[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[<>=;]", each)[0] for each in project["dependencies"]}
    (block,) = blocks("toml")
    of_others = tomllib.loads(block)["project"]["optional-dependencies"]["test"]

    assert set(re.findall(r"`([a-z0-9-]+)`", paragraph)) == names
    assert of_others[0] in blocks("sh")[0]
    assert of_others[1] in project["optional-dependencies"]["test"]
    assert project["requires-python"] == ">=3.11"
    assert "Python 3.11 or newer" in README


def test_the_fixtures_have_the_type_it_names(kling_server: klingkit.Kling) -> None:
    assert "`klingkit.Kling`" in README
    assert isinstance(kling_server, klingkit.Kling)
    with klingkit.mock() as kling:
        assert isinstance(kling, klingkit.Kling)


def test_the_table_of_the_contracts_is_how_the_client_speaks_them() -> None:
    names = "|".join(DIALECTS)
    rows = re.findall(
        rf"^\| `({names})` \| `(https.*?)` \| (\d) to (\d) \| (.*?) \| (.*?) \|(.*?)\|$", README, re.MULTILINE
    )

    assert [name for name, *_ in rows] == list(DIALECTS)
    for name, url, fewest, most, models, variables, fields in rows:
        dialect = DIALECTS[name]
        assert (url, int(fewest), int(most)) == (dialect.base_url, dialect.fewest_subjects, MOST_SUBJECTS)
        assert set(re.findall(r"`(.*?)`", models)) == dialect.models
        assert {*re.findall(r"`(.*?)`", fields), "scene_image"} == dialect.fields.keys()
        with environment(**dict.fromkeys(re.findall(r"`(.*?)`", variables), "a-key")):
            assert KlingClient(contract=name).contract == name


def test_accounts_share_nothing_not_even_the_clock() -> None:
    pictures = ["https://example.com/anna.png", "https://example.com/ben.png"]
    with serving("--speed", "1") as running:
        one, other = (Control.over_http(running.url, key=key) for key in ("one", "other"))
        one.scenario("error-1303", times=9)
        one.configure(balance="0", concurrency=1)
        with KlingClient(key="other", base_url=running.url) as client:
            task = client.create(pictures)
            assert not one.tasks()
            one.advance("2m")
            assert client.get(task.task_id).status == "submitted"
            other.advance("2m")
            assert client.get(task.task_id).status == "succeed"
            one.reset()
        assert [control.clock()["own"] for control in (one, other)] == [False, True]
        assert not Control.over_http(running.url).clock()["frozen"]


def test_a_shell_moves_the_clock_of_its_key_alone() -> None:
    (lines,) = (
        block for block in re.findall(r"^```sh\n(.*?)^```", PLUGIN, re.MULTILINE | re.DOTALL) if "curl" in block
    )
    advance, reset = lines.splitlines()
    with serving() as running:
        mine = Control.over_http(running.url, key="my-test")
        run_as_a_person(advance.replace("http://127.0.0.1:8000", running.url), running.url)
        assert mine.clock()["own"]
        assert mine.clock()["frozen"]
        assert not Control.over_http(running.url, key="other").clock()["frozen"]
        run_as_a_person(reset.replace("http://127.0.0.1:8000", running.url), running.url)
        assert not mine.clock()["own"]


def test_another_container_reaches_it_by_its_name() -> None:
    (line,) = (line for line in "".join(blocks("sh")).splitlines() if "--host 0.0.0.0" in line)
    with serving(*line.removeprefix("klingkit serve ").split()) as running:

        def status(path: str, name: str) -> int:
            headers = {"Host": f"{name}:{running.port}", "Authorization": "Bearer any"}
            return requests.get(f"http://127.0.0.1:{running.port}{path}", headers=headers, timeout=20).status_code

        assert status("/_mock/tasks", "kling") == status("/_mock/health", "other") == 200
        assert status("/_mock/tasks", "other") == 403
        assert status("/kling/v1/images/generations/1", "other") == 400  # of the API: it knows no such task


def test_the_job_that_waits_until_it_serves(tmp_path: Path) -> None:
    (block,) = (block for block in blocks("sh") if "/_mock/health" in block)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", "trap 'kill %1; wait' EXIT\n" + block.replace("8000", str(port))],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "KLINGKIT_PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert '"status": "ok"' in done.stdout, done.stderr
    assert f"127.0.0.1:{port}" in (tmp_path / "klingkit.out").read_text()


def test_it_outlives_its_terminal_only_with_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup hands it on
    try:
        with serving() as running:
            running.process.send_signal(signal.SIGHUP)
            assert Control.over_http(running.url).health()["status"] == "ok"
    finally:
        signal.signal(signal.SIGHUP, before)
    with serving() as running:
        Control.over_http(running.url).health()
        assert "stopped by SIGHUP" in running.stop(signal.SIGHUP)


def test_the_options_and_variables_it_names_exist(pytestconfig: pytest.Config) -> None:
    groups = [command for command in main.commands.values() if isinstance(command, Group)]
    commands_of_all = [*main.commands.values(), *(command for group in groups for command in group.commands.values())]
    options = [option for command in commands_of_all for option in command.params if isinstance(option, Option)]
    known = {name for option in options for name in option.opts}
    variables = {str(option.envvar) for option in options}
    prose = re.sub(r"```.*?```|`npx .*?`", "", PAGES, flags=re.DOTALL)  # npx: options of somebody else's command
    commands = re.findall(r"`klingkit ([a-z]+)", prose)

    named = re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", prose)
    assert len(named) >= 30
    for name in named:
        assert name in known or hasattr(pytestconfig.option, name[2:].replace("-", "_")), name
    assert set(re.findall(r"KLINGKIT_[A-Z_]+[A-Z]", PAGES)) <= variables
    assert set(commands) <= main.commands.keys()
    for block in blocks("sh"):
        assert subprocess.run(["bash", "-n"], input=block, text=True, check=False).returncode == 0


def test_ci_runs_the_example_in_typescript_as_its_page_says() -> None:
    (block,) = blocks("sh", STEERING)
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    first, *_ = block.splitlines()
    assert f"/^{first.replace('/', chr(92) + '/')}/,/^```/p" in script
    assert "http://127.0.0.1:8000" in block
    scripts = json.loads((ROOT / "examples" / "typescript" / "package.json").read_text(encoding="utf-8"))["scripts"]
    assert {"types", "test"} <= scripts.keys()


def test_the_table_of_commands_names_those_that_steer() -> None:
    rows = re.findall(r"^\| (`klingkit.*?`) \|", STEERING, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`klingkit ([a-z]+)", row)}
    assert named == {
        name for name, place in PLACES.items() if place.startswith(("watching_commands", "steering_commands"))
    }


def test_ci_runs_the_two_commands_that_install() -> None:
    """As they stand: `.ci/run` cuts them out of the README by how they end."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    installing = [command for command, _ in commands() if ".venv/bin/pip" in command]

    assert len(installing) == 2
    for command, end in zip(installing, (".venv/bin/klingkit serve", ".venv/bin/pytest -n auto"), strict=True):
        assert command.endswith(end)
        assert f"readme_command {end}" in script


def test_the_table_names_every_option_of_serve_and_its_default() -> None:
    rows = re.findall(r"^\| (`--.*?`) \| .*? \| (.*?) ?\|$", RUNNING, re.MULTILINE)
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
    named = re.findall(r"\[\[([a-z][^\]]*)\]\]|scenario=([a-z0-9-]+)|klingkit queue ([a-z0-9:-]+)", PAGES)
    assert len(named) >= 5
    for each in named:
        parse_scenario("".join(each), contract)
    rows = re.findall(r"^\| `(.*?)` \| (.*?) \| (.*?) ?\|$", (ROOT / "docs/scenarios.md").read_text(), re.MULTILINE)
    assert rows == [(row.name, row.summary, row.argument) for row in table.values()]


def anchors(page: Path) -> set[str]:
    """Return where a link can lead on a page, as GitHub names its headings."""
    headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_contents_name_every_section() -> None:
    contents = README.partition("\n- ")[2].partition("\n## ")[0]
    sections = anchors(ROOT / "README.md") - {"klingkit", "use-the-simulator", "more"}

    assert set(re.findall(r"\(#([^)]*)\)", contents)) == sections


def test_links_lead_to_files_and_headings() -> None:
    pages = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")]
    for page in [*pages, *(ROOT / "docs").glob("*.md")]:
        for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
            if target.startswith("http"):
                continue
            file = page.parent / target if target else page
            assert file.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(file), f"{page.name}: #{anchor}"


def test_the_map_names_files_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    names = set(re.findall(r"[\w/]+\.py\b", text))
    there = {str(file.relative_to(ROOT)) for file in ROOT.glob("*/**/*.py")}
    assert names
    for name in names:
        assert any(file == name or file.endswith(f"/{name}") for file in there), name
    paths = set(re.findall(r"`((?:\w[\w.-]*/)+[\w.-]*)`", text.partition("## Where do I change")[2]))
    assert len(paths) >= 100
    assert [path for path in paths if not (ROOT / path).exists()] == []
