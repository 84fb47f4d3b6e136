"""What every process keeps a copy of, since each request asks for it: settings, seeds and clocks. Read anew when it was changed.

Whoever changes any of it lets the generation go up, in the same transaction; a request looks at that once, when it begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import select, update

from ...clock import ClockState
from .driver import Hot
from .tables import clocks, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from ...account_settings import AccountSettings
    from ...chance import ChanceState

MOST = 10_000
"""Accounts of which a process keeps copies."""
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Generation:
    """The row of the state, as it was read."""

    generation: int
    resets: int
    settings: str | None
    seed: int
    queued: int
    standing: int | None
    """Of the server's clock, as the next."""
    offset: int


@dataclass(slots=True)
class Copies:
    """Of one generation: what belongs to another one goes into another object, whoever reads it how late."""

    of: Generation
    settings: dict[str, tuple[dict[str, Any], AccountSettings]] = field(default_factory=dict)
    """By account: its own, and all that hold for it."""
    seeds: dict[str, int | None] = field(default_factory=dict)
    clocks: dict[str, tuple[str, ClockState]] = field(default_factory=dict)
    """By account; the server's is `""`."""
    chances: dict[str, ChanceState] = field(default_factory=dict)
    """By account of which this process alone makes tasks, as far as it knows: from what the next one is drawn."""
    shared: dict[str, bool] = field(default_factory=dict)
    """Accounts of which other processes make tasks too."""
    ends_seen: dict[str, bool] = field(default_factory=dict)
    """Tasks of which a query has shown the end, as far as it was this process that did."""


_row = Hot(
    select(
        state.c.generation,
        state.c.resets,
        state.c.settings,
        state.c.seed,
        state.c.queued,
        clocks.c.standing,
        clocks.c.offset,
    ).select_from(state.join(clocks, clocks.c.owner == ""))
)


def read(connection: Connection) -> Generation:
    """Return the generation that holds now."""
    return Generation(*_row.rows(connection, {})[0])


def copies_of(generation: Generation) -> Copies:
    """Return the copies of a generation, of which only the server's clock is there so far."""
    server = ClockState(generation.standing, generation.offset)
    return Copies(generation, clocks={"": ("", server)})


def change(connection: Connection, **values: Any) -> None:
    """Let every process read anew what it keeps a copy of; `values` are columns of the state that change too."""
    connection.execute(update(state).values(generation=state.c.generation + 1, **values))


def kept(copies: dict[str, Value], account: str, read_it: Callable[[], Value]) -> Value:
    """Return a copy, read when there is none."""
    if account not in copies:
        if len(copies) >= MOST:
            for name in [name for name in copies if name]:
                del copies[name]
        copies[account] = read_it()
    return copies[account]
