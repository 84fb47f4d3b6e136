from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Running


@pytest.fixture(scope="session")
def slow_server() -> Iterator[Running]:
    """Its tasks take longer than any test."""
    with serving("--speed", "0.001") as running:
        yield running
