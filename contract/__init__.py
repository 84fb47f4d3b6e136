"""The contract kit: everything that knows `openapi.yaml`. It imports neither the simulator nor the client."""

from .api_error import Answer, ApiError
from .assumption import Assumption
from .choice import CONTRACTS, Choice, UnknownChoiceError
from .pictures import Picture
from .rule import ErrorSpec, Rule
from .rules import Violation
from .spec import Contract, Lifecycle, Operation, Promise, load_contract

__all__ = [
    "CONTRACTS",
    "Answer",
    "ApiError",
    "Assumption",
    "Choice",
    "Contract",
    "ErrorSpec",
    "Lifecycle",
    "Operation",
    "Picture",
    "Promise",
    "Rule",
    "UnknownChoiceError",
    "Violation",
    "load_contract",
]
