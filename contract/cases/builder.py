"""What all cases are built with: the right request, from which each differs in one thing, and the pictures in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ..rules import path_of
from ..targets.target import Request
from .case import MAY, NEVER, Case, Place
from .sample_pictures import encode, picture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..rule import Rule
    from ..spec import Contract

MISSING: Any = object()
"""Stands for a field that is left out."""


class Builder:
    """Builds requests, and cases of them, for one run.

    `run` begins every external id; accepted tasks call back to `callback_url`.
    """

    def __init__(self, contract: Contract, run: str, callback_url: str | None) -> None:
        self.contract = contract
        self.rules = contract.request
        self.create = contract.operations["create_task"]
        self.query = contract.operations["get_task"]
        self.left = f"{run}-left"
        """The external id of refused creates, which a pack takes later: nothing of them must be left."""
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
        self._callback_url, self._run = callback_url, run
        self.body = {"subject_image_list": self.subjects(self.square, self.square), **self.calling_back("")}
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
        return [{"subject_image": picture_text} for picture_text in pictures]

    def case(
        self,
        case_id: str,
        request: Request,
        rule: Rule,
        *,
        sure: bool = True,
        value: object = None,
        mended: Request | None = None,
    ) -> Case:
        """Return the case of a request that breaks a rule; `sure` if no service could take it and charge for it."""
        operation = self._operation_of(request)
        charged = operation == self.create.operation_id
        cost = MAY if charged and not sure else NEVER
        return Case(case_id, request, operation, cost, rule, details={"value": value}, mended=mended)

    def _operation_of(self, request: Request) -> str:
        if request.path == self.create.path and request.method != self.query.method:
            return self.create.operation_id
        known = request.path.startswith(self.create.path + "/") and request.method == self.query.method
        return self.query.operation_id if known and "/" not in request.path[len(self.create.path) + 1 :] else ""

    def right_value(self, place: Place) -> Any:
        """Return a right value for a place in a request."""
        node = self.rules.nodes[path_of(place)]
        if "x-role" in node:
            return self.square
        kinds = {"array": self.body["subject_image_list"], "object": {"subject_image": self.square}, "integer": 1}
        return node.get("default", kinds.get(node["type"], MISSING))


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
