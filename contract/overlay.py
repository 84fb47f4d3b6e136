"""OpenAPI Overlay 1.0 and 1.1: changes to a document, each at the places that a JSONPath (RFC 9535) selects.

What 1.0 leaves open is read as 1.1 has it. `python-jsonpath` finds the places; a target that names a single one needs no library,
whose import takes longer than all else here.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .evidence import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SINGLE = re.compile(r"\$(?:\.[A-Za-z_][A-Za-z0-9_]*|\['[^'\\]*'\]|\[(?:0|[1-9][0-9]*)\])*")
"""A JSONPath that names one place and needs no escapes."""
STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\['([^'\\]*)'\]|\[([0-9]+)\]")


@dataclass(frozen=True, slots=True)
class Node:
    """A place in a document; the root has no parent."""

    value: Any
    parent: Any
    key: Any


def apply_overlay(document: dict[str, Any], overlay: Mapping[str, Any], name: str) -> None:
    """Change a document by an overlay, action after action, each upon what the one before has made.

    Raises ContractError for an action that changes nothing: it was written for another document.
    """
    if not re.fullmatch(r"1\.[01]\.\d+", str(overlay.get("overlay"))):
        raise ContractError(
            f"{name}: overlay {overlay.get('overlay')!r} is no version that is read here: 1.0.x or 1.1.x"
        )
    apply_actions(document, overlay["actions"], name)


def apply_actions(document: dict[str, Any], actions: Sequence[Mapping[str, Any]], name: str) -> None:
    """Change a document by the actions of an overlay. Raises ContractError for one that changes nothing."""
    for number, action in enumerate(actions, 1):
        where = f"{name}, action {number} ({action['target']})"
        try:
            changed = apply_action(document, action)
        except ContractError as error:
            raise ContractError(f"{where}: {error}") from None
        if not changed:
            raise ContractError(f"{where}: it changes nothing")


def apply_action(document: dict[str, Any], action: Mapping[str, Any]) -> bool:
    """Change a document by one action; tell whether that made a difference.

    A target that selects nothing is no error to the specification. Raises ContractError for an update that does not fit its target.
    """
    nodes = select(document, action["target"])
    if action.get("remove", False):
        return _remove(nodes)
    if "copy" in action:
        sources = select(document, action["copy"])
        if len(sources) != 1:
            raise ContractError(f"copy: {action['copy']} selects {len(sources)} places, and has to select one")
        return _update(nodes, sources[0].value)
    return _update(nodes, action["update"]) if "update" in action else False


def select(document: Any, target: str) -> list[Node]:
    """Return the places that a JSONPath selects, each once. Raises ContractError for a text that is no JSONPath."""
    if SINGLE.fullmatch(target):
        return list(_single(document, target))
    from jsonpath import JSONPathEnvironment, JSONPathError  # noqa: PLC0415 - 60 ms, for what the contracts do without

    try:
        matches = {match.path: match for match in JSONPathEnvironment(strict=True).finditer(target, document)}
    except JSONPathError as error:
        raise ContractError(f"no JSONPath: {error.args[0]}") from None
    return [
        Node(match.obj, match.parent.obj if match.parent else None, match.parts[-1] if match.parts else None)
        for match in matches.values()
    ]


def _single(document: Any, target: str) -> Iterator[Node]:
    """Yield the place that a path of names and numbers leads to, if it is there."""
    node = Node(document, None, None)
    for name, quoted, index in STEP.findall(target):
        parent, key = node.value, int(index) if index else name or quoted
        valid = range(len(parent)) if isinstance(parent, list) else parent if isinstance(parent, dict) else ()
        if key not in valid:
            return
        node = Node(parent[key], parent, key)
    yield node


def _remove(nodes: list[Node]) -> bool:
    # From the end of an array on, so that what is still to go keeps its number.
    for node in sorted(nodes, key=lambda node: node.key if isinstance(node.key, int) else -1, reverse=True):
        if node.parent is None:
            raise ContractError("remove: the root of the document cannot be removed")
        del node.parent[node.key]
    return bool(nodes)


def _update(nodes: list[Node], value: Any) -> bool:
    if len({_kind(node.value) for node in nodes}) > 1:
        raise ContractError("the target selects objects, arrays and primitives together, and has to select one kind")
    value = copy.deepcopy(value)  # a copy onto itself, or into what it holds, must not grow while it is read
    changes = [_merge_at(node.parent, node.key, node.value, value) for node in nodes]
    return any(changes)


def _merge_at(parent: Any, key: Any, old: Any, new: Any) -> bool:
    """Merge a value into the one that is there; tell whether that made a difference."""
    if isinstance(old, list):
        added = copy.deepcopy(new) if isinstance(new, list) else [copy.deepcopy(new)]
        old += added
        return bool(added)
    if _kind(old) != _kind(new):
        raise ContractError(f"{_kind(new)} cannot be merged into {_kind(old)} at {key!r}")
    if isinstance(old, dict):
        changes = [_merge_property(old, name, item) for name, item in new.items()]
        return any(changes)
    if parent is None:
        raise ContractError("the document is no object")
    parent[key] = new
    return bool(type(old) is not type(new) or old != new)


def _merge_property(old: dict[str, Any], name: str, new: Any) -> bool:
    if name not in old:
        old[name] = copy.deepcopy(new)
        return True
    if _kind(old[name]) != _kind(new):  # unlike a target itself, to which one entry can be appended
        raise ContractError(f"{_kind(new)} cannot be merged into {_kind(old[name])} at {name!r}")
    return _merge_at(old, name, old[name], new)


def _kind(value: Any) -> str:
    return "an object" if isinstance(value, dict) else "an array" if isinstance(value, list) else "a primitive"
