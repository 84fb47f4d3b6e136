"""What breaks a rule: by keyword, the values that a place has instead of valid ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from .values import CHARACTERS, JSON, MISSING, SHORT, Node, short_texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

BEYOND = st.just(1) | st.integers(1, 19)
"""How far outside a limit: often just outside, and never so far that a service which takes it charges much."""
NO_FILES = (
    "data:image/png;base64,QUJD",
    "QUJD\n",
    "QU JD",
    "QUI",
    "-_-_",
    "ftp://example.com/a.png",
    "//example.com/a",
)


ALSO_RIGHT = {"number": ("integer",)}
"""Other types that are right where one is."""


def _not_listed(node: Node) -> SearchStrategy[str]:
    allowed = node["enum"]
    near = [like for name in allowed for like in (f"{name} ", f" {name}", f"{name}0", name[:-1], name.swapcase())]
    return SHORT | st.sampled_from([like for like in (*near, *node.get("x-neighbours", ())) if like not in allowed])


BREACHES: dict[str, Callable[[Node, SearchStrategy[Any]], SearchStrategy[Any]]] = {
    "type": lambda node, _: st.one_of(
        [
            values
            for name, values in JSON.items()
            if name not in {"null", node["type"], *ALSO_RIGHT.get(node["type"], ())}
        ]
    ),
    "required": lambda _, __: st.sampled_from([MISSING, None]),
    "pattern": lambda _, __: st.text(" \t\n\u0085\u00a0\u2003\u3000", max_size=3),
    "minItems": lambda node, items: st.lists(items, max_size=node["minItems"] - 1),
    "maxItems": lambda node, items: st.lists(items, min_size=node["maxItems"] + 1, max_size=node["maxItems"] + 3),
    "minLength": lambda node, _: st.text(CHARACTERS, max_size=node["minLength"] - 1),
    "maxLength": lambda node, _: st.builds(
        lambda text, over: text.ljust(node["maxLength"] + over, "x"), short_texts(node), BEYOND
    ),
    "minimum": lambda node, _: BEYOND.map(lambda under: node["minimum"] - under),
    "maximum": lambda node, _: BEYOND.map(lambda over: node["maximum"] + over),
    "enum": lambda node, _: _not_listed(node),
    "base64": lambda _, __: st.text(CHARACTERS, max_size=5) | st.sampled_from(NO_FILES),
}
"""By keyword, what breaks it at a place with that schema and those items; little of it breaks something else."""
