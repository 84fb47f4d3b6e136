"""What is shipped: built as sdist, then wheel from it, the contents are exactly these."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {"klingkit": "klingkit", "client": "klingkit/client", "contract": "klingkit/contract"}
PACKAGES["mock_server"] = "klingkit/mock_server"
SOURCES = {
    f"{installed}/{file.relative_to(ROOT / folder)}"
    for folder, installed in PACKAGES.items()
    for file in (ROOT / folder).rglob("*")
    if file.suffix == ".py" or file.name == "py.typed"
}
OVERLAYS = {f"klingkit/contract/overlays/{file.name}" for file in (ROOT / "contract/overlays").iterdir()}
PAGE = {
    f"klingkit/mock_server/page/{folder}/{file.name}"
    for folder in ("templates", "static")
    for file in (ROOT / "mock_server/page" / folder).iterdir()
}
SHIPPED = SOURCES | OVERLAYS | PAGE | {"klingkit/openapi.yaml", "klingkit/mock_server/control/control.yaml"}


def test_the_wheel_ships_the_sources_the_contract_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    (sdist,) = tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
        contract = archive.read("klingkit/openapi.yaml")
    assert shipped == SHIPPED
    assert {f"{installed}/py.typed" for installed in PACKAGES.values()} <= shipped
    assert contract == (ROOT / "openapi.yaml").read_bytes()
    with tarfile.open(sdist) as archive_of_sources:
        names = {name.partition("/")[2] for name in archive_of_sources.getnames()}
    assert {"openapi.yaml", "LICENSE", "README.md", "pyproject.toml", ".build/editable.py"} <= names
    links = [
        name for name in names for folder in PACKAGES.values() if f"{name}/".startswith(f"{folder}/") and "/" in folder
    ]
    assert links == []
