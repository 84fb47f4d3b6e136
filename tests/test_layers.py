"""Who may import whom: the table of ARCHITECTURE.md, enforced."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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
    "contract": {"flask", "werkzeug", "hypothesis", "requests", "granian"},
    "client": {"flask", "werkzeug", "hypothesis", "openapi_core", "yaml", "jsonschema_rs", "granian"},
    "mock_server": {"hypothesis", "openapi_core", "requests"},
    "klingkit": {"hypothesis", "openapi_core"},
}
FLASK_FILES = {"app.py", "control.py", "in_process.py", "receivers.py", "server.py", "thread_server.py"}
"""The HTTP files of the simulator; below them nobody knows Flask."""
OWN_LIBRARY = {"strategies.py": {"hypothesis"}, "targets.py": {"requests"}, "intercept.py": {"requests"}}
"""Files that alone know a library, which is loaded when they need it; nothing that `klingkit serve` runs imports them."""


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Yield level and name of each import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def files() -> list[Path]:
    return [file for folder in MAY_IMPORT for file in sorted((ROOT / folder).glob("**/*.py"))]


@pytest.mark.parametrize("file", files(), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_file_imports_only_what_its_folder_may(file: Path) -> None:
    folder = file.parent.name
    for level, name in imports(file):
        first, _, rest = name.partition(".")
        if level:
            assert level == 1, f"{name}: from another folder, import klingkit.{name}"
        elif first == "klingkit" and folder != "klingkit":
            assert rest.partition(".")[0] in MAY_IMPORT[folder], name
        else:
            assert first not in MAY_IMPORT.keys() - {"klingkit"}, f"{name} makes a second copy: import klingkit.{name}"
            assert first not in NEVER[folder] - OWN_LIBRARY.get(file.name, set()), name
            assert first not in {"flask", "werkzeug"} or file.name in FLASK_FILES, name


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in result.stdout.split()}


@pytest.mark.parametrize(
    ("statement", "never"),
    [
        ("import klingkit.client", {"flask", "hypothesis", "openapi_core", "yaml", "jsonschema_rs", "PIL"}),
        ("import klingkit.contract", {"flask", "hypothesis", "requests", "PIL"}),
        ("import klingkit.mock_server.simulator", {"flask", "hypothesis", "requests", "PIL", "urllib3", "granian"}),
        ("import klingkit.mock_server.app", {"hypothesis", "requests", "responses", "httpx", "PIL", "granian"}),
        ("import klingkit.pytest_plugin", {"flask", "hypothesis", "requests", "responses", "httpx", "click", "yaml"}),
        ("import klingkit", {"flask", "hypothesis", "requests", "responses", "httpx", "click", "yaml"}),
        ("import klingkit.cli", {"flask", "hypothesis", "requests", "granian", "rich", "yaml"}),
    ],
)
def test_importing_it_does_not_load(statement: str, never: set[str]) -> None:
    assert loaded_by(statement) & never == set()
