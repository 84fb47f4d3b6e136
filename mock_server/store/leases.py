"""Whose turn it is, among all processes that share the state."""

from __future__ import annotations

from typing import Protocol


class Leases(Protocol):
    """What one process does at a time. A lease runs out by itself when its holder dies; its number is its fence.

    `whose` is an account, the server's clock with all that follow it (empty), or everybody (None).
    """

    @property
    def shared(self) -> bool:
        """Whether other processes use the state too."""
        ...

    def begin_journey(self, owner: str) -> int | None:
        """Return the number of a journey by a clock; None while there is one already, or a reset that concerns it."""
        ...

    def begin_reset(self, whose: str | None) -> int | None:
        """Return the number of a reset, which lets journeys end and none begin; None while there is the same."""
        ...

    def keep(self, lease: int) -> bool:
        """Hold a lease for longer; False if it has run out and was taken over, or a reset lets it end."""
        ...

    def give_back(self, lease: int) -> None:
        """End a lease."""
        ...

    def travelling(self, whose: str | None) -> bool:
        """Tell whether there is a journey that a reset waits for."""
        ...

    def attempting(self, whose: str | None) -> frozenset[int]:
        """Return the claims of all attempts under way."""
        ...


class OneProcess:
    """Leases of a process that shares its state with nobody: its threads take turns by themselves."""

    shared = False

    def begin_journey(self, _: str) -> int | None:
        """Return a number: nobody else is there."""
        return 0

    def begin_reset(self, _: str | None) -> int | None:
        """Return a number: nobody else is there."""
        return 0

    def keep(self, _: int) -> bool:
        """Nobody takes over."""
        return True

    def give_back(self, _: int) -> None:
        """Do nothing."""

    def travelling(self, _: str | None) -> bool:
        """Nobody else travels."""
        return False

    def attempting(self, _: str | None) -> frozenset[int]:
        """Nobody else attempts anything."""
        return frozenset()
