"""Pictures kept within bounds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

ITEM_BYTES = 500
"""What an item takes beside its bytes."""


class ByteCache:
    """Byte strings by key; when their sum passes the limit, what was used longest ago is dropped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._items: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._items)

    def put(self, key: Hashable, data: bytes) -> None:
        """Keep `data`, unless it alone is larger than the limit."""
        with self._lock:
            if key in self._items or len(data) > self._limit:
                return
            self._items[key] = data
            self._size += len(data) + ITEM_BYTES
            while self._size > self._limit:
                self._size -= len(self._items.popitem(last=False)[1]) + ITEM_BYTES

    def discard(self, key: Hashable) -> None:
        """Drop what is kept under `key`, if anything is."""
        with self._lock:
            if (data := self._items.pop(key, None)) is not None:
                self._size -= len(data) + ITEM_BYTES

    def has(self, key: Hashable) -> bool:
        """Tell whether something is kept under `key`; that is no use of it."""
        return key in self._items

    def get(self, key: Hashable) -> bytes | None:
        """Return what was kept under `key`; None if nothing is, or it was dropped."""
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
            return self._items.get(key)


class Workshop:
    """Makes byte strings one after the other; whoever asks for one that is being made, or waits to be, gets the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._orders: dict[Hashable, Future[bytes]] = {}

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """Return what `make` returns, or raise what it raises, here or where it was asked for first."""
        with self._lock:
            known = self._orders.get(key)
            order = self._orders[key] = known or Future()
        if known is None:
            try:
                with self._making:
                    order.set_result(make())
            except BaseException as error:
                order.set_exception(error)
                raise
            finally:
                with self._lock:
                    del self._orders[key]
        return order.result()
