"""Each contract through each door that a test or a person has."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from decimal import Decimal
from typing import TYPE_CHECKING

import aiohttp
import httpx
import jwt
import pytest
import requests
from click.testing import CliRunner

import klingkit
from klingkit.cli import main
from klingkit.client import ApiError, KlingClient
from tests.conftest import PATH, URL, serving
from tests.klingkit.test_pytest_plugin import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from klingkit.kling import Kling

KLING = "/v1/images/multi-image2image"
pytest_plugins = ["pytester"]
HOSTS = ("api-singapore.klingai.com", "api-beijing.klingai.com", "api.klingai.com")


def ask_aiohttp(url: str) -> int:
    async def ask() -> int:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status

    return asyncio.run(ask())


ASKING: dict[str, Callable[[str], int]] = {
    "requests": lambda url: requests.get(url, timeout=5).status_code,
    "httpx": lambda url: httpx.get(url).status_code,
    "aiohttp": ask_aiohttp,
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("library", ASKING)
@pytest.mark.kling(contract="kling")
def test_each_host_of_the_vendor_is_intercepted(kling_mock: Kling, host: str, library: str) -> None:
    assert ASKING[library](f"https://{host}{KLING}") == 401
    assert [entry["contract"] for entry in kling_mock.journal] == ["kling"]


@pytest.mark.parametrize(("contract", "other"), [("kling", "api.cometapi.com"), ("cometapi", HOSTS[0])])
def test_what_another_contract_serves_is_closed_and_not_answered(contract: str, other: str) -> None:
    with klingkit.mock(contract=contract) as kling:
        with pytest.raises(requests.ConnectionError, match="lets no connection leave"):
            requests.get(f"https://{other}/", timeout=5)
        assert kling.journal == []


@pytest.mark.parametrize("fixture", ["kling_mock", "kling_server"])
@pytest.mark.kling(contract="kling", balance="100")
def test_the_client_speaks_to_the_vendors_simulator(request: pytest.FixtureRequest, fixture: str) -> None:
    """By a key, and by the pair that the environment has, which is of the same account."""
    kling: Kling = request.getfixturevalue(fixture)
    with kling.client() as client:
        task = client.create([URL], external_task_id="order-1", n=2)
        assert client.wait(task, timeout=120).succeeded
    with KlingClient(contract="kling") as signing:
        assert signing.base_url == kling.url == os.environ["KLING_BASE_URL"]
        assert signing.get(external_task_id="order-1").task_id == task.task_id
        assert [found.task_id for found in signing.list()] == [task.task_id]

    assert (kling.spent, kling.balance) == (Decimal(32), Decimal(68))
    assert {found.contract for found in kling.tasks} == {"kling"}
    assert "COMETAPI_BASE_URL" not in kling._variables()


@pytest.mark.kling(contract="all")
def test_all_at_once_have_each_their_own_environment(kling_mock: Kling) -> None:
    with KlingClient() as comet, KlingClient(contract="kling") as vendor:
        comet.create([URL, URL])
        vendor.create([URL])
        with pytest.raises(ApiError):
            comet.create([URL, URL], aspect_ratio="5:4")
    assert (comet.base_url, vendor.base_url) == ("https://api.cometapi.com", f"https://{HOSTS[0]}")
    assert [task.contract for task in kling_mock.tasks] == ["cometapi", "kling"]
    assert kling_mock.creates == 3


@pytest.mark.kling(plain_generation=True)
def test_a_plain_picture_is_a_create(kling_mock: Kling) -> None:
    answer = requests.post(
        kling_mock.url + PATH, json={"prompt": "x"}, headers={"Authorization": "Bearer k"}, timeout=5
    )

    assert answer.json()["code"] == 0
    kling_mock.assert_created(times=1, prompt="x")
    assert kling_mock.creates == 1


def test_plain_generation_is_off_again_afterwards(kling_mock: Kling) -> None:
    answer = requests.post(
        kling_mock.url + PATH, json={"prompt": "x"}, headers={"Authorization": "Bearer k"}, timeout=5
    )

    assert answer.status_code == 400


def test_one_option_runs_the_tests_under_another_contract(pytester: pytest.Pytester) -> None:
    """It wins over the ini file; a marker that names one wins over it. Contract tests follow it too."""
    tests = """
def test_any(kling_mock):
    assert kling_mock.client().contract == kling_mock.simulator.contract.name == "kling"

def test_target(klingkit_target):
    assert klingkit_target.simulator.contract.name == "kling"

@pytest.mark.kling(contract="cometapi-2026")
def test_one(kling_mock):
    assert kling_mock.simulator.contract.name == "cometapi-2026"
