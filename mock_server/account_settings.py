"""What an account may do and what it costs. Everything is unlimited until it is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decimal import Decimal

    from .scenario import Scenario


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Settings of an account, or of the server for every account that has none of its own."""

    contract: str | None = None
    """By which of the contracts with the same paths it is answered; None: the one that the server serves."""
    plain_generation: bool = False
    """Whether a create without subject pictures makes a plain picture, where the contract has that."""
    assume: tuple[tuple[str, str], ...] = ()
    """What is assumed otherwise than by the server, of all that comes after authentication: id and alternative."""
    balance: Decimal | None = None
    """Money in the currency of the contract; None: unlimited."""
    quota: Decimal | None = None
    """What the key may spend, apart from the balance; None: unlimited."""
    concurrency: int | None = None
    """Slots: a task holds `n` of them until it ends; None: unlimited."""
    requests: int | None = None
    """Requests per window; None: unlimited."""
    window_ms: int = 1000
    """Length of such a window."""
    disabled: bool = False
    """The key is refused as an unknown one."""
    expired: bool = False
    """The same, for another reason."""
    progression: str = "time"
    """What moves new tasks along: one of `progressions.py`."""
    scenario: Scenario | None = None
    """Default of creates."""
    query_scenario: Scenario | None = None
    """Default of queries."""
    callback_secret: str | None = field(default=None, repr=False)
    """With one (`whsec_...`), callbacks are signed."""
    callback_retries: str = "default"
    """Name of a retry schedule of the contract."""


def over(server: AccountSettings, own: Mapping[str, Any]) -> AccountSettings:
    """Return what holds for an account by its own settings and the server's: of what is assumed, each question by itself."""
    assume = {**dict(server.assume), **dict(own.get("assume", ()))}
    return replace(server, **{**own, "assume": tuple(sorted(assume.items()))})


Changes = Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Settings by name, or what makes them of those that there are, at once: nobody else changes them meanwhile."""


def changed(changes: Changes, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that change."""
    return dict(changes(own) if callable(changes) else changes)
