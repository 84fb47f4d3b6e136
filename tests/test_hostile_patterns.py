"""Patterns that read what comes from outside cost its size: the square of a MB would take hours."""

from __future__ import annotations

import subprocess
import sys

import pytest

CONTRACT = "from klingkit.contract import ApiError, load_contract\ncontract = load_contract()\n"
CODE = {
    "an unterminated string of escaped quotes": CONTRACT
    + """
from klingkit.mock_server.body import read_json_object
try:
    read_json_object(b'{"a":' + b'[' * 200 + b'"' + b'\\\\"' * 500_000, contract)
except ApiError:
    print("read")
""",
    "request ids that never end": CONTRACT
    + """
import json
from klingkit.contract.judge.charge import may_cost
from klingkit.contract.targets.target import Reply, Request
body = {"code": 1201, "message": " (request id: " * 70_000, "request_id": "x"}
may_cost(contract, Request("POST", "/"), Reply(400, {}, json.dumps(body).encode()))
print("read")
""",
    "addresses without an end": """
from klingkit.contract.recordings.masking import ADDRESS, E_MAIL, URL
for pattern in (E_MAIL, ADDRESS, URL):
    for text in ("a." * 500_000, "a@" * 500_000, "a@a." * 250_000, "1:" * 500_000, "http://" * 100_000):
        pattern.sub("", text)
print("read")
""",
}


@pytest.mark.parametrize("code", CODE.values(), ids=CODE)
def test_a_megabyte_is_read(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "read\n", done.stderr
