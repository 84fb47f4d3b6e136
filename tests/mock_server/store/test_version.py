"""What is kept cannot change without its version: an older state would be taken, and fail at a request."""

from __future__ import annotations

import hashlib
from dataclasses import fields

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from klingkit.contract import Picture
from klingkit.mock_server.account_settings import AccountSettings
from klingkit.mock_server.deliveries import Attempt
from klingkit.mock_server.journal import Entry
from klingkit.mock_server.scenario import Fault, Scenario
from klingkit.mock_server.store.sql.tables import VERSION, metadata
from klingkit.mock_server.tasks import Plan, Task

DIGESTS = {2: "dffe06a1d53ce1ca"}
"""By version. A change of what is kept is a new version, with the digest that the failing test shows."""


def test_a_change_of_what_is_kept_is_another_version() -> None:
    tables = metadata.sorted_tables
    parts = [str(CreateTable(table).compile(dialect=sqlite.dialect())) for table in tables]
    parts += sorted(
        str(CreateIndex(index).compile(dialect=sqlite.dialect())) for table in tables for index in table.indexes
    )
    parts += [
        f"{kind.__name__}.{field.name}: {field.type}"
        for kind in (Task, Plan, Picture, Scenario, Fault, AccountSettings, Attempt, Entry)
        for field in fields(kind)
    ]
    assert {VERSION: hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]} == DIGESTS
