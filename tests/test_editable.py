"""An editable install, as the README says it: type checkers see what Python sees, and nothing else comes to depend on the links."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.test_package import ROOT, SHIPPED

CODE = """
import klingkit
from klingkit.client import KlingClient
from klingkit.client.made_after_the_install import NUMBER

reveal_type(KlingClient("key").get)
reveal_type(NUMBER)

def test(kling_mock: klingkit.Kling) -> None:
    reveal_type(kling_mock.advice)
    reveal_type(kling_mock.client)
"""
LOADED = """
import sys, pathlib
import klingkit.client, klingkit.contract, klingkit.mock_server.app
files = [str(pathlib.Path(module.__file__).resolve()) for module in sys.modules.values() if getattr(module, "__file__", None)]
print(*{name for name in files if files.count(name) > 1 and "klingkit" in name})
"""


def run(folder: Path, *command: str | Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MYPY"))}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout, as git makes it."""
    folder = tmp_path_factory.mktemp("checkout")
    compiled = shutil.ignore_patterns("__pycache__")
    for name in (".build", "client", "contract", "klingkit", "mock_server"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=compiled)
    for link in (folder / "klingkit").iterdir():
        if link.is_symlink():
            link.unlink()
    for name in ("pyproject.toml", "MANIFEST.in", "openapi.yaml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def python(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with this one's packages, in which the checkout is installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", vars=paths), "ours.pth")
    packages.write_text(sysconfig.get_path("purelib"))  # without the editable install in there
    python = Path(sysconfig.get_path("scripts", vars=paths), "python")
    install(python, checkout)
    (checkout / "client" / "made_after_the_install.py").write_text("NUMBER = 12\n")
    return python


def install(python: Path, checkout: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-build-isolation")
    run(checkout, *pip, "-e", checkout)


@pytest.mark.parametrize("place", ["checkout", "elsewhere"])
def test_mypy_reads_it(place: str, checkout: Path, python: Path, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(CODE)
    folder = checkout if place == "checkout" else tmp_path

    mypy = (sys.executable, "-m", "mypy", "--strict", "--cache-dir", checkout.parent / "cache")
    said = run(folder, *mypy, "--python-executable", python, tmp_path / "code.py")

    assert ') -> klingkit.client.task.Task"' in said
    assert 'Revealed type is "int"' in said
    assert 'Revealed type is "list[dict[str, Any]]"' in said.replace("builtins.", "").replace("typing.", "")
    assert '"def () -> klingkit.client.client.KlingClient"' in said


def test_no_file_is_loaded_twice(checkout: Path, python: Path, tmp_path: Path) -> None:
    assert run(checkout, python, "-c", LOADED).split() == []
    assert run(tmp_path, python, "-c", LOADED).split() == []


def test_the_wheel_of_a_checkout_with_links_is_the_same(checkout: Path, python: Path, tmp_path: Path) -> None:
    assert (checkout / "klingkit" / "client").is_symlink()

    run(checkout, sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path)

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert shipped == SHIPPED | {"klingkit/client/made_after_the_install.py"}


def test_without_its_links_it_works(checkout: Path, python: Path, tmp_path: Path) -> None:
    """Installed twice, since setuptools looks at the folders, and in the second time the links are there."""
    install(python, checkout)
    links = [checkout / ".editable", *(checkout / "klingkit" / name for name in ("client", "contract", "mock_server"))]
    for link in links:
        link.rename(tmp_path / link.name)

    run(checkout.parent, python, "-c", "import klingkit.client, klingkit.contract, klingkit.mock_server.app")

    for link in links:
        (tmp_path / link.name).rename(link)
