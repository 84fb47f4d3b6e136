"""What the application answered, on its way to the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ..scenario import Fault


class WireAnswer(NamedTuple):
    """What the application answered."""

    http: int
    headers: list[tuple[str, str]]
    body: bytes
    fault: Fault | None

    @property
    def start(self) -> dict[str, Any]:
        """Status and headers, for ASGI."""
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        return {"type": "http.response.start", "status": self.http, "headers": encoded}
