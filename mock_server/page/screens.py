"""The screens of the page, in the order of its navigation. A screen is a module with a function `show`, and a template of its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import accounts, advice, api, callbacks, clock, evidence, journal, scenarios, task, tasks, try_it

if TYPE_CHECKING:
    from collections.abc import Callable

    from .ask import Ask


@dataclass(frozen=True, slots=True)
class Screen:
    """One screen; its address is `/_mock/page/NAME`, its template `NAME.html`."""

    name: str
    title: str
    show: Callable[[Ask], dict[str, Any]]
    """Returns the values for the template. Raises ControlError."""
    live: bool = True
    """Whether what it shows changes by itself."""
    under: str = ""
    """Name of the screen from which it is reached, where it does not stand in the navigation."""


SCREENS = {
    screen.name: screen
    for screen in (
        Screen("tasks", "Tasks", tasks.show),
        Screen("task", "Task", task.show, under="tasks"),
        Screen("callbacks", "Callbacks", callbacks.show),
        Screen("journal", "Journal", journal.show),
        Screen("advice", "Advice", advice.show),
        Screen("clock", "Clock", clock.show),
        Screen("scenarios", "Scenarios", scenarios.show),
        Screen("accounts", "Accounts", accounts.show),
        Screen("evidence", "Evidence", evidence.show, live=False),
        Screen("try_it", "Try it", try_it.show),
        Screen("api", "API", api.show, live=False),
    )
}
