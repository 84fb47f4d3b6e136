"""What there is under `/_mock`, as a page for a browser."""

from __future__ import annotations

from html import escape
from typing import Any

STYLE = "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}td{padding:0 1em 0 0;vertical-align:top}"


def index_page(index: dict[str, Any]) -> str:
    """Return the page of an index; what can be looked at without more is a link."""
    title = f"klingkit {escape(index['version'])} simulates {escape(index['contract'])}"
    rows = "\n".join(_row(**operation) for operation in index["operations"])
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style></head>\n'
        f"<body><h1>{title}</h1>\n<table>\n{rows}\n</table></body></html>\n"
    )


def _row(method: str, path: str, summary: str) -> str:
    shown = escape(path)
    if method == "GET" and "{" not in path:
        shown = f'<a href="{shown}">{shown}</a>'
    return f"<tr><td>{method}</td><td>{shown}</td><td>{escape(summary)}</td></tr>"
