"""What some contracts promise of a finished task besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .reading import images_of
from .task_history import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..spec import Contract

WATERMARK = "task.watermark"


def judge_extras(contract: Contract, request: dict[str, Any], last: dict[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with a task as it was shown last."""
    asked = request.get("watermark_info")
    wanted = isinstance(asked, dict) and asked.get("enabled") is True
    if WATERMARK in contract.promises and wanted:
        missing = [image for image in images_of(last) if not isinstance(image.get("watermark_url"), str)]
        if missing:
            yield Finding(WATERMARK, "a watermark_url for each picture", f"{len(missing)} pictures without one")