"""
    pytester.makeini("[pytest]\nklingkit_contract = cometapi-2026\nklingkit_plain_generation = true\n")
    run(pytester, tests, "--klingkit-contract", "kling").assert_outcomes(passed=3)


def test_the_ini_file_can_name_a_contract(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nklingkit_contract = cometapi-2026\nklingkit_plain_generation = true\n")
    tests = "def test(kling_mock):\n    assert kling_mock.control.account()['contract'] == 'cometapi-2026'\n"
    tests += "    assert kling_mock.control.account()['plain_generation'] is True\n"

    run(pytester, tests).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--klingkit-contract", "klng"),
            "*unknown contract 'klng'; did you mean kling? The valid ones: *, kling, all",
        ),
        (("-o", "klingkit_plain_generation=perhaps"), "*plain_generation: *perhaps*"),
    ],
)
def test_a_wrong_option_is_one_line(pytester: pytest.Pytester, arguments: tuple[str, ...], said: str) -> None:
    result = run(pytester, "def test(kling_mock): pass\n", *arguments)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])
    assert "Traceback" not in result.stdout.str()


def test_mock_refuses_a_contract_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="the valid ones: cometapi, cometapi-2026, kling, all"):
        klingkit.mock(contract="nothing")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--contract", "klng"], "did you mean kling? The valid ones: cometapi, cometapi-2026, kling, all"),
        (["--access-key", "a"], "each --access-key needs its --secret-key"),
        (["--access-key", "a", "--access-key", "a", "--secret-key", "TOPSECRET", "--secret-key", "TOPSECRET"], "given twice"),
        (["--access-key", "a", "--secret-key", "TOPSECRET x"], "one word of ASCII"),
        (["--contract", "kling", "--scenario", "gateway-503"], "'gateway-503' is of cometapi and cometapi-2026, and kling has nothing"),
        (["--access-key", "a", "--secret-key", "TOPSECRET"], "cometapi takes keys and no signed tokens: give --key"),
        (["--contract", "kling", "--plain-generation"], "kling has no plain generation on this path"),
        (["--plain-generation", "--assume", "no-subjects=refused"], "plain-generation and no-subjects=refused contradict"),
        (["--assume", "prompt-length=bytes", "--assume", "prompt-length=characters"], "contradict each other: give one of them"),
        (["--assume", "prompt-lenth=bytes"], "no assumption 'prompt-lenth'; did you mean prompt-length?"),
        (["--assume", "prompt-length=byte"], "no alternative 'byte'; did you mean bytes?"),
        (["--no-control", "--control-token", "TOPSECRET"], "--no-control leaves it out: give one of them"),
        (["--allow-fetch", "example.com"], "does nothing without --fetch-inputs"),
    ],
)  # fmt: skip
def test_serve_refuses_what_cannot_be_served(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--port", "0", *arguments])

    assert result.exit_code == 2
    assert said in result.output
    assert "TOPSECRET" not in result.output


def test_one_server_serves_all_and_says_how() -> None:
    """The curl lines of the banner run as they are; pairs come from the environment, and no secret is shown."""
    pairs = {"KLINGKIT_ACCESS_KEY": "one two", "KLINGKIT_SECRET_KEY": "secret-of-one secret-of-two"}
    with serving("--contract", "all", "--seed", "1", **pairs) as running:
        while running.banner.count("curl ") < 5:
            assert running.process.stdout
            running.banner += running.process.stdout.readline()
        token = jwt.encode({"iss": "two", "exp": int(time.time()) + 60}, b"secret-of-two".ljust(32, b"\0"), "HS256")
        first, *lines = re.findall(r"^  (curl .*)$", running.banner, re.MULTILINE)
        answers = [
            subprocess.run(
                ["sh", "-c", line], check=True, env={**os.environ, "KLING_TOKEN": token}, capture_output=True, text=True
            )
            for line in (first, next(line for line in lines if f"{KLING} " in line))
        ]
        refused = requests.get(running.url + KLING, headers={"Authorization": "Bearer x"}, timeout=10)
        log = running.stop()

    assert all('"task_status":"submitted"' in answer.stdout for answer in answers), answers
    assert sum("TASK_ID" in line for line in lines) == 2
    assert "Put a token that is signed with one of its secret keys into KLING_TOKEN" in running.banner
    assert (refused.status_code, refused.json()["code"]) == (401, 1002)
    assert not any(secret in running.banner + log for secret in ("secret-of", token))


def test_a_marker_asks_for_plain_pictures_only_where_there_are_any(pytester: pytest.Pytester) -> None:
    tests = """
import pytest

@pytest.mark.kling(contract="kling", plain_generation=True)
def test_it(kling_mock):
    pass
"""
    result = run(pytester, tests)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["kling_mock of *: kling has no plain generation on this path; *"])
