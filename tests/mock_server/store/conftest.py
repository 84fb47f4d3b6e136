"""Where the state lies that a test asks for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from klingkit.mock_server.clock import START, ClockState
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.store.sql.opening import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POSTGRES = "KLINGKIT_TEST_POSTGRES_URL"


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database with an empty state."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state.db"
        return
    url = os.environ.get(POSTGRES)
    if not url:
        pytest.skip(f"{POSTGRES} is not set")
    prepare(Settings(state=url), ClockState(START), anew=True)
    yield url
