"""The contract kit: everything that knows `openapi.yaml`. It imports neither the simulator nor the client."""

from .api_error import Answer, ApiError
from .pictures import Picture
from .rule import ErrorSpec, Rule
from .rules import Violation
from .spec import Assumption, Contract, Lifecycle, Operation, Promise, load_contract

__all__ = [
    "Answer",
    "ApiError",
    "Assumption",
    "Contract",
    "ErrorSpec",
    "Lifecycle",
    "Operation",
    "Picture",
    "Promise",
    "Rule",
    "Violation",
    "load_contract",
]
