"""Where the state lies that a test asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.states import States


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, states: States) -> Iterator[str]:
    """URL of a database with an empty state."""
    url = states.new(request.param)
    assert url
    yield url
    states.take_back()
