"""Screens become HTML: the templates, and what all of them can use."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from klingkit.contract.printable import printable

from ..clock import iso
from ..control.asking import ControlError
from . import formats
from .ask import HOME, PAGES
from .screens import SCREENS

if TYPE_CHECKING:
    from .ask import Ask

HERE = Path(__file__).parent
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}
_TICKING = re.compile(r'(<time data-(?:at|until)="-?\d+")[^>]*>[^<]*|<time data-now=[^>]*>[^<]*')
"""What a browser makes go on by itself: how long ago something was, and what time it is on a clock that runs."""


def screen(ask: Ask, *, polled: bool = False) -> tuple[str, int]:
    """Return the screen that is asked for, or if it is polled only the live part of it; and its HTTP status."""
    found = SCREENS[ask.screen]
    try:
        values, template, http = found.show(ask), f"{found.name}.html", 200
    except ControlError as error:  # what it shows is gone, or was never there
        values, template, http = {"problem": str(error)}, "problem.html", error.http
    return _rendered(template, ask, "live.html" if polled else "base.html", **values), 200 if polled else http


def refused(reason: str, **values: Any) -> str:
    """Return a page for somebody who may not see the others, with what to do instead."""
    return environment().get_template("refused.html").render(reason=reason, **values)


def tag(html: str) -> str:
    """Return a text that changes when a screen does, whatever its running clocks show."""
    still = _TICKING.sub(r"\1", html)
    return hashlib.blake2b(still.encode(), digest_size=12).hexdigest()


def _rendered(template: str, ask: Ask, layout: str, **values: Any) -> str:
    found = SCREENS[ask.screen]
    frame = {"ask": ask, "screen": found, "screens": SCREENS.values(), "layout": layout, "status": status(ask)}
    return environment().get_template(template).render(**frame, **values)


def status(ask: Ask) -> dict[str, Any]:
    """Return what the bar of every screen shows."""
    return {"health": ask.call("get_health"), "clock": ask.call("get_clock"), "set": _set(ask.call("get_account"))}


def _set(account: dict[str, Any]) -> list[str]:
    """Say what somebody has set that makes the service answer otherwise, and is easily forgotten."""
    said = {
        f"creates: {account['scenario']}": account["scenario"],
        f"queries: {account['query_scenario']}": account["query_scenario"],
        "key disabled": account["disabled"],
        "key expired": account["expired"],
    }
    changed = len(account["assume"])
    questions = [f"{changed} open question{'s' * (changed > 1)}"] if changed else []
    return [text for text, holds in said.items() if holds] + questions


@cache
def static_files() -> dict[str, tuple[bytes, str, str]]:
    """Return content, media type and digest of each static file by its name."""
    files = ((file, file.read_bytes()) for file in (HERE / "static").iterdir() if file.suffix in TYPES)
    return {file.name: (data, TYPES[file.suffix], hashlib.sha256(data).hexdigest()[:16]) for file, data in files}


def static(name: str) -> str:
    """Return the address of a static file, which is another one when the file changes."""
    return f"{PAGES}static/{static_files()[name][2]}/{name}"


@cache
def environment() -> Environment:
    """Return the templates. What is put into them is escaped, always."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"clock_time": formats.clock_time, "iso": iso, "day": formats.day}
    made.filters |= {
        "span": formats.span,
        "clipped": formats.clipped,
        "status_kind": formats.status_kind,
        "printable": printable,
    }
    made.globals |= {"static": static, "HOME": HOME, "PAGES": PAGES}
    made.globals["m"] = made.get_template("macros.html").module
    return made
