"""Where `Control` is imported from; it lies in `control/client.py`."""

from .control.client import Control

__all__ = ["Control"]
