"""A service of its own, written from the published facts alone: the second reading that the kit is held against.

It knows nothing of `openapi.yaml`, `contract/` and `mock_server/`. What is documented or recorded it does exactly; where
nobody knows, it has texts, limits and habits of its own (`habits.py`). So whatever the kit says against it is a false alarm,
unless a test has planted a fault.
"""

from .habits import AS_INFERRED, OTHERWISE, Habits, by_chance
from .service import Delivery, StandIn
from .tasks import VirtualClock

__all__ = ["AS_INFERRED", "OTHERWISE", "Delivery", "Habits", "StandIn", "VirtualClock", "by_chance"]
