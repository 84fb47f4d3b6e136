"""What a request says that the service would silently ignore: named for the developer, in a header and in the log."""

from __future__ import annotations

import difflib
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from klingkit.contract import Contract

MAX_NAMED = 5


def unknown_field_warnings(contract: Contract, body: dict[str, Any]) -> list[str]:
    """Name each field that the contract does not know, with the known one that was probably meant; plain ASCII."""
    warnings = []
    for place, name, known in islice(contract.request.unknown_fields(body), MAX_NAMED):
        where = ascii(name[:60]) + (f" in {place}" if place else "")
        close = difflib.get_close_matches(name[:60], known, n=1)
        hint = f", did you mean '{close[0]}'?" if close else ""
        warnings.append(f"unknown field {where} is ignored{hint}")
    return warnings
