"""What lies ahead in order of time, where most is added and little is read. No lock of its own: the store holds one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sortedcontainers import SortedList

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..agenda import Due

SPAN_MS = 128
"""A short span has few entries, so that nobody waits while they are sorted."""


class Timeline:
    """Entries by span of time; those of a span are sorted when it is first read, and kept in order from then on.

    To sort each entry in among all others as it comes costs as much as a third of a query, and more the more there are.
    """

    def __init__(self) -> None:
        self._spans: dict[int, set[Due] | SortedList[Due]] = {}
        self._order: SortedList[int] = SortedList()

    def __bool__(self) -> bool:
        return bool(self._spans)

    def add(self, due: Due) -> None:
        """Put an entry in."""
        number = due.at // SPAN_MS
        span = self._spans.get(number)
        if span is None:
            self._spans[number] = {due}
            self._order.add(number)
        else:
            span.add(due)

    def discard(self, due: Due) -> None:
        """Take an entry out, if it is there."""
        number = due.at // SPAN_MS
        if span := self._spans.get(number):
            span.discard(due)
            if not span:
                self._forget(number)

    def since(self, first: Due) -> Iterator[Due]:
        """Yield what is not before an entry, in order."""
        for number in self._order.irange(first.at // SPAN_MS):
            yield from self._sorted(number).irange(first)

    def begins_before(self, end: Due) -> bool:
        """Tell whether anything is before an entry."""
        return bool(self._order) and self._order[0] * SPAN_MS <= end.at and self._sorted(self._order[0])[0] < end

    def drop_before(self, end: Due) -> None:
        """Take out what is before an entry."""
        while self.begins_before(end):
            number = self._order[0]
            span = self._sorted(number)
            del span[: span.bisect_left(end)]
            if not span:
                self._forget(number)

    def _sorted(self, number: int) -> SortedList[Due]:
        span = self._spans[number]
        if isinstance(span, set):
            span = self._spans[number] = SortedList(span)
        return span

    def _forget(self, number: int) -> None:
        del self._spans[number]
        self._order.remove(number)
