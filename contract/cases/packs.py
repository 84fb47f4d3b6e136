"""Packs: as few accepted requests as can try every boundary, since only accepted requests cost money."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from .assumed import is_right
from .boundaries import field_boundaries, wrappings
from .builder import put
from .case import PICTURES, SMALLEST, Boundary, Case

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ..targets.target import Request
    from .builder import Builder


def packs(builder: Builder) -> Iterator[Case]:
    """Yield the request that tries nothing, then those that try every boundary."""
    yield _pack(builder, SMALLEST, ())
    columns = [field_boundaries(builder, name) for name in builder.rules.known_fields[()]]
    columns.append(list(wrappings(builder)))
    yield from _packed(builder, "accepted", columns)


def packs_of(builder: Builder, group: str, fields: Collection[str]) -> Iterator[Case]:
    """Yield the requests that try every boundary of some fields; `group` begins their ids."""
    yield from _packed(builder, group, [field_boundaries(builder, name) for name in fields])


def _packed(builder: Builder, group: str, every: list[list[Boundary]]) -> Iterator[Case]:
    columns = [[boundary for boundary in column if is_right(builder, boundary)] for column in every]
    for number, boundaries in enumerate(_dealt(columns), 1):
        yield _pack(builder, f"{group}/{number}", tuple(boundaries))


def _dealt(columns: list[list[Boundary]]) -> list[list[Boundary]]:
    """Deal the boundaries of each field, a column, to as many requests as the longest column needs.

    No request has two boundaries of one field. Each column begins one request later than the one before it and goes round:
    else the first requests would try something of every field, and a refusal of them would leave many suspects, while
    the last ones would try hardly anything.
    """
    height = max(map(len, columns))
    requests: list[list[Boundary]] = [[] for _ in range(height)]
    for start, column in enumerate(columns):
        for row, boundary in enumerate(column):
            requests[(start + row) % height].append(boundary)
    return requests


def _pack(builder: Builder, case_id: str, covers: tuple[Boundary, ...]) -> Case:
    body = {**builder.body, **builder.calling_back(case_id)}
    request, repack = _pack_request(builder, body, covers), partial(_pack_request, builder, body)
    return Case(case_id, request, builder.create.operation_id, PICTURES, covers=covers, repack=repack)


def _pack_request(builder: Builder, body: dict[str, Any], covers: tuple[Boundary, ...]) -> Request:
    """Return a request with some boundaries tried at once."""
    for boundary in covers:
        if boundary.place:
            body = put(body, boundary.place, boundary.value)
    request = builder.post(body)
    for boundary in covers:  # after the body is whole, since some change its bytes
        if boundary.change:
            request = boundary.change(request)
    return request
