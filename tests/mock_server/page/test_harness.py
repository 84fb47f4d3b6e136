"""What looks with a browser leaves the thread of the other tests as it found it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest
    from playwright.sync_api import Page


def test_a_test_with_a_browser_runs_in_its_thread(page: Page) -> None:
    assert threading.current_thread().name.startswith("browser")
    assert page.evaluate("1 + 1") == 2


def test_a_test_without_one_can_run_an_event_loop_beside_it(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("browser")
    assert asyncio.run(asyncio.sleep(0, "done")) == "done"
