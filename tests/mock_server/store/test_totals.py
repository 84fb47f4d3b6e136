"""Running sums of several processes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from klingkit.mock_server.store.sql import totals
from klingkit.mock_server.store.sql.address import read_url
from klingkit.mock_server.store.sql.database import Database

if TYPE_CHECKING:
    import pytest


def test_a_sum_is_what_all_processes_have_added(state_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(read_url(state_url))
    try:
        for process in (1, 2, 3):
            monkeypatch.setattr(os, "getpid", lambda own=process: own)
            sums = database.write(totals.add, {"tasks": 1, "bytes": 1000})()
    finally:
        database.close()

    assert sums == {"tasks": 3, "bytes": 3000}
