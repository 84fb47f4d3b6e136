"""What all cases are built with: the right request, from which each differs in one thing, and the pictures in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ..rules import path_of
from ..targets.target import Request
from .case import CREATES, MAY, NEVER, Case, Place
from .sample_pictures import encode, picture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..rule import Rule
    from ..rule_table import Path
    from ..spec import Contract

PAIR = ("klingkit-access-key", "klingkit-secret-key")
"""Access key and secret key, where none are given."""
ITEMS = 2
"""Items of a right list."""
RIGHT = {"integer": 1, "number": 0.5, "boolean": True}
"""A right value of a type."""
MISSING: Any = object()
"""Stands for a field that is left out."""


class Builder:
    """Builds requests, and cases of them, for one run.

    `run` begins every external id; accepted tasks call back to `callback_url`; `pair` is an access key and its secret key, where the
    contract has such.
    """

    def __init__(
        self,
        contract: Contract,
        run: str,
        callback_url: str | None,
        operation_id: str = "create_task",
        pair: tuple[str, str] = PAIR,
    ) -> None:
        self.contract = contract
        self.pair = pair
        self.rules = contract.requests[operation_id]
        self.create = contract.operations[operation_id]
        self.query = contract.operations["get_task"]
        self.left = f"{run}-left"
        """The external id of refused creates, which a pack takes later: nothing of them must be left."""
        self.named = f"{run}-named"
        """The external id of an accepted task."""
        self.failed = f"{run}-failed"
        """The external id of a task that fails."""
        self.theirs = f"{run}-theirs"
        """The external id that another account takes before this one."""
        limits = self.rules.limits
        self.side = limits.min_pixels
        """The shortest side of a right picture, in px."""
        self.long = int(limits.min_pixels * limits.max_ratio)
        """The longest side that a right picture can have beside the shortest, in px."""
        self.square = encode(picture(self.side, self.side))
        places = (path for path, node in self.rules.nodes.items() if node.get("x-role") == "subject")
        self._subject = next(places, ("",))[-1]
        self._callback_url, self._run = callback_url, run
        required = self.rules.nodes[()]["required"]
        self.body = {**{name: self._right((name,)) for name in required}, **self.calling_back("")}
        """The right body with the fewest fields."""

    def calling_back(self, case_id: str) -> dict[str, str]:
        """Return the field by which an accepted case gets its callbacks at an address of its own; nothing if nobody receives any."""
        if self._callback_url is None:
            return {}
        query = urlencode({"run": self._run, "case": case_id, "odd": "a b+c/d?e"})
        return {"callback_url": f"{self._callback_url}{case_id}?{query}" if case_id else self._callback_url}

    def post(self, body: Mapping[str, Any]) -> Request:
        """Return a create."""
        return Request(self.create.method, self.create.path, body, content_type=self.create.media_type)

    def get(self, task_id: str) -> Request:
        """Return a query; `{task_id}` stands for the task of the case that goes before."""
        return Request(self.query.method, self.query.path.replace("{task_id}", task_id))

    def items(self, count: int) -> list[dict[str, Any]]:
        """Return so many subjects."""
        return self.subjects(*[self.square] * count)

    def subjects(self, *pictures: str) -> list[dict[str, Any]]:
        """Return subjects with these pictures."""
        return [{self._subject: picture_text} for picture_text in pictures]

    def flags(self, name: str, *, on: bool) -> dict[str, bool]:
        """Return an object of flags, all on or off."""
        return dict.fromkeys(self.rules.known_fields[(name,)], on)

    def case(
        self,
        case_id: str,
        request: Request,
        rule: Rule | None,
        *,
        sure: bool = True,
        value: object = None,
        mended: Request | None = None,
        kind: str | None = None,
    ) -> Case:
        """Return the case of a request that breaks a rule; `sure` if no service could take it and charge for it.

        `kind` is that of the input that breaks it; without one, what the id of the case has after the rule.
        """
        if rule:
            rule = self.contract.questions.known(rule, case_id.partition("/")[2] if kind is None else kind)
        operation = self._operation_of(request)
        charged = operation in CREATES
        cost = MAY if charged and not sure else NEVER
        return Case(case_id, request, operation, cost, rule, details={"value": value}, mended=mended)

    def _operation_of(self, request: Request) -> str:
        if request.path == self.create.path and request.method != self.query.method:
            return self.create.operation_id
        listed = self.contract.operations.get("list_tasks")
        if listed and request.path.partition("?")[0] == listed.path and request.method == listed.method:
            return listed.operation_id
        known = request.path.startswith(self.create.path + "/") and request.method == self.query.method
        return self.query.operation_id if known and "/" not in request.path[len(self.create.path) + 1 :] else ""

    def right_value(self, place: Place) -> Any:
        """Return a right value for a place in a request."""
        path = path_of(place)
        return (
            self._right(path) if self._is_required(path) else self.rules.nodes[path].get("default", self._right(path))
        )

    def _is_required(self, path: Path) -> bool:
        return path[-1] == "items" or path[-1] in self.rules.nodes[path[:-1]].get("required", ())

    def _right(self, path: Path) -> Any:
        """Return a value of a place that is right whatever else is sent."""
        node = self.rules.nodes[path]
        if "x-role" in node:
            return self.square
        if node["type"] == "array":
            item = self._right((*path, "items"))
            return [item] * max(ITEMS, node["minItems"])
        if node["type"] == "object":
            return {name: self._right((*path, name)) for name in node.get("required", ())}
        if node["type"] == "string":
            return "klingkit" if self._is_required(path) else MISSING
        return RIGHT[node["type"]]


def put(body: Mapping[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """Return a copy of a body with another value at a place; MISSING leaves the field out."""

    def changed(node: Any, place: Place) -> Any:
        if not place:
            return value
        step = place[0]
        copy: Any = list(node) if isinstance(step, int) else dict(node)
        if value is MISSING and len(place) == 1:
            copy.pop(step, None)
        else:
            inner = node[step] if isinstance(step, int) else node.get(step, {})
            copy[step] = changed(inner, place[1:])
        return copy

    result: dict[str, Any] = changed(body, place)
    return result


def nested(levels: int) -> Any:
    """Return lists in lists, so many deep."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value
