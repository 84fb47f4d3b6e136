"""All state of the simulator, behind one interface: `MemoryStore` keeps it in the memory of one process."""

from .accounts import RefusedError, TooManyError
from .memory import MemoryStore
from .task_records import TakenIdError

__all__ = ["MemoryStore", "RefusedError", "TakenIdError", "TooManyError"]
