"""What was acknowledged survives `kill -9` under load: `benchmarks/crash.py` with few kills."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from klingkit.mock_server.clock import ClockState

if TYPE_CHECKING:
    from tests.states import States

ROOT = Path(__file__).parent.parent


def crash(state: str, kills: int, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.crash", state, "--kills", str(kills), "--between", "0.3", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_state_survives_kills(kind: str, states: States) -> None:
    state = states.new(kind, start=ClockState())
    assert state
    done = crash(state, 3)
    states.take_back()

    assert done.returncode == 0, done.stdout + done.stderr
    assert "creates acknowledged" in done.stdout


def test_the_crash_test_finds_what_memory_loses() -> None:
    done = crash("memory", 1, "--workers", "1")

    assert done.returncode == 1
    assert "was acknowledged, and is not there" in done.stdout
