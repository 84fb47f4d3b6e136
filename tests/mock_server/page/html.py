"""A page as a tree, so that a test says what it shows and where."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VOID = {"br", "hr", "img", "input", "link", "meta", "path", "rect", "line", "circle", "source", "wbr"}


class Node:
    """An element; its attributes by name, those without a value as empty text."""

    def __init__(self, tag: str, attrs: dict[str, str]) -> None:
        self.tag = tag
        self.attrs = attrs
        self.inside: list[Node | str] = []

    @property
    def text(self) -> str:
        """All text within, with single blanks."""
        return " ".join(" ".join(self._texts()).split())

    def _texts(self) -> Iterator[str]:
        for each in self.inside:
            if isinstance(each, str):
                yield each
            else:
                yield from each._texts()

    def all(self, tag: str = "", **attrs: str) -> list[Node]:
        """Every element within that has the tag and the attributes; `class_` is one class of it, `data_x` is `data-x`."""
        return [node for node in self._nodes() if (not tag or node.tag == tag) and node._fits(attrs)]

    def one(self, tag: str = "", **attrs: str) -> Node:
        """The only such element."""
        found = self.all(tag, **attrs)
        assert len(found) == 1, f"{len(found)} elements {tag} {attrs} in: {self.text[:2000]}"
        return found[0]

    def _nodes(self) -> Iterator[Node]:
        for each in self.inside:
            if isinstance(each, Node):
                yield each
                yield from each._nodes()

    def _fits(self, attrs: dict[str, str]) -> bool:
        wanted = {name.replace("_", "-"): value for name, value in attrs.items() if name != "class_"}
        has_class = "class_" not in attrs or attrs["class_"] in self.attrs.get("class", "").split()
        return has_class and wanted.items() <= self.attrs.items()

    def rows(self) -> list[list[str]]:
        """The texts of the cells of each row of a table's body."""
        return [[cell.text for cell in row.inside if isinstance(cell, Node)] for row in self.one("tbody").all("tr")]


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Node("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self._open[-1].inside.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].inside.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open[-1].tag == tag, f"</{tag}> where <{self._open[-1].tag}> is open"
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].inside.append(data)


def parsed(html: str) -> Node:
    """The tree of a page; what is not closed, or closed twice, fails."""
    tree = _Tree()
    tree.feed(html)
    tree.close()
    assert tree._open == [tree.root], f"not closed: {[node.tag for node in tree._open]}"
    return tree.root
