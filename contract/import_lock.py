"""Import a library in the moment when it is needed, from many threads."""

from __future__ import annotations

import threading

importing = threading.RLock()
"""To be held meanwhile: Python refuses an import as a deadlock when two threads enter a package by different modules."""
