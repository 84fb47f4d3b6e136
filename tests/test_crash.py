"""What was acknowledged survives `kill -9` under load: `benchmarks/crash.py` with few kills."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
POSTGRES = os.environ.get("KLINGKIT_TEST_POSTGRES_URL")


@contextmanager
def own_schema(url: str) -> Iterator[str]:
    """The URL of a PostgreSQL database with a schema of its own."""
    name = f"crash_{uuid.uuid4().hex[:12]}"
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    try:
        yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{name}"
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
        engine.dispose()


def crash(state: str, kills: int, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.crash", state, "--kills", str(kills), "--between", "0.3", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_state_survives_kills(kind: str, tmp_path: Path) -> None:
    if kind == "sqlite":
        done = crash(f"sqlite:///{tmp_path / 'kling.db'}", 4)
    elif not POSTGRES:
        pytest.skip("KLINGKIT_TEST_POSTGRES_URL is not set")
    else:
        with own_schema(POSTGRES) as state:
            done = crash(state, 4)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "creates acknowledged" in done.stdout


def test_the_crash_test_finds_what_memory_loses() -> None:
    done = crash("memory", 1, "--workers", "1")

    assert done.returncode == 1
    assert "was acknowledged, and is not there" in done.stdout
