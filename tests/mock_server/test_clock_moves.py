"""What was done to a clock is kept with the clock, and no longer than it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from klingkit.mock_server.auth import account_name
from klingkit.mock_server.clock import KEPT_MOVES, START
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.store.clock_states import MOST_MOVED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Api

MINUTE = 60_000


def told(api: Api, account: str) -> list[tuple[str, int, int]]:
    return [(move.by, move.start - START, move.end - START) for move in api.simulator.clocks.moves(account)]


@pytest.mark.everywhere
def test_each_move_is_told_once_in_order(api: Api) -> None:
    server = Control.of(api.simulator)
    server.advance("1m")
    server.advance("0s")
    server.freeze()  # it stands already
    server.resume()
    server.resume()

    assert told(api, "")[0] == ("advance", 0, MINUTE)
    assert [by for by, _, _ in told(api, "")] == ["advance", "resume"]


@pytest.mark.everywhere
def test_an_account_has_the_moves_of_the_server_up_to_its_own_first(api: Api) -> None:
    server, mine = Control.of(api.simulator), Control.of(api.simulator, key="mine")
    server.advance("1m")
    mine.advance("2m")
    server.advance("5m")

    assert told(api, account_name("mine")) == [("advance", 0, MINUTE), ("advance", MINUTE, 3 * MINUTE)]
    assert told(api, account_name("other")) == [("advance", 0, MINUTE), ("advance", MINUTE, 6 * MINUTE)]
    mine.reset()
    assert told(api, account_name("mine")) == told(api, "")
    server.reset()
    assert told(api, "") == told(api, account_name("mine")) == []


@pytest.mark.everywhere
def test_the_oldest_go_first(api: Api) -> None:
    server = Control.of(api.simulator)
    for _ in range(KEPT_MOVES + 3):
        server.advance("1m")
    assert told(api, "") == [("advance", number * MINUTE, (number + 1) * MINUTE) for number in range(3, KEPT_MOVES + 3)]


def test_of_very_many_clocks_those_of_the_last_are_kept_and_that_of_the_server(make_api: Callable[..., Api]) -> None:
    api = make_api()
    Control.of(api.simulator).advance("1m")
    for number in range(MOST_MOVED + 1):
        Control.of(api.simulator, key=f"key-{number}").advance("1m")
    kept = [bool(api.simulator.store.moves(account_name(f"key-{number}"))) for number in range(MOST_MOVED + 1)]
    assert kept == [False] * 2 + [True] * (MOST_MOVED - 1)
    assert told(api, "") == [("advance", 0, MINUTE)]
