"""Hypothesis strategies that read the contract: pictures, valid requests, requests that break one rule, a state machine.

A changed limit in `openapi.yaml` moves them. This folder alone imports Hypothesis; `klingkit.contract` does not load it.
"""

from .bodies import InvalidRequest, breaks_only, draw, invalid_requests, valid_requests
from .stateful import state_machine
from .values import pictures

__all__ = [
    "InvalidRequest",
    "breaks_only",
    "draw",
    "invalid_requests",
    "pictures",
    "state_machine",
    "valid_requests",
]
