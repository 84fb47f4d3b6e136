"""klingkit: a simulator of Kling's Multi-Image to Image API, as CometAPI serves it, with a client and a pytest plugin.

- `klingkit.client`: the client, for the simulator and the real service alike.
- `klingkit.contract`: `openapi.yaml`, compiled: rules, errors, lifecycle.
- `klingkit.mock_server`: the simulator.
- `klingkit.mock()`: the simulator behind requests, httpx and aiohttp in this process, for tests without pytest.
- `klingkit.Kling`: what `mock()` and the fixtures of the pytest plugin give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from decimal import Decimal
    from pathlib import Path

    from .kling import Kling as Kling


def mock(
    *,
    scenario: str | None = None,
    progression: str | None = None,
    balance: Decimal | str | float | None = None,
    seed: int | None = None,
    contract: str | None = None,
    plain_generation: bool | None = None,
    assume: Mapping[str, str] | None = None,
    answers: str | Path | None = None,
) -> AbstractContextManager[Kling]:
    """Return a context in which a simulator answers what this process asks of the service with requests, httpx or aiohttp.

    It serves a contract: `cometapi` if nothing is said, `cometapi-2026`, `kling`, or `all` of them. Raises ValueError for another.
    `assume` answers open questions about the real service otherwise than by default, by their ids (`klingkit assumptions` lists them),
    `answers` as the file says that `klingkit probe` has written. It ends with the exception that the simulator or a receiver of callbacks raised, if any did.
    """
    from .kling_kinds import InProcess

    return InProcess(contract=contract).used(
        scenario=scenario,
        progression=progression,
        balance=balance,
        seed=seed,
        plain_generation=plain_generation,
        assume=assume,
        answers=answers,
    )


def __getattr__(name: str) -> type[Kling]:
    """Load `Kling` when it is asked for: it brings the whole simulator, and `import klingkit` is to stay light."""
    if name == "Kling":
        from .kling import Kling

        return Kling
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
