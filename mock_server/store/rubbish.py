"""What is forgotten goes piece by piece, beside everything else: to free a million tasks at once would hold everybody up for seconds."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from sortedcontainers import SortedList

from .agenda import Agenda, Ahead
from .delivery_queue import DeliveryQueue
from .line import Line
from .task_records import TaskRecords
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 200
PAUSE_S = 0.002
PARTS = (Agenda, Ahead, DeliveryQueue, Line, SortedList, TaskRecords, Timeline)
"""What is taken to pieces itself; everything else, such as a task, goes at once when nobody uses it any more."""


def throw_away(parts: list[Any]) -> None:
    """Free what nobody uses any more, in a thread of its own."""
    threading.Thread(target=_free, args=(parts,), name="rubbish", daemon=True).start()


def _free(parts: list[Any]) -> None:
    for number, _ in enumerate(_pieces(parts)):
        if number % PIECE == 0:
            time.sleep(PAUSE_S)


def _pieces(thing: Any) -> Iterator[None]:
    """Take something to pieces; it goes on with each step."""
    if isinstance(thing, PARTS):
        slots = [getattr(thing, name) for name in getattr(thing, "__slots__", ())]
        for inside in (*slots, *getattr(thing, "__dict__", {}).values()):
            yield from _pieces(inside)
    elif isinstance(thing, dict):
        while thing:
            yield from _pieces(thing.popitem()[1])
            yield
    elif isinstance(thing, (list, set)):
        while thing:
            yield from _pieces(thing.pop())
            yield
