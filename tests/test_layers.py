"""Who may import whom: the table of ARCHITECTURE.md, enforced."""

from __future__ import annotations

import ast
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from klingkit.contract import load_contract
from klingkit.contract.recordings.files import save
from klingkit.contract.recordings.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "contract": set[str](),
    "client": set[str](),
    "mock_server": {"contract"},
    "klingkit": {"contract", "client", "mock_server"},
}
NEVER = {
    "contract": {"flask", "werkzeug", "hypothesis", "requests", "uvicorn"},
    "client": {"flask", "werkzeug", "hypothesis", "openapi_core", "yaml", "jsonschema_rs", "uvicorn"},
    "mock_server": {"hypothesis", "openapi_core", "requests"},
    "klingkit": {"hypothesis", "openapi_core"},
}
WINGS = {
    "contract": (
        {""},
        {"targets"},
        {"cases"},
        {"judge"},
        {"check", "strategies"},
        {"verify", "test_contract"},
        {"recordings"},
    ),
    "mock_server": ({""}, {"control", "controller", "page"}, {"app", "beside"}, {"serving"}, {"mutants"}),
}
"""The wings of a folder from the ground up, and single files that stand above some of them; the other files are the ground."""
FLASK_FILES = {
    "app.py",
    "beside.py",
    "routes.py",
    "in_process.py",
    "deliver_to_app.py",
    "server.py",
    "thread_server.py",
}
"""The HTTP files of the simulator; below them nobody knows Flask."""
OWN_LIBRARY = {
    "strategies": {"hypothesis"},
    "target.py": {"requests"},
    "http_library.py": {"requests"},
    "intercept.py": {"requests"},
}
"""Files, or folders, that alone know a library, which is loaded when they need it; nothing that `klingkit serve` runs imports them."""


def imports(file: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Yield level, module and names of each import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or "", [alias.name for alias in node.names]


def files() -> list[Path]:
    return [file for folder in MAY_IMPORT for file in sorted((ROOT / folder).glob("**/*.py"))]


def module_of(file: Path) -> tuple[str, ...]:
    """Return the dotted name of a file, from the root of the checkout."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imported(file: Path) -> Iterator[tuple[str, ...]]:
    """Yield each module of ours that a file imports, as `module_of` names it."""
    package = file.relative_to(ROOT).parent.parts
    for level, name, names in imports(file):
        if level:
            base = (*package[: len(package) - level + 1], *filter(None, name.split(".")))
        elif name.split(".")[0] == "klingkit":
            base = tuple(name.split(".")[1:])
            base = base if base[:1] and base[0] in MAY_IMPORT else ("klingkit", *base)
        else:
            continue
        inner = [(*base, inner_name) for inner_name in names if is_module((*base, inner_name))]
        yield from inner or [base]


def is_module(name: tuple[str, ...]) -> bool:
    path = ROOT.joinpath(*name)
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def own_library(file: Path) -> set[str]:
    return OWN_LIBRARY.get(file.name, set()) | OWN_LIBRARY.get(file.parent.name, set())


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_imports_only_what_its_folder_may(file: Path) -> None:
    folder, *inside = file.relative_to(ROOT).parent.parts
    for level, name, _ in imports(file):
        first, _, rest = name.partition(".")
        if level:
            assert level <= 1 + len(inside), f"{name}: from another folder, import klingkit.{name}"
        elif first == "klingkit" and folder != "klingkit":
            assert rest.partition(".")[0] in MAY_IMPORT[folder], name
        else:
            assert first not in MAY_IMPORT.keys() - {"klingkit"}, f"{name} makes a second copy: import klingkit.{name}"
            assert first not in NEVER[folder] - own_library(file), name
            assert first not in {"flask", "werkzeug"} or file.name in FLASK_FILES, name


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_wing_imports_only_from_the_wings_below_it(file: Path) -> None:
    folder = file.relative_to(ROOT).parts[0]
    for name in imported(file):
        if name[0] == folder and folder in WINGS:
            assert floor(folder, name) <= floor(folder, module_of(file)), ".".join(name)


def floor(folder: str, name: tuple[str, ...]) -> int:
    """Return on which floor of its folder a module lies; 0 is what everybody stands on."""
    wing = name[1] if len(name) > 1 else ""
    return next((number for number, wings in enumerate(WINGS[folder]) if wing in wings), 0)


def test_no_two_files_import_each_other() -> None:
    """Neither at run time nor for types alone."""
    imports_of = {module_of(file): set(imported(file)) - {module_of(file)} for file in files()}

    both = sorted(
        f"{'.'.join(one)} and {'.'.join(other)}"
        for one, others in imports_of.items()
        for other in others
        if one < other and one in imports_of.get(other, set())
    )

    assert both == []


def modules_loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def loaded_by(statement: str) -> set[str]:
    return {name.partition(".")[0] for name in modules_loaded_by(statement)}


@pytest.mark.parametrize(
    ("statement", "never"),
    [
        ("import klingkit.client", {"flask", "hypothesis", "openapi_core", "yaml", "jsonschema_rs", "PIL"}),
        ("import klingkit.contract", {"flask", "hypothesis", "requests", "PIL"}),
        (
            "import klingkit.mock_server.serving.serve",
            {"flask", "werkzeug", "hypothesis", "requests", "PIL", "urllib3"},
        ),
        ("import klingkit.mock_server.simulator", {"flask", "hypothesis", "requests", "PIL", "urllib3", "uvicorn"}),
        ("import klingkit.mock_server.app", {"hypothesis", "requests", "responses", "httpx", "PIL", "uvicorn"}),
        ("import klingkit.pytest_plugin", {"flask", "hypothesis", "requests", "responses", "httpx", "click", "yaml"}),
        ("import klingkit", {"flask", "hypothesis", "requests", "responses", "httpx", "click", "yaml"}),
        ("import klingkit.cli", {"flask", "hypothesis", "requests", "uvicorn", "rich", "yaml"}),
    ],
)
def test_importing_it_does_not_load(statement: str, never: set[str]) -> None:
    assert loaded_by(statement) & never == set()


def test_a_simulator_with_a_recording_loads_nothing_of_the_verifier(tmp_path: Path) -> None:
    made = datetime(2026, 11, 25, tzinfo=UTC)
    save(Recording("https://example.com", load_contract().name, made, {}), tmp_path / "rec", [])
    statement = f"""
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
Simulator(Settings(recording={str(tmp_path / "rec")!r}))
"""
    loaded = modules_loaded_by(statement)

    assert "klingkit.contract.recordings.replay" in loaded
    assert {name for name in loaded if name.startswith("klingkit.contract.verify")} == set()
