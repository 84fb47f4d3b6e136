"""Who does not look at the page does not pay for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

SERVED = """
import sys
from klingkit.mock_server.app import create_app
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
client = create_app(Simulator(Settings())).test_client()
for path, accept in (("/v1/nothing", "*/*"), ("/_mock/", "*/*"), ("/_mock/health", "*/*"), ("/_mock/tasks", "text/html"), ("/", "text/html")):
    assert client.get(path, headers={"Accept": accept, "Host": "localhost"}).data is not None
client.get(%r, headers={"Accept": "text/html", "Host": "localhost"})
print(*sys.modules)
"""


@pytest.mark.parametrize(("path", "loaded"), [("/nothing", False), ("/_mock/", True)])
def test_it_is_loaded_for_whoever_looks_at_it(path: str, loaded: bool) -> None:
    result = subprocess.run([sys.executable, "-c", SERVED % path], capture_output=True, text=True, check=True)
    assert ("klingkit.mock_server.page.routes" in result.stdout.split()) == loaded
