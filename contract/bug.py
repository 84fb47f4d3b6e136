"""A bug of klingkit, told in one line that can be reported."""

from __future__ import annotations

import traceback


def bug_line(error: BaseException) -> str:
    """Say what went wrong and where, without what could be private: paths of the machine."""
    places = [
        f"{name}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if (name := str(frame.f_globals.get("__name__", ""))).startswith("klingkit")
    ]
    text = "".join(char if char.isprintable() else " " for char in str(error))[:300]
    where = ", ".join(places[-2:]) or "outside"
    return f"klingkit itself failed, please report this line: {type(error).__name__}: {text} ({where})"
