from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from klingkit.mock_server import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from klingkit.contract import Picture
    from klingkit.mock_server.tasks import Task


@pytest.fixture(scope="package", autouse=True)
def _drawn_once() -> Iterator[None]:
    """Draw equal results once: runs of one seed make the same tasks, again and again."""
    drawn: dict[object, bytes] = {}

    def render(task: Task, index: int, given: Sequence[Picture], **more: Any) -> bytes:
        key = (task.task_id, index, task.n, task.prompt, task.aspect_ratio, *map(hash, given), *more.items())
        if key not in drawn:
            drawn[key] = draw(task, index, given, **more)
        return drawn[key]

    draw = pictures.render
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "render", render)
        yield
