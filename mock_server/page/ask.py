"""What somebody asks of a screen: its address, whose view it is, and the operations of the control API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from ..control.asking import account_named
from ..control.guard import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOME = f"{PREFIX}/"
PAGES = f"{PREFIX}/page/"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a form that was sent."""

    operation_id: str
    fields: Mapping[str, str]
    """What was filled in."""
    answer: Any = None
    """What the control API answered."""
    error: str = ""
    """Why nothing was changed; empty if it was carried out."""
    broken_off: bool = False
    """Whether it was ended on its way, so that something was changed."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A screen is asked for."""

    screen: str
    """Name of the screen, as in `screens.py`."""
    rest: str
    """What follows the name in the address, such as the id of a task; empty if nothing does."""
    query: Mapping[str, str]
    """What the address says after `?`."""
    operations: Callable[..., Any] = field(repr=False)
    outcome: Outcome | None = None
    """Of the form that led here, if one did."""
    origin: str = ""
    """Where the page was asked for, such as `http://127.0.0.1:8000`."""

    def __post_init__(self) -> None:
        """Refuse what is no name of an account. Raises ControlError."""
        if self.account:
            account_named(self.account)

    @property
    def account(self) -> str | None:
        """Whose view it is; None: that of the whole server."""
        return self.query.get("account") or None

    @property
    def held(self) -> bool:
        """Whether the screen is held still."""
        return "hold" in self.query

    def call(self, operation_id: str, body: Any = None, **arguments: Any) -> Any:
        """Return what the control API answers. Raises ControlError."""
        return self.operations(operation_id, self.account, arguments, body)

    @property
    def address(self) -> str:
        """Its own address."""
        return self.here()

    def here(self, **changes: Any) -> str:
        """Return its own address with other values after `?`; None takes one away, True is one without a value."""
        return address(self.screen, self.rest, {**self.query, **changes})

    def link(self, screen: str, rest: str = "", **query: Any) -> str:
        """Return the address of a screen, in the view of the same account."""
        return address(screen, rest, {"account": self.account, **query})


def address(screen: str, rest: str, query: Mapping[str, Any]) -> str:
    """Return the address of a screen."""
    path = HOME if screen == "tasks" and not rest else f"{PAGES}{screen}" + (f"/{quote(rest, safe='')}" if rest else "")
    kept = {name: "" if value is True else value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(kept)}" if kept else path
