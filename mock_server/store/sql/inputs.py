"""The pictures that requests have sent as bytes, so that every process draws the same results; the oldest go first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, select

from . import totals
from .tables import inputs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

ROW_BYTES = 500
"""What a picture takes beside its bytes."""
BYTES = "input bytes"
_add = insert(inputs)
_get = select(inputs.c.data).where(inputs.c.task_id == bindparam("task_id"), inputs.c.number == bindparam("number"))


def add(connection: Connection, task_id: str, pictures: Mapping[int, bytes], most_bytes: int) -> int:
    """Keep the pictures of a task that are not too large, and return the bytes that they take."""
    kept = [number for number, data in pictures.items() if len(data) + ROW_BYTES <= most_bytes]
    if kept:
        rows = ((number, pictures[number]) for number in kept)
        connection.execute(
            _add,
            [
                {"task_id": task_id, "number": number, "size": len(data) + ROW_BYTES, "data": data}
                for number, data in rows
            ],
        )
    return sum(len(pictures[number]) + ROW_BYTES for number in kept)


def get(connection: Connection, task_id: str, number: int) -> bytes | None:
    """Return a picture of a task."""
    return connection.execute(_get, {"task_id": task_id, "number": number}).scalar()


def kept(connection: Connection, task_ids: list[str]) -> set[tuple[str, int]]:
    """Return of which pictures of these tasks there are bytes, by task id and number."""
    found = select(inputs.c.task_id, inputs.c.number).where(inputs.c.task_id.in_(task_ids))
    return {(task_id, number) for task_id, number in connection.execute(found)}


def remove(connection: Connection, task_ids: Iterable[str]) -> int:
    """Forget the pictures of tasks, and return the bytes that they took."""
    gone = delete(inputs).where(inputs.c.task_id.in_(list(task_ids))).returning(inputs.c.size)
    return sum(connection.execute(gone).scalars())


def make_room(connection: Connection, most_bytes: int) -> None:
    """Drop the oldest while there are too many bytes."""
    too_many = totals.one(connection, BYTES) - most_bytes
    oldest = select(inputs.c.id, inputs.c.size).order_by(inputs.c.id).with_for_update(skip_locked=True)
    while too_many > 0 and (row := connection.execute(oldest.limit(1)).first()):
        connection.execute(delete(inputs).where(inputs.c.id == row.id))
        totals.add(connection, {BYTES: -row.size})
        too_many -= row.size
