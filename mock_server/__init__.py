"""The simulator: a Flask application over an engine that knows nothing of HTTP."""

from .app import create_app
from .clock import Clock, SystemClock, VirtualClock
from .settings import Settings
from .simulator import Simulator

__all__ = ["Clock", "Settings", "Simulator", "SystemClock", "VirtualClock", "create_app"]
