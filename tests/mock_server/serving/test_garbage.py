"""What is kept is not looked through for garbage again and again."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from klingkit.mock_server.serving.garbage import LONG_S, LongCollections

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.mark.parametrize(
    ("generation", "took", "frozen"), [(2, 2 * LONG_S, True), (2, LONG_S / 2, False), (1, 2 * LONG_S, False)]
)
def test_what_took_long_to_look_through_is_set_aside(generation: int, took: float, *, frozen: bool) -> None:
    times = iter([5.0, 5.0 + took])
    collections = LongCollections(lambda: next(times))
    before = gc.get_freeze_count()
    for phase in ("start", "stop"):
        collections(phase, {"generation": generation})
    assert (gc.get_freeze_count() > before) is frozen
