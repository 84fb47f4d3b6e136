"""Whether what answers at an address is a klingkit that can be steered; if not, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from klingkit.mock_server.control.asking import ControlError

if TYPE_CHECKING:
    from klingkit.mock_server.control.client import Control

TOKEN = "KLINGKIT_CONTROL_TOKEN"  # noqa: S105 - the name of a variable


def check_steered(control: Control, url: str) -> None:
    """Raise ConnectionError if what answers is no klingkit, ControlError if it has no control API."""
    paths = set()
    try:
        paths = {operation["path"] for operation in control.index()["operations"]}
    except ControlError as error:
        if error.http == 503:  # it has lost its database, and says so
            raise
    except (KeyError, TypeError):  # the answer of somebody else
        pass
    if "/_mock/health" not in paths:
        raise ConnectionError(f"{url}: nothing there answers as klingkit does")
    if "/_mock/clock" not in paths:
        raise ControlError(f"{url}: that server has no control API: start it without --no-control", 404)


def with_remedy(error: ControlError) -> str:
    """Return what was refused; if a token is wanted, with the variable that it is taken from."""
    wants_token = error.http == 403 and "token" in str(error)
    return f"{error}; put it into {TOKEN}" if wants_token else str(error)
