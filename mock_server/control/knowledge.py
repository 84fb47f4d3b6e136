"""What the control API knows of the API that is simulated, and of mistakes in its use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from klingkit.contract import UnknownChoiceError
from klingkit.contract.behaviours import as_json, aspects_of

from ..advice import REMEDIES, advise
from ..scenario_arguments import check_known
from .asking import ControlError, contracts_of

if TYPE_CHECKING:
    from ..simulator import Simulator


def get_api(simulator: Simulator, account: str | None, *, contract: str | None = None) -> dict[str, Any]:
    """Return the document of a contract, of several by its name."""
    served = {found.name: found for found in contracts_of(simulator, account)}
    try:
        check_known("contract", contract or next(iter(served)), served)
    except ValueError as error:
        raise ControlError(str(error)) from None
    return served[contract or next(iter(served))].document


def get_advice(simulator: Simulator, account: str | None) -> list[dict[str, Any]]:
    """Return likely mistakes of the client."""
    return [
        {
            "kind": mistake.kind,
            "text": mistake.text,
            "do": REMEDIES[mistake.kind],
            "account": mistake.account,
            "request": mistake.request,
        }
        for mistake in advise(simulator, account)
    ]


def get_evidence(simulator: Simulator, account: str | None, *, contract: str | None = None) -> dict[str, Any]:
    """Return every aspect of every behaviour of a contract."""
    choice = contract and contract.replace(" ", "+")  # which a plus in a query string stands for
    try:
        chosen = simulator.contracts.by_text(choice) if choice else contracts_of(simulator, account)[0]
    except UnknownChoiceError as error:
        raise ControlError(str(error)) from None
    return as_json(chosen, aspects_of(chosen))
