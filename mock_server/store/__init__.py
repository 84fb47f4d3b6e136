"""All state of the simulator, behind one interface (`store.py`): `MemoryStore` keeps it in the memory of one process."""

from .memory import MemoryStore
from .store import (
    PAGE,
    RefusedError,
    StaleChanceError,
    Store,
    StoreUnavailableError,
    TakenIdError,
    TooManyError,
    UnknownCursorError,
    UnusableStateError,
)

__all__ = [
    "PAGE",
    "MemoryStore",
    "RefusedError",
    "StaleChanceError",
    "Store",
    "StoreUnavailableError",
    "TakenIdError",
    "TooManyError",
    "UnknownCursorError",
    "UnusableStateError",
]
