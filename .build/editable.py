"""setuptools as the build backend, whose wheels hold no file of an earlier one, and whose editable installs type checkers can read too.

Python finds the packages of an editable install by a hook, since `klingkit.client` lies in `client/`; a type checker runs no hook
and reads folders alone. So links lend the checkout the layout of the wheel. Python needs none of them.
"""

from __future__ import annotations

import hashlib
import shutil
from base64 import urlsafe_b64encode
from contextlib import suppress
from pathlib import Path
from zipfile import ZipFile

from setuptools import build_meta
from setuptools.build_meta import (
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".editable"
"""What goes on the path: klingkit alone. The checkout itself would hide packages of users that are called `tests` or `client`."""
LINKS = {
    FOLDER / "klingkit": "../klingkit",
    **{ROOT / "klingkit" / name: f"../{name}" for name in ("client", "contract", "mock_server")},
}
PTH = "klingkit_editable.pth"


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, str | list[str] | None] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build a wheel of what is there now."""
    # `pip install FOLDER` builds in the checkout, and setuptools takes all of build/lib, also modules that are long deleted.
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)
    name: str = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    return name


def build_editable(
    wheel_directory: str,
    config_settings: dict[str, str | list[str] | None] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build an editable wheel with setuptools, and link the folders."""
    # setuptools' hook would leave out what it finds through a link, and so depend on the links: they come after it.
    for link in LINKS:
        if link.is_symlink():
            link.unlink()
    name: str = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    with suppress(OSError):  # Windows allows links to developers only
        FOLDER.mkdir(exist_ok=True)
        for link, target in LINKS.items():
            link.symlink_to(target, target_is_directory=True)
        add_file(Path(wheel_directory, name), PTH, f"{FOLDER}\n".encode())
    return name


def add_file(wheel: Path, name: str, data: bytes) -> None:
    """Add a file to a wheel, and to the list of its files."""
    with ZipFile(wheel) as archive:
        members = [(member, archive.read(member)) for member in archive.infolist()]
    digest = urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    with ZipFile(wheel, "w") as archive:
        for member, content in members:
            in_list = member.filename.endswith(".dist-info/RECORD")
            archive.writestr(member, content + f"{name},sha256={digest},{len(data)}\n".encode() if in_list else content)
        archive.writestr(name, data)
