"""All state of the simulator, behind one interface (`store.py`): `MemoryStore` keeps it in the memory of one process."""

from .memory import MemoryStore
from .store import RefusedError, Store, StoreUnavailableError, TakenIdError, TooManyError, UnusableStateError

__all__ = [
    "MemoryStore",
    "RefusedError",
    "Store",
    "StoreUnavailableError",
    "TakenIdError",
    "TooManyError",
    "UnusableStateError",
]
