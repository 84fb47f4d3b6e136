"""Pictures made small, so that a list does not carry megabytes; and what can be said of a picture by its first bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from klingkit.contract.import_lock import importing
from klingkit.contract.pictures import measure

from .cache import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable

    from .store import Store

MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg"}
SMALL_TYPE = MEDIA_TYPES["JPEG"]
"""Of what is made small."""


class PictureFacts(NamedTuple):
    """What a picture is."""

    media_type: str
    """`image/png` or `image/jpeg`; empty for anything else, and for what has no readable header."""
    size: int
    """Bytes."""
    width: int | None
    """Px."""
    height: int | None
    """Px."""


def picture_facts(data: bytes) -> PictureFacts:
    """Return what the bytes of a picture say at their beginning."""
    for name, media_type in MEDIA_TYPES.items():
        if (measured := measure(data, (name,))) is not None:
            return PictureFacts(media_type, len(data), *measured)
    return PictureFacts("", len(data), None, None)


class Thumbnails:
    """Small pictures, made on the first call, one after the other, and kept among the results, so that a reset forgets them too."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._workshop = Workshop()  # of its own: to make a result small, that of the results may have to draw it

    def get(self, name: tuple[str, str, int], width: int, load: Callable[[], bytes | None]) -> bytes | None:
        """Return the picture of a name (task id, what, number) as JPEG, whose longer side is `width` px at most.

        `load` gives its bytes. None if there are none, or they cannot be drawn.
        """
        key = (*name, width)
        cached = self._store.results.get(key)
        if cached is None:
            cached = self._workshop.get(key, lambda: _made(load(), width))
            if cached:
                self._store.results.put(key, cached)
        return cached or None


def _made(data: bytes | None, width: int) -> bytes:
    if data is None:
        return b""
    with importing:
        from .pictures import made_small  # noqa: PLC0415 - start-up does not wait for Pillow

    return made_small(data, width) or b""
