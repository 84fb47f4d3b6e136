"""Which operation a path of the API means: as werkzeug would say it, at a tenth of the cost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from klingkit.contract import Contract

    Methods = dict[str, str]
    """Operation id by method."""


class ApiPaths:
    """The paths of some contracts."""

    def __init__(self, contracts: Iterable[Contract]) -> None:
        self._fixed: dict[str, Methods] = {}
        self._with_arguments: dict[re.Pattern[str], Methods] = {}
        for contract in contracts:
            for operation in contract.routes.values():
                methods = self._methods(operation.path)
                methods.setdefault(operation.method, operation.operation_id)
                if operation.method == "GET":
                    methods.setdefault("HEAD", operation.operation_id)

    def find(self, path: str) -> tuple[Methods, dict[str, str]] | None:
        """Return what can be done at a path, with the arguments that stand in it; None where nothing is."""
        if methods := self._fixed.get(path):
            return methods, {}
        for pattern, methods in self._with_arguments.items():
            if match := pattern.fullmatch(path):
                return methods, match.groupdict()
        return None

    def _methods(self, path: str) -> Methods:
        """Return what can be done at a path of the contract, to be filled."""
        if "{" not in path:
            return self._fixed.setdefault(path, {})
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
        return self._with_arguments.setdefault(re.compile(pattern), {})
