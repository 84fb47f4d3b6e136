"""Things in the order in which they came, of which any may go. No lock of its own."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import Generic, TypeVar

T = TypeVar("T")

SLACK = 64
"""Empty places, beside as many as there are things, before they are given back."""


class Line(Generic[T]):
    """Things by a number that rises from each to the next; a page of them costs what it shows, however many there are.

    What goes leaves an empty place, which is passed over. They are given back when more than half of the places are empty, so that
    each costs the same whether the oldest goes or one in between.
    """

    __slots__ = ("_first", "_numbers", "_places", "count")

    def __init__(self) -> None:
        self._numbers = array("q")
        self._places: list[T | None] = []
        self._first = 0
        """Place of the oldest thing."""
        self.count = 0
        """How many things there are."""

    def add(self, number: int, thing: T) -> None:
        """Put a thing at the end."""
        self._numbers.append(number)
        self._places.append(thing)
        self.count += 1

    def remove(self, number: int) -> None:
        """Take the thing of that number out."""
        places = self._places
        places[bisect_left(self._numbers, number)] = None
        self.count -= 1
        while self._first < len(places) and places[self._first] is None:
            self._first += 1
        if len(places) > 2 * self.count + SLACK:
            kept = [(number, thing) for number, thing in zip(self._numbers, places, strict=True) if thing is not None]
            self._numbers = array("q", (number for number, _ in kept))
            self._places = [thing for _, thing in kept]
            self._first = 0

    def oldest(self) -> T | None:
        """Return the first thing; None if there is none."""
        return self._places[self._first] if self.count else None

    def after(self, number: int, limit: int) -> list[T]:
        """Return at most `limit` things of higher numbers, in order."""
        found: list[T] = []
        start = max(self._first, bisect_right(self._numbers, number))
        while len(found) < limit and start < len(self._places):
            end = start + max(limit - len(found), SLACK)
            found += [thing for thing in self._places[start:end] if thing is not None]
            start = end
        return found[:limit]

    def before(self, number: int | None, limit: int) -> list[T]:
        """Return at most `limit` things of lower numbers, or (None) of all, from the newest on."""
        found: list[T] = []
        end = len(self._places) if number is None else bisect_left(self._numbers, number)
        while len(found) < limit and end > self._first:
            start = max(self._first, end - max(limit - len(found), SLACK))
            found += [thing for thing in reversed(self._places[start:end]) if thing is not None]
            end = start
        return found[:limit]

    def part(self, first: int, size: int, *, oldest_first: bool) -> list[T]:
        """Return `size` things but for the `first`, from the newest on or from the oldest, where only the oldest ever go."""
        end = len(self._places)
        places = range(first, min(first + size, self.count))
        found = [self._places[self._first + place if oldest_first else end - 1 - place] for place in places]
        return [thing for thing in found if thing is not None]
