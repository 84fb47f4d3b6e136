"""docs/page.md, and the pictures of the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from klingkit.mock_server.page.screens import SCREENS

if TYPE_CHECKING:
    from tests.mock_server.page.conftest import Visitor

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/page.md").read_text(encoding="utf-8")
MOST_BYTES = 150 * 1024


def test_it_names_every_screen() -> None:
    assert [screen.title for screen in SCREENS.values() if screen.title not in PAGE] == []


def test_its_addresses_are_there(visitor: Visitor) -> None:
    visitor.api.create()
    addresses = re.findall(r"`(?:http://127.0.0.1:8000)?(/_mock/[^`]*)`", PAGE)

    assert len(addresses) >= 4
    for address in addresses:
        visitor.look(address)


def test_its_pictures_are_made_by_its_script_and_small() -> None:
    script = (ROOT / "docs/make_pictures.py").read_text(encoding="utf-8")
    shown = set(re.findall(r"!\[[^\]]+\]\(page-(\w+)\.png\)", PAGE))

    assert shown == set(re.findall(r"keep\(page, \"(\w+)\"", script)) >= {"tasks", "task", "journal", "callbacks"}
    for name in shown:
        file = ROOT / f"docs/page-{name}.png"
        with Image.open(file) as picture:
            assert picture.format == "PNG"
        assert file.stat().st_size < MOST_BYTES
