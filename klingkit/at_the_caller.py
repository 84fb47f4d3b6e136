"""Failing where the user's mistake is."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from klingkit.mock_server.control.asking import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def at_the_caller(function: Callable[[], T]) -> T:
    """Call what a user's mistake makes fail, and show the failure where the mistake is, not down here."""
    __tracebackhide__ = True
    try:
        return function()
    except (ControlError, ValueError) as error:
        problem = ValueError(str(error))
    raise problem  # out here, since pytest would show what is being handled too
